"""
What the student does around its convolutions, on CUDA: a kernel before and one after, by Triton.

Maps are channels-last, (h, w, 2 f²) float16 in memory, for blocks of f x f pixels; images are
(H, W) float32, and h, w the sides over f, rounded up. Images need no padding: beyond their last
row and column these are read again.
"""

import torch
from torch import Tensor
import triton
import triton.language as tl

_BLOCK = 1024


@triton.jit
def _to_blocks(
    vis, ir, blocks, count, height, width, across, side: tl.constexpr, block: tl.constexpr
):
    at = tl.program_id(0) * block + tl.arange(0, block)
    there = at < count
    channel = at % (2 * side * side)
    place = at // (2 * side * side)
    inside = channel % (side * side)
    row = tl.minimum(place // across * side + inside // side, height - 1)
    column = tl.minimum(place % across * side + inside % side, width - 1)
    pixel = row * width + column
    is_ir = channel >= side * side
    first = tl.load(vis + pixel, mask=there & (channel < side * side), other=0.0)
    second = tl.load(ir + pixel, mask=there & is_ir, other=0.0)
    tl.store(blocks + at, (first + second).to(tl.float16), mask=there)


@triton.jit
def _blend(
    vis, ir, maps, bias, fused, count, width, across, limit,
    side: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0) * block + tl.arange(0, block)
    there = at < count
    row = at // width
    column = at % width
    channel = row % side * side + column % side
    place = (row // side * across + column // side) * (2 * side * side) + channel
    weight = tl.load(maps + place, mask=there, other=0.0).to(tl.float32)
    residual = tl.load(maps + place + side * side, mask=there, other=0.0).to(tl.float32)
    weight += tl.load(bias + channel)
    residual += tl.load(bias + channel + side * side)
    first = tl.load(vis + at, mask=there, other=0.0)
    second = tl.load(ir + at, mask=there, other=0.0)
    weight = 1.0 / (1.0 + tl.exp(-weight))
    # The hyperbolic tangent.
    residual = 2.0 / (1.0 + tl.exp(-2.0 * residual)) - 1.0
    mixed = first + weight * (second - first) + limit * residual
    tl.store(fused + at, tl.minimum(tl.maximum(mixed, 0.0), 1.0), mask=there)


def to_blocks(vis: Tensor, ir: Tensor, side: int) -> Tensor:
    """Return two images (H, W) as (1, 2 side², h, w), pixel-unshuffled, channels last."""
    height, width = vis.shape
    down, across = triton.cdiv(height, side), triton.cdiv(width, side)
    shape = (1, 2 * side * side, down, across)
    blocks = torch.empty(
        shape, dtype=torch.float16, device=vis.device, memory_format=torch.channels_last
    )
    count = blocks.numel()
    _to_blocks[(triton.cdiv(count, _BLOCK),)](
        vis, ir, blocks, count, height, width, across, side=side, block=_BLOCK
    )
    return blocks


def blend(vis: Tensor, ir: Tensor, maps: Tensor, bias: Tensor, limit: float) -> Tensor:
    """
    Return the fused image of two and of the network's maps.

    Parameters
    ----------
    vis, ir
        (H, W) float32, contiguous.
    maps
        (1, 2 f², h, w) float16, channels last: what the last convolution gives.
    bias
        (2 f²,) float32, added to them.
    limit
        The largest residual.

    """
    height, width = vis.shape
    fused = torch.empty_like(vis)
    side = round((maps.shape[1] // 2) ** 0.5)
    count = fused.numel()
    _blend[(triton.cdiv(count, _BLOCK),)](
        vis, ir, maps, bias, fused, count, width, maps.shape[-1], limit, side=side, block=_BLOCK
    )
    return fused
