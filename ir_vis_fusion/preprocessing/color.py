"""
Luma and chroma: the network fuses luma, colour comes from the visible camera.

BT.601 with full range (JPEG's, JFIF 1.02), as the papers on infrared and visible fusion use it.
Torch only, so that the same code runs on the CPU and on CUDA; colours are handled one by one
because torch is four times slower where it broadcasts over an inner dimension of three.
"""

from ir_vis_fusion.types import PixelEncoding
import torch

_RGB_WEIGHTS = (0.299, 0.587, 0.114)

# A change of luma up to 0.2 is one of exposure: the chroma still belongs to what is seen. Where
# luma jumps by more (1.5 % of the pixels of MSRS's validation pairs under pixel-wise maximum) it
# is the thermal camera's, and the chroma under it that of smoke, of glare or the noise of a
# dark sensor: it fades to a fifth at 0.6, so that a lamp keeps its hue.
_JUMP = 0.2
_FADE = 2.0
_LEAST_CHROMA = 0.2


def luma(image: torch.Tensor, encoding: PixelEncoding) -> torch.Tensor:
    """
    Return the luma Y = 0.299 R + 0.587 G + 0.114 B.

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    encoding
        RGB8 or BGR8, the order of the last dimension.

    Returns
    -------
    torch.Tensor
        (H, W) float32 in [0, 1], on the device of ``image``.

    """
    weights = _RGB_WEIGHTS if encoding is PixelEncoding.RGB8 else _RGB_WEIGHTS[::-1]
    total = image[..., 0].to(torch.float32).mul_(weights[0] / 255)
    total.add_(image[..., 1], alpha=weights[1] / 255)
    return total.add_(image[..., 2], alpha=weights[2] / 255)


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


def recombine(image: torch.Tensor, luma: torch.Tensor, fused_luma: torch.Tensor) -> torch.Tensor:
    """
    Return ``image`` with its luma exchanged and its chroma kept.

    For each colour C' = F + s (C - Y), rounded and clamped, with luma Y, fused luma F and
    s = 1 - 2 max(0, abs(F - Y) - 0.2), at least 0.2. Where F equals Y the result equals the
    image to the bit.

    Parameters
    ----------
    image
        (H, W, 3) uint8 in any order of colours; the result has the same.
    luma
        (H, W) float32 in [0, 1], the luma of ``image``.
    fused_luma
        (H, W) float32 in [0, 1].

    """
    jump = (fused_luma - luma).abs_().sub_(_JUMP).clamp_(0, (1 - _LEAST_CHROMA) / _FADE)
    share = jump.mul_(-_FADE).add_(1)
    # C' = s C + (F - s Y); the half makes the cut to uint8 round to nearest.
    gray = torch.addcmul(fused_luma, share, luma, value=-1).mul_(255).add_(0.5)
    fused = torch.empty_like(image, memory_format=torch.contiguous_format)
    for color in range(3):
        fused[..., color] = torch.mul(share, image[..., color]).add_(gray).clamp_(0, 255)
    return fused
