"""
Luma and recombination on CUDA, one kernel each, by Triton.

They compute what :mod:`.color` does in float32 by torch, which launches eight kernels for the one
and thirty for the other, each of them reading and writing the whole image.
"""

import torch
from torch import Tensor
import triton
import triton.language as tl

_BLOCK = 1024


@triton.jit
def _luma(image, result, count, first, second, third, block: tl.constexpr):
    at = tl.program_id(0) * block + tl.arange(0, block)
    there = at < count
    a = tl.load(image + 3 * at, mask=there, other=0).to(tl.float32)
    b = tl.load(image + 3 * at + 1, mask=there, other=0).to(tl.float32)
    c = tl.load(image + 3 * at + 2, mask=there, other=0).to(tl.float32)
    tl.store(result + at, a * first + b * second + c * third, mask=there)


@triton.jit
def _recombine(image, luma, fused, result, count, jump, fade, most, block: tl.constexpr):
    at = tl.program_id(0) * block + tl.arange(0, block)
    there = at < count
    before = tl.load(luma + at, mask=there, other=0.0)
    after = tl.load(fused + at, mask=there, other=0.0)
    beyond = tl.minimum(tl.maximum(tl.abs(after - before) - jump, 0.0), most)
    share = 1.0 - fade * beyond
    grey = (after - share * before) * 255.0 + 0.5
    for color in tl.static_range(3):
        old = tl.load(image + 3 * at + color, mask=there, other=0).to(tl.float32)
        new = tl.minimum(tl.maximum(share * old + grey, 0.0), 255.0)
        tl.store(result + 3 * at + color, new.to(tl.uint8), mask=there)


def luma(image: Tensor, weights: tuple[float, float, float]) -> Tensor:
    """
    Return the weighted sum of the colours of (H, W, 3) uint8 as (H, W) float32 in [0, 1].

    ``weights`` are in the order of the colours and of sum one.
    """
    image = image.contiguous()
    result = torch.empty(image.shape[:2], dtype=torch.float32, device=image.device)
    count = result.numel()
    shares = (weight / 255 for weight in weights)
    _luma[(triton.cdiv(count, _BLOCK),)](image, result, count, *shares, block=_BLOCK)
    return result


def recombine(
    image: Tensor, luma: Tensor, fused: Tensor, jump: float, fade: float, most: float
) -> Tensor:
    """
    Return (H, W, 3) uint8 with its luma exchanged; see :func:`.color.recombine`.

    The share of the chroma is 1 - fade * (abs(fused - luma) - jump), the bracket between 0 and
    ``most``.
    """
    image, luma, fused = image.contiguous(), luma.contiguous(), fused.contiguous()
    result = torch.empty_like(image)
    count = luma.numel()
    grid = (triton.cdiv(count, _BLOCK),)
    _recombine[grid](image, luma, fused, result, count, jump, fade, most, block=_BLOCK)
    return result
