"""Stamp jitter: how unevenly a stream is stamped."""

from torch import Tensor


def jitter(stamps_ns: Tensor) -> Tensor:
    r"""
    Return the mean deviation of the intervals between stamps from their median, in ms.

    .. math::
        jitter = \overline{| d_i - \mathrm{median}(d) |}, \quad d_i = t_{i+1} - t_i

    0 for a steady clock at whatever rate. Intervals that do not go forward (a bag that starts
    over) are left out; one that is n times too long, for images are missing, counts.

    Variant: ours; RFC 3550 smooths the deviation from the time of arrival instead.

    Parameters
    ----------
    stamps_ns
        (N,) int64, nanoseconds.

    Returns
    -------
    () float64, NaN where fewer than two intervals are left.

    """
    intervals = stamps_ns.diff()
    intervals = intervals[intervals > 0].double() / 1e6
    if len(intervals) < 2:
        return intervals.new_tensor(float('nan'))
    return (intervals - intervals.quantile(0.5)).abs().mean()
