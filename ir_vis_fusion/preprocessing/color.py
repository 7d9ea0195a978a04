"""
Luma and chroma: the network fuses luma, colour comes from the visible camera.

BT.601 with full range (JPEG's, JFIF 1.02), as the papers on infrared and visible fusion use it.
Luma is float32 on any device, by torch, or bytes on the CPU, by OpenCV. Torch handles colours one
by one because it is four times slower where it broadcasts over an inner dimension of three.
"""

from collections.abc import Callable
import functools
from types import ModuleType

import cv2
from ir_vis_fusion.errors import warn_of_slowness
from ir_vis_fusion.preprocessing.front_end import ThermalImage
from ir_vis_fusion.preprocessing.levels import blend
from ir_vis_fusion.preprocessing.view import View
from ir_vis_fusion.types import PixelEncoding
import numpy as np
import torch

_RGB_WEIGHTS = (0.299, 0.587, 0.114)

# Where the fused image is brighter than the visible one, the light is the thermal camera's and has
# no colour, and the chroma that was there is the noise of a dark sensor, or smoke: it fades to a
# half at a rise of 1/12 (21 levels of 255) and a tenth at 1/4, smoothly, for the rise is noisy.
# What is darker keeps its chroma, so that a lamp keeps its hue.
_FADING = 12.0

# Bytes are recombined in bands of so many pixels, which stay in the cache: half the time of a
# whole frame at once.
_BAND = 80_000


def _shares() -> np.ndarray:
    """Return the share of the chroma, in 255ths, for each rise of luma, in levels."""
    return np.rint(255 / (1 + (_FADING * np.arange(256) / 255) ** 2)).astype(np.uint8)


_SHARES = _shares()


def luma(
    image: torch.Tensor, encoding: PixelEncoding, dtype: torch.dtype = torch.float32
) -> torch.Tensor:
    """
    Return the luma Y = 0.299 R + 0.587 G + 0.114 B.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    encoding
        RGB8 or BGR8, the order of the last dimension.
    dtype
        float32, or uint8 for an image on the CPU.

    Returns
    -------
    torch.Tensor
        (H, W) float32 in [0, 1], on the device of ``image``, or uint8, rounded.

    """
    if dtype == torch.uint8:
        return torch.from_numpy(cv2.cvtColor(image.numpy(), _to_gray(encoding)))
    weights = _weights(encoding)
    total = image[..., 0].to(torch.float32).mul_(weights[0] / 255)
    total.add_(image[..., 1], alpha=weights[1] / 255)
    return total.add_(image[..., 2], alpha=weights[2] / 255)


def luma_and_ir(
    image: torch.Tensor, encoding: PixelEncoding, thermal: ThermalImage, view: View | None
) -> tuple[torch.Tensor, torch.Tensor] | None:
    """
    Return luma and registered infrared, (H, W) float32, at once, where a kernel does that.

    It takes images on CUDA that need no more than a Scale, and a view where they are not of one
    size; None otherwise.
    """
    if (kernels := kernels_for(image, thermal, view)) is None:
        return None
    scale = thermal.scale.low, thermal.scale.span
    return kernels.prepare(image, _weights(encoding), thermal.raw, scale, view and view.places)


def kernels_for(
    image: torch.Tensor, thermal: ThermalImage, view: View | None
) -> ModuleType | None:
    """Return the module of kernels where it takes these images as they are, None elsewhere."""
    if thermal.scale is None or (view is None and thermal.raw.shape != image.shape[:2]):
        return None
    return _kernels(image)


def fuse(
    kernels: ModuleType,
    network: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    order: tuple[PixelEncoding, PixelEncoding],
    image: torch.Tensor,
    raw: torch.Tensor,
    numbers: torch.Tensor,
    columns: torch.Tensor | None,
    rows: torch.Tensor | None,
    mask: torch.Tensor | None,
) -> torch.Tensor:
    """
    Do :func:`luma_and_ir`, a network of luma and :func:`recombine`, for a graph to record.

    Parameters
    ----------
    kernels
        What :func:`kernels_for` gave.
    network
        Takes luma and infrared, (1, 1, H, W) float32 each, and gives the fused luma.
    order
        Encodings of the image and of the result.
    image
        (H, W, 3) uint8.
    raw
        (h, w), the camera's numbers.
    numbers
        (3,) float32: low and span of the Scale, and the strength.
    columns, rows, mask
        Those of the View, (H, W) float32; None where there is none.

    """
    places = None if columns is None else (columns, rows)
    encoding, wanted = order
    planes = kernels.prepare(image, _weights(encoding), raw, numbers[:2], places)
    fused = network(*(plane[None, None] for plane in planes))[0, 0]
    swap = encoding is not wanted
    return kernels.recombine(image, planes[0], fused, _FADING, numbers[2:], mask, swap)


def swap_colors(image: torch.Tensor) -> torch.Tensor:
    """Turn RGB (H, W, 3) uint8 into BGR or back."""
    if image.device.type == 'cpu':
        # Twelve times as fast as a flip.
        return torch.from_numpy(cv2.cvtColor(image.numpy(), cv2.COLOR_RGB2BGR))
    return image.flip(-1)


def in_order(image: torch.Tensor, encoding: PixelEncoding, wanted: PixelEncoding) -> torch.Tensor:
    """Return (H, W, 3) uint8 with its colours in the wanted order."""
    return image if encoding is wanted else swap_colors(image)


def to_rgb(image: torch.Tensor, encoding: PixelEncoding) -> torch.Tensor:
    """Turn (H, W, 3) uint8 into RGB (1, 3, H, W) float32 in [0, 1]."""
    planes = image.permute(2, 0, 1)
    if encoding is PixelEncoding.BGR8:
        planes = planes.flip(0)
    return planes[None].to(torch.float32, memory_format=torch.contiguous_format) / 255


def from_rgb(image: torch.Tensor, encoding: PixelEncoding) -> torch.Tensor:
    """Undo :func:`to_rgb`, rounded and clamped."""
    # The half makes the cut to uint8 round to nearest.
    planes = (image[0] * 255).add_(0.5).clamp_(0, 255).to(torch.uint8)
    if encoding is PixelEncoding.BGR8:
        planes = planes.flip(0)
    return planes.permute(1, 2, 0).contiguous()


def recombine(
    image: torch.Tensor,
    luma: torch.Tensor,
    fused_luma: torch.Tensor,
    strength: float = 1.0,
    mask: torch.Tensor | None = None,
    swap: bool = False,
    encoding: PixelEncoding = PixelEncoding.RGB8,
) -> torch.Tensor:
    """
    Return ``image`` with its luma exchanged; its chroma fades where light is added.

    For each colour C' = F + s (C - Y), rounded and clamped, with luma Y, fused luma F and
    s = 1 / (1 + (12 max(0, F - Y))^2). Where F equals Y the result equals the image to the bit.
    With bytes it is exact where s is 1 and within two levels elsewhere.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    luma
        (H, W) float32 in [0, 1], the luma of ``image``; or uint8, for images on the CPU.
    fused_luma
        (H, W), of the type of ``luma``.
    strength
        How far to go from ``luma`` to ``fused_luma``, in [0, 1].
    mask
        (H, W) float32 in [0, 1], a factor of the strength for each pixel.
    swap
        The result has the other order of colours.
    encoding
        RGB8 or BGR8, the order of the colours of ``image``, by which bytes are rounded so that the
        luma of the result is the fused one.

    """
    if luma.dtype == torch.float32 and (kernels := _kernels(image)) is not None:
        return kernels.recombine(image, luma, fused_luma, _FADING, strength, mask, swap)
    fused_luma = blend(luma, fused_luma, strength, mask)
    if luma.dtype == torch.uint8:
        images = image.numpy(), luma.numpy(), fused_luma.numpy()
        fused = _recombine_bytes(*images, _to_gray(encoding))
        result = torch.from_numpy(fused)
    else:
        result = _recombine_floats(image, luma, fused_luma)
    return swap_colors(result) if swap else result


def _recombine_floats(
    image: torch.Tensor, luma: torch.Tensor, fused_luma: torch.Tensor
) -> torch.Tensor:
    share = (fused_luma - luma).clamp_(min=0).mul_(_FADING).square_().add_(1).reciprocal_()
    # C' = s C + (F - s Y); the half makes the cut to uint8 round to nearest.
    gray = torch.addcmul(fused_luma, share, luma, value=-1).mul_(255).add_(0.5)
    fused = torch.empty_like(image, memory_format=torch.contiguous_format)
    for color in range(3):
        fused[..., color] = torch.mul(share, image[..., color]).add_(gray).clamp_(0, 255)
    return fused


def _recombine_bytes(
    image: np.ndarray, luma: np.ndarray, fused_luma: np.ndarray, to_gray: int
) -> np.ndarray:
    """Do it in saturating byte arithmetic, some ten times as fast as in float32."""
    fused = np.empty(image.shape, np.uint8)
    rows = max(1, _BAND // image.shape[1])
    for top in range(0, len(image), rows):
        band = slice(top, top + rows)
        _recombine_band(image[band], luma[band], fused_luma[band], to_gray, fused[band])
    return fused


def _recombine_band(
    image: np.ndarray, luma: np.ndarray, fused_luma: np.ndarray, to_gray: int, out: np.ndarray
) -> None:
    rise = cv2.subtract(fused_luma, luma)
    if rise.any():
        share = cv2.cvtColor(cv2.LUT(rise, _SHARES), cv2.COLOR_GRAY2RGB)
        image = cv2.multiply(image, share, scale=1 / 255)
        # Not s Y, rounded by itself: a level too many here and there costs 0.005 of Qabf.
        luma = cv2.cvtColor(image, to_gray)
    # C' = s C + (F - s Y): what is added and what is taken off, of which one is zero.
    brighter = cv2.cvtColor(cv2.subtract(fused_luma, luma), cv2.COLOR_GRAY2RGB)
    darker = cv2.cvtColor(cv2.subtract(luma, fused_luma), cv2.COLOR_GRAY2RGB)
    cv2.subtract(cv2.add(image, brighter, dst=brighter), darker, dst=out)


def _to_gray(encoding: PixelEncoding) -> int:
    """Return OpenCV's code of the conversion to luma."""
    return cv2.COLOR_RGB2GRAY if encoding is PixelEncoding.RGB8 else cv2.COLOR_BGR2GRAY


def _weights(encoding: PixelEncoding) -> tuple[float, float, float]:
    return _RGB_WEIGHTS if encoding is PixelEncoding.RGB8 else _RGB_WEIGHTS[::-1]


def _kernels(image: torch.Tensor) -> ModuleType | None:
    """Return the module of kernels for images on CUDA, None elsewhere."""
    return _working_kernels(image.device) if image.is_cuda else None


@functools.cache
def _working_kernels(device: torch.device) -> ModuleType | None:
    """Return the module of kernels, or None where Triton, or the compiler it needs, is missing."""
    try:
        from ir_vis_fusion.preprocessing import kernels

        kernels.compile_all(device)
    except Exception as error:  # noqa: BLE001 - whatever is amiss with them, torch does the same
        warn_of_slowness('kernels before and after the network', error)
        return None
    return kernels
