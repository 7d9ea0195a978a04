"""
The range of thermal levels that becomes [0, 1]: measured in one image, followed over time.

Levels are numbers in 0 ... 65535. On a CPU the ends of a range are two floats, with which Python
calculates in a tenth of torch's time; elsewhere they are a tensor on the device, so that nothing
is waited for.
"""

import math
from typing import TypeAlias

import numpy as np
import torch
from torch import Tensor

# Low and high end, NaN where nothing was finite; a tensor is (2,) float32.
Ends: TypeAlias = tuple[float, float] | Tensor

_LAST = (1 << 16) - 1
# Share of the span by which an end of the range may be off: within it the picture stands still,
# so neither noise nor small things that move shift the grey of all others. On real video this
# takes away a third to all of the flicker that is left after smoothing.
_DEAD_BAND = 0.04


def measure(sample: Tensor, percentiles: tuple[float, float], reach: float) -> Ends:
    """
    Return two percentiles of a sample as whole levels.

    Parameters
    ----------
    sample
        Of any shape; uint8, uint16, or float32 of which what is not finite does not count.
    percentiles
        The low and the high one, in [0, 100].
    reach
        How far either may be from the median, in levels; may be infinite.

    """
    if sample.device.type != 'cpu':
        return measure_on_device(sample, percentiles, reach)
    low, median, high = by_histogram(sample, (percentiles[0], 50.0, percentiles[1]))
    return max(low, median - reach), min(high, median + reach)


def measure_on_device(sample: Tensor, percentiles: tuple[float, float], reach: float) -> Tensor:
    """Do what :func:`measure` does on any device, without a wait for it."""
    found = by_sorting(sample, (percentiles[0], 50.0, percentiles[1]))
    return found[::2].clamp(found[1] - reach, found[1] + reach)


def by_histogram(sample: Tensor, percentiles: tuple[float, ...]) -> tuple[float, ...]:
    """
    Return levels by nearest rank, for a sample on the CPU.

    In a quarter of the time of a partition, whose branches no processor foresees.
    """
    pixels = sample.numpy().ravel()
    if pixels.dtype == np.float32:
        pixels = pixels[np.isfinite(pixels)]
        if not pixels.size:
            return (math.nan,) * len(percentiles)
        pixels = np.clip(pixels + 0.5, 0, _LAST)
    levels = pixels.astype(np.int64)
    lowest = levels.min()
    levels -= lowest
    counts = np.bincount(levels).cumsum()
    ranks = [round((pixels.size - 1) * (percent / 100)) + 1 for percent in percentiles]
    return tuple(float(lowest + place) for place in counts.searchsorted(ranks))


def by_sorting(sample: Tensor, percentiles: tuple[float, ...]) -> Tensor:
    """Return levels by nearest rank, as a tensor; on any device without a wait for it."""
    pixels = sample.flatten().to(torch.float32)
    ordered = pixels.masked_fill(~pixels.isfinite(), math.nan).sort().values
    last = (ordered.isfinite().sum() - 1).clamp(min=0)
    ranks = torch.stack([last * (percent / 100) for percent in percentiles]).round()
    return ordered[ranks.to(torch.int64)].add(0.5).floor().clamp(0, _LAST)


def follow(last: Ends, measured: Ends, least: float, attack: float, decay: float) -> Ends:
    """
    Move a range to the dead band about the measured one; where one is NaN, the other one stands.

    Parameters
    ----------
    last
        The range before.
    measured
        That of the new image.
    least
        Smallest span, in levels, that the dead band is a share of.
    attack, decay
        Shares of the way by which an end moves outwards and inwards.

    """
    if isinstance(measured, Tensor):
        return _follow_on_device(last, measured, least, attack, decay)
    if math.isnan(measured[0]) or math.isnan(last[0]):
        return last if math.isnan(measured[0]) else measured
    band = max(measured[1] - measured[0], least) * _DEAD_BAND
    ends = []
    for before, now, outwards in zip(last, measured, (-1, 1), strict=True):
        change = now - before
        change -= min(max(change, -band), band)
        ends.append(before + change * (attack if change * outwards > 0 else decay))
    return tuple(ends)


def _follow_on_device(
    last: Tensor, measured: Tensor, least: float, attack: float, decay: float
) -> Tensor:
    change = measured - last
    band = (measured[1] - measured[0]).clamp(min=least) * _DEAD_BAND
    change -= change.clamp(-band, band)
    widens = torch.stack([change[0] < 0, change[1] > 0])
    followed = last + change * torch.where(widens, attack, decay)
    followed = torch.where(measured.isnan(), last, followed)
    return torch.where(last.isnan(), measured, followed)


def low_and_span(ends: Ends, least: float) -> tuple[float | Tensor, float | Tensor]:
    """Return a range as its low end and span, widened about the middle to the least span."""
    low, high = ends
    span = high - low
    span = span.clamp(min=least) if isinstance(span, Tensor) else max(span, least)
    return (low + high - span) / 2, span
