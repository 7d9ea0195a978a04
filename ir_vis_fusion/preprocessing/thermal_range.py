"""
The range of thermal levels that becomes [0, 1]: measured in one image, followed over time.

Levels are numbers in 0 ... 65535. All of it happens on the CPU, in a tenth of the time that torch
takes for so few numbers.
"""

import math
from typing import TypeAlias

from ir_vis_fusion.preprocessing.sample import Sample

# Low and high end, NaN where nothing was finite.
Ends: TypeAlias = tuple[float, float]

# Share of the span by which an end of the range may be off: within it the picture stands still,
# so neither noise nor small things that move shift the grey of all others. On real video this
# takes away a third to all of the flicker that is left after smoothing.
_DEAD_BAND = 0.04


def measure(sample: Sample, percentiles: tuple[float, float], reach: float) -> Ends:
    """
    Return two percentiles of a sample as whole levels.

    Parameters
    ----------
    sample
        Of an image in levels.
    percentiles
        The low and the high one, in [0, 100].
    reach
        How far either may be from the median, in levels; may be infinite.

    """
    low, median, high = sample.percentiles(percentiles[0], 50.0, percentiles[1])
    return max(low, median - reach), min(high, median + reach)


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
    if math.isnan(measured[0]) or math.isnan(last[0]):
        return last if math.isnan(measured[0]) else measured
    band = max(measured[1] - measured[0], least) * _DEAD_BAND
    ends = []
    for before, now, outwards in zip(last, measured, (-1, 1), strict=True):
        change = now - before
        change -= min(max(change, -band), band)
        ends.append(before + change * (attack if change * outwards > 0 else decay))
    return tuple(ends)


def low_and_span(ends: Ends, least: float) -> tuple[float, float]:
    """Return a range as its low end and span, widened about the middle to the least span."""
    low, high = ends
    span = max(high - low, least)
    return (low + high - span) / 2, span
