"""
What a Restormer block does between its products of matrices, on CUDA, by Triton.

Maps are (P, C) float16 and contiguous: the C channels of one of P = H W pixels lie together, which
is torch's channels-last. Sums are taken in float32.
"""

import torch
from torch import Tensor
import triton
import triton.language as tl

_PIXELS = 64
_COLUMNS = 32
_CHANNELS = 32
# Shares of an image that are summed up one beside the other.
_SHARES = 256


@triton.jit
def _normalize(
    maps, weight, result, count, channels,
    width: tl.constexpr, pixels: tl.constexpr,
):  # fmt: skip
    pixel = tl.program_id(0).to(tl.int64) * pixels + tl.arange(0, pixels)[:, None]
    channel = tl.arange(0, width)[None, :]
    there = (pixel < count) & (channel < channels)
    x = tl.load(maps + pixel * channels + channel, mask=there, other=0.0).to(tl.float32)
    mean = tl.sum(x, 1)[:, None] / channels
    off = tl.where(channel < channels, x - mean, 0.0)
    variance = tl.sum(off * off, 1)[:, None] / channels
    scale = tl.load(weight + channel, mask=channel < channels, other=0.0)
    x = x * tl.rsqrt(variance + 1e-5) * scale
    tl.store(result + pixel * channels + channel, x.to(tl.float16), mask=there)


@triton.jit
def _around(maps, weight, row, column, channel, height, width, channels, within):
    """Sum up the 3x3 pixels around some of a row, each channel by its own weights."""
    total = tl.zeros([column.shape[0], channel.shape[1]], tl.float32)
    for tap in tl.static_range(9):
        y = row + tap // 3 - 1
        x = column + tap % 3 - 1
        there = within & (y >= 0) & (y < height) & (x >= 0) & (x < width)
        place = (y * width + x).to(tl.int64) * channels + channel
        value = tl.load(maps + place, mask=there, other=0.0).to(tl.float32)
        total += value * tl.load(weight + tap * channels + channel, mask=within, other=0.0)
    return total


@triton.jit
def _depthwise(
    maps, weight, result, height, width, channels,
    columns: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    channel = tl.program_id(0) * block + tl.arange(0, block)[None, :]
    column = tl.program_id(1) * columns + tl.arange(0, columns)[:, None]
    row = tl.program_id(2)
    within = channel < channels
    total = _around(maps, weight, row, column, channel, height, width, channels, within)
    place = (row * width + column).to(tl.int64) * channels + channel
    tl.store(result + place, total.to(tl.float16), mask=within & (column < width))


@triton.jit
def _gate(
    maps, weight, result, height, width, hidden,
    columns: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    channel = tl.program_id(0) * block + tl.arange(0, block)[None, :]
    column = tl.program_id(1) * columns + tl.arange(0, columns)[:, None]
    row = tl.program_id(2)
    within = channel < hidden
    both = 2 * hidden
    gate = _around(maps, weight, row, column, channel, height, width, both, within)
    content = _around(maps, weight, row, column, channel + hidden, height, width, both, within)
    # GELU; 0.7071... is the square root of a half.
    gate = 0.5 * gate * (1.0 + tl.erf(gate * 0.7071067811865476))
    place = (row * width + column).to(tl.int64) * hidden + channel
    tl.store(result + place, (gate * content).to(tl.float16), mask=within & (column < width))


@triton.jit
def _products(
    maps, result, count,
    steps: tl.constexpr, channels: tl.constexpr, pixels: tl.constexpr,
):  # fmt: skip
    share = tl.program_id(0)
    channel = tl.arange(0, channels)[None, :]
    products = tl.zeros([channels, channels], tl.float32)
    queries = tl.zeros([channels], tl.float32)
    keys = tl.zeros([channels], tl.float32)
    for step in range(steps):
        pixel = (share.to(tl.int64) * steps + step) * pixels + tl.arange(0, pixels)[:, None]
        place = maps + pixel * (3 * channels) + channel
        query = tl.load(place, mask=pixel < count, other=0.0)
        key = tl.load(place + channels, mask=pixel < count, other=0.0)
        products += tl.dot(tl.trans(query), key)
        query = query.to(tl.float32)
        key = key.to(tl.float32)
        queries += tl.sum(query * query, 0)
        keys += tl.sum(key * key, 0)
    own = result + share * channels * (channels + 2)
    line = tl.arange(0, channels)
    tl.store(own + line[:, None] * channels + channel, products)
    tl.store(own + channels * channels + line, queries)
    tl.store(own + channels * channels + channels + line, keys)


@triton.jit
def _mix(
    sums, temperature, project, result, width,
    channels: tl.constexpr,
):  # fmt: skip
    line = tl.arange(0, channels)
    row, column = line[:, None], line[None, :]
    products = tl.load(sums + row * channels + column)
    query = tl.sqrt(tl.load(sums + channels * channels + row))
    key = tl.sqrt(tl.load(sums + channels * channels + channels + column))
    # As torch's normalize does.
    share = products / (tl.maximum(query, 1e-12) * tl.maximum(key, 1e-12))
    share *= tl.load(temperature + row // width)
    share = tl.where(row // width == column // width, share, float('-inf'))
    share = tl.exp(share - tl.max(share, 1)[:, None])
    share = share / tl.sum(share, 1)[:, None]
    weight = tl.load(project + row * channels + column)
    mixed = tl.dot(weight, share, input_precision='ieee')
    tl.store(result + row * channels + column, mixed.to(tl.float16))


@triton.jit
def _edges(
    maps, result, height, width, channels,
    columns: tl.constexpr, block: tl.constexpr,
):  # fmt: skip
    channel = tl.program_id(0) * block + tl.arange(0, block)[None, :]
    column = tl.program_id(1) * columns + tl.arange(0, columns)[:, None]
    row = tl.program_id(2)
    there = (channel < channels) & (column < width)
    across = tl.zeros([columns, block], tl.float32)
    down = tl.zeros([columns, block], tl.float32)
    for tap in tl.static_range(9):
        y = tl.minimum(tl.maximum(row + tap // 3 - 1, 0), height - 1)
        x = tl.minimum(tl.maximum(column + tap % 3 - 1, 0), width - 1)
        place = (y * width + x).to(tl.int64) * channels + channel
        value = tl.load(maps + place, mask=there, other=0.0).to(tl.float32)
        # Sobel's weights: minus one, nought, one along, and one, two, one across.
        across += value * ((tap % 3 - 1) * (2 - (tap // 3 - 1) * (tap // 3 - 1)))
        down += value * ((tap // 3 - 1) * (2 - (tap % 3 - 1) * (tap % 3 - 1)))
    place = (row * width + column).to(tl.int64) * channels + channel
    tl.store(result + place, (tl.abs(across) + tl.abs(down)).to(tl.float16), mask=there)


def normalize(maps: Tensor, weight: Tensor) -> Tensor:
    """Do what BiasFreeLayerNorm does; ``weight`` is (C,) float32."""
    count, channels = maps.shape
    result = torch.empty_like(maps)
    width = triton.next_power_of_2(channels)
    _normalize[(triton.cdiv(count, _PIXELS),)](
        maps, weight, result, count, channels, width=width, pixels=_PIXELS
    )
    return result


def depthwise(maps: Tensor, weight: Tensor, size: tuple[int, int]) -> Tensor:
    """Convolve each channel by its own 3x3 of ``weight``, (9, C) float32; zeros around."""
    result = torch.empty_like(maps)
    channels = maps.shape[1]
    _depthwise[_grid(channels, size)](
        maps, weight, result, *size, channels, columns=_COLUMNS, block=_CHANNELS
    )
    return result


def gate(maps: Tensor, weight: Tensor, size: tuple[int, int]) -> Tensor:
    """Convolve likewise, and return GELU of the first half of the channels times the second."""
    hidden = maps.shape[1] // 2
    result = maps.new_empty(maps.shape[0], hidden)
    _gate[_grid(hidden, size)](
        maps, weight, result, *size, hidden, columns=_COLUMNS, block=_CHANNELS
    )
    return result


def attention(maps: Tensor, temperature: Tensor, project: Tensor) -> Tensor:
    """
    Return the matrix that TransposedAttention multiplies the values of a pixel by.

    Parameters
    ----------
    maps
        (P, 3 C): queries, keys and values; C a power of two, 16 or more.
    temperature
        (heads,) float32.
    project
        (C, C) float32, the weights of the last convolution: its product with the attention map
        is returned, (C, C) float16.

    """
    count, channels = maps.shape[0], maps.shape[1] // 3
    shares = min(_SHARES, triton.cdiv(count, _PIXELS))
    steps = triton.cdiv(count, _PIXELS * shares)
    parts = torch.empty(shares, channels * (channels + 2), device=maps.device)
    _products[(shares,)](maps, parts, count, steps=steps, channels=channels, pixels=_PIXELS)
    result = maps.new_empty(channels, channels)
    width = channels // temperature.numel()
    _mix[(1,)](parts.sum(0), temperature, project, result, width, channels=channels)
    return result


def edges(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Do what SobelMagnitude does."""
    result = torch.empty_like(maps)
    channels = maps.shape[1]
    _edges[_grid(channels, size)](maps, result, *size, channels, columns=_COLUMNS, block=_CHANNELS)
    return result


def _grid(channels: int, size: tuple[int, int]) -> tuple[int, int, int]:
    height, width = size
    return triton.cdiv(channels, _CHANNELS), triton.cdiv(width, _COLUMNS), height
