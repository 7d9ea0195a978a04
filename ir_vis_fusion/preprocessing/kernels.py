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


@triton.jit(do_not_specialize=['count'])
def _prepare(
    image, raw, luma, ir, count, first, second, third, low, span,
    block: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0) * block + tl.arange(0, block)
    there = at < count
    a = tl.load(image + 3 * at, mask=there, other=0).to(tl.float32)
    b = tl.load(image + 3 * at + 1, mask=there, other=0).to(tl.float32)
    c = tl.load(image + 3 * at + 2, mask=there, other=0).to(tl.float32)
    tl.store(luma + at, a * first + b * second + c * third, mask=there)
    number = tl.load(raw + at, mask=there, other=0).to(tl.float32)
    # Neither infinite nor NaN, which is not equal to itself.
    finite = tl.abs(number) < float('inf')
    share = tl.where(finite, (number - low) / span, 0.0)
    tl.store(ir + at, tl.minimum(tl.maximum(share, 0.0), 1.0), mask=there)


@triton.jit(do_not_specialize=['count'])
def _recombine(
    image, luma, fused, mask, result, count, strength, jump, fade, most,
    masked: tl.constexpr, swap: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
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
    beyond = tl.minimum(tl.maximum(tl.abs(after - before) - jump, 0.0), most)
    share = 1.0 - fade * beyond
    grey = (after - share * before) * 255.0 + 0.5
    for color in tl.static_range(3):
        old = tl.load(image + 3 * at + color, mask=there, other=0).to(tl.float32)
        new = tl.minimum(tl.maximum(share * old + grey, 0.0), 255.0)
        place = 2 - color if swap else color
        tl.store(result + 3 * at + place, new.to(tl.uint8), mask=there)


def prepare(
    image: Tensor, weights: tuple[float, float, float], raw: Tensor, low: float, span: float
) -> tuple[Tensor, Tensor]:
    """
    Return luma and normalised infrared of one size, two (H, W) float32 in [0, 1].

    Parameters
    ----------
    image
        (H, W, 3) uint8.
    weights
        Of its colours, in their order, of sum one.
    raw
        (H, W) uint8, uint16 or float32, what is infrared before it is (raw - low) / span,
        clamped; what is not finite becomes 0.
    low, span
        See there.

    """
    image, raw = image.contiguous(), raw.contiguous()
    luma, ir = (torch.empty(raw.shape, dtype=torch.float32, device=raw.device) for _ in range(2))
    count = raw.numel()
    shares = (weight / 255 for weight in weights)
    with torch.cuda.device_of(raw):
        _prepare[(triton.cdiv(count, _BLOCK),)](
            image, raw, luma, ir, count, *shares, low, span, block=_BLOCK
        )
    return luma, ir


def recombine(
    image: Tensor,
    luma: Tensor,
    fused: Tensor,
    fading: tuple[float, float, float],
    strength: float = 1.0,
    mask: Tensor | None = None,
    swap: bool = False,
) -> Tensor:
    """
    Return (H, W, 3) uint8 with its luma exchanged; see :func:`.color.recombine`.

    ``fading`` are jump, fade and most: the share of the chroma is
    1 - fade * (abs(change) - jump), the bracket between 0 and ``most``.
    """
    image, luma, fused = image.contiguous(), luma.contiguous(), fused.contiguous()
    result = torch.empty_like(image)
    count = luma.numel()
    # Where there is no mask another pointer stands for it; it is not read.
    place = luma if mask is None else mask.contiguous()
    with torch.cuda.device_of(image):
        _recombine[(triton.cdiv(count, _BLOCK),)](
            image, luma, fused, place, result, count, strength, *fading,
            masked=mask is not None, swap=swap, block=_BLOCK,
        )  # fmt: skip
    return result


def compile_all(device: torch.device) -> None:
    """Launch every form of them once, so that no frame waits for a compiler."""
    image = torch.zeros(1, 1, 3, dtype=torch.uint8, device=device)
    for dtype in (torch.uint8, torch.uint16, torch.float32):
        raw = torch.zeros(1, 1, dtype=dtype, device=device)
        luma, ir = prepare(image, (0.3, 0.6, 0.1), raw, 0.5, 1.5)
    for mask in (None, ir):
        for swap in (False, True):
            recombine(image, luma, ir, (0.2, 2.0, 0.4), 0.5, mask, swap)
