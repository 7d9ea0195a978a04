"""
What comes before a network of luma and after it, on CUDA, one kernel each, by Triton.

They compute what :mod:`.color` and :mod:`.thermal` do in float32 by torch, which launches some
fifteen kernels before the network and thirty after it, each of them reading and writing the whole
image.
"""

import torch
from torch import Tensor
import triton
import triton.language as tl

_BLOCK = 1024


@triton.jit
def _normalized(raw, at, there, low, span):
    number = tl.load(raw + at, mask=there, other=0).to(tl.float32)
    # Neither infinite nor NaN, which is not equal to itself.
    share = tl.where(tl.abs(number) < float('inf'), (number - low) / span, 0.0)
    return tl.minimum(tl.maximum(share, 0.0), 1.0)


@triton.jit(do_not_specialize=['count', 'height', 'width'])
def _prepare(
    image, raw, columns, rows, luma, ir, count, height, width, first, second, third, low, span,
    placed: tl.constexpr, pointed: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    if pointed:
        span = tl.load(low + 1)
        low = tl.load(low)
    at = tl.program_id(0) * block + tl.arange(0, block)
    there = at < count
    a = tl.load(image + 3 * at, mask=there, other=0).to(tl.float32)
    b = tl.load(image + 3 * at + 1, mask=there, other=0).to(tl.float32)
    c = tl.load(image + 3 * at + 2, mask=there, other=0).to(tl.float32)
    tl.store(luma + at, a * first + b * second + c * third, mask=there)
    if placed:
        # Between four pixels; beyond its edge the image is repeated.
        x = tl.load(columns + at, mask=there, other=0.0)
        y = tl.load(rows + at, mask=there, other=0.0)
        x = tl.minimum(tl.maximum(x, 0.0), width - 1.0)
        y = tl.minimum(tl.maximum(y, 0.0), height - 1.0)
        left = x.to(tl.int32)
        top = y.to(tl.int32)
        x -= left
        y -= top
        across = tl.minimum(left + 1, width - 1) - left
        corner = top * width + left
        below = tl.minimum(top + 1, height - 1) * width + left
        upper = _normalized(raw, corner, there, low, span)
        upper += x * (_normalized(raw, corner + across, there, low, span) - upper)
        lower = _normalized(raw, below, there, low, span)
        lower += x * (_normalized(raw, below + across, there, low, span) - lower)
        share = upper + y * (lower - upper)
    else:
        share = _normalized(raw, at, there, low, span)
    tl.store(ir + at, share, mask=there)


@triton.jit(do_not_specialize=['count'])
def _recombine(
    image, luma, fused, mask, result, count, strength, fading,
    masked: tl.constexpr, swap: tl.constexpr, pointed: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    if pointed:
        strength = tl.load(strength)
    at = tl.program_id(0) * block + tl.arange(0, block)
    there = at < count
    before = tl.load(luma + at, mask=there, other=0.0)
    after = tl.load(fused + at, mask=there, other=0.0)
    weight = strength
    if masked:
        weight = strength * tl.load(mask + at, mask=there, other=0.0)
    # Exact at a weight of one and of zero.
    change = weight * (after - before)
    after = tl.where(weight == 1.0, after, before + change)
    faded = fading * tl.maximum(after - before, 0.0)
    share = 1.0 / (1.0 + faded * faded)
    grey = (after - share * before) * 255.0 + 0.5
    for color in tl.static_range(3):
        old = tl.load(image + 3 * at + color, mask=there, other=0).to(tl.float32)
        new = tl.minimum(tl.maximum(share * old + grey, 0.0), 255.0)
        place = 2 - color if swap else color
        tl.store(result + 3 * at + place, new.to(tl.uint8), mask=there)


def prepare(
    image: Tensor,
    weights: tuple[float, float, float],
    raw: Tensor,
    scale: tuple[float, float] | Tensor,
    places: tuple[Tensor, Tensor] | None = None,
) -> tuple[Tensor, Tensor]:
    """
    Return luma and normalised infrared in the view of the image, two (H, W) float32 in [0, 1].

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    weights
        Of its colours, in their order, of sum one.
    raw
        (h, w) uint8, uint16 or float32, what is infrared before it is (raw - low) / span,
        clamped; what is not finite becomes 0.
    scale
        Low and span; or (2,) float32 that holds them, for a graph to read anew each time.
    places
        Column and row of ``raw`` for each pixel of the image, (H, W) float32; None where they are
        the pixel's own.

    """
    image, raw = image.contiguous(), raw.contiguous()
    luma, ir = (torch.empty(image.shape[:2], device=raw.device) for _ in range(2))
    count = luma.numel()
    shares = (weight / 255 for weight in weights)
    # Other pointers stand for the places where there are none; they are not read.
    columns, rows = places or (luma, ir)
    pointed = isinstance(scale, Tensor)
    low, span = (scale, 0.0) if pointed else map(float, scale)
    with torch.cuda.device_of(raw):
        _prepare[(triton.cdiv(count, _BLOCK),)](
            image, raw, columns, rows, luma, ir, count, *raw.shape, *shares,
            low, span, placed=places is not None, pointed=pointed, block=_BLOCK,
        )  # fmt: skip
    return luma, ir


def recombine(
    image: Tensor,
    luma: Tensor,
    fused: Tensor,
    fading: float,
    strength: float | Tensor = 1.0,
    mask: Tensor | None = None,
    swap: bool = False,
) -> Tensor:
    """
    Return (H, W, 3) uint8 with its luma exchanged; see :func:`.color.recombine`.

    The share of the chroma is 1 / (1 + (fading * rise)^2), a rise being what luma gains. A
    strength in a (1,) float32 is read anew by each replay of a graph.
    """
    image, luma, fused = image.contiguous(), luma.contiguous(), fused.contiguous()
    result = torch.empty_like(image)
    count = luma.numel()
    # Where there is no mask another pointer stands for it; it is not read.
    place = luma if mask is None else mask.contiguous()
    pointed = isinstance(strength, Tensor)
    strength = strength if pointed else float(strength)
    with torch.cuda.device_of(image):
        _recombine[(triton.cdiv(count, _BLOCK),)](
            image, luma, fused, place, result, count, strength, fading,
            masked=mask is not None, swap=swap, pointed=pointed, block=_BLOCK,
        )  # fmt: skip
    return result


def compile_all(device: torch.device) -> None:
    """Launch every form of them once, so that no frame waits for a compiler."""
    image = torch.zeros(1, 1, 3, dtype=torch.uint8, device=device)
    for dtype in (torch.uint8, torch.uint16, torch.float32):
        raw = torch.zeros(1, 1, dtype=dtype, device=device)
        for places in (None, (torch.zeros(1, 1, device=device),) * 2):
            luma, ir = prepare(image, (0.3, 0.6, 0.1), raw, (0.5, 1.5), places)
    for mask in (None, ir):
        for swap in (False, True):
            recombine(image, luma, ir, 12.0, 0.5, mask, swap)
