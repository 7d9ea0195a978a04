"""Rate, age and loss of one stream of images: ROS-free."""

from collections import deque
import statistics

from ir_vis_fusion.node.freshness import OTHER_CLOCK_NS

_WINDOW = 60
_STEPS = 9
# A longer gap is a pause of the camera or a jump of its clock, not images lost on the way.
_LONGEST_GAP_NS = 1_000_000_000


class StreamMeter:
    """Measures a stream image by image, each in constant time; from one thread."""

    def __init__(self) -> None:
        self.lost = 0
        self._arrivals_s: deque[float] = deque(maxlen=_WINDOW)
        self._ages_ns: deque[int] = deque(maxlen=_WINDOW)
        self._steps_ns: deque[int] = deque(maxlen=_STEPS)
        self._newest_ns: int | None = None

    @property
    def last_s(self) -> float | None:
        """The steady time of the last image, None before the first."""
        return self._arrivals_s[-1] if self._arrivals_s else None

    def add(self, stamp_ns: int, now_ns: int, now_s: float) -> None:
        """Take note of an image: its stamp, and the time by the node's and by a steady clock."""
        self._arrivals_s.append(now_s)
        self._ages_ns.append(now_ns - stamp_ns)
        if self._newest_ns is not None:
            self._count_lost(stamp_ns - self._newest_ns)
        self._newest_ns = stamp_ns

    def rate_hz(self, now_s: float) -> float | None:
        """Return how often images come, of the last 60 and the time since; None of less than 2."""
        count = len(self._arrivals_s)
        if count < 2:
            return None
        span_s = self._arrivals_s[-1] - self._arrivals_s[0]
        period_s = span_s / (count - 1)
        # A stream that is silent slows down by the measure too.
        silent_s = now_s - self._arrivals_s[-1]
        return 1 / max(period_s, silent_s / 2, 1e-9)

    def age_ms(self) -> float | None:
        """Return the median age at arrival, None where the stamps are of another clock."""
        if not self._ages_ns:
            return None
        age_ns = statistics.median(self._ages_ns)
        return age_ns / 1e6 if abs(age_ns) < OTHER_CLOCK_NS else None

    def _count_lost(self, step_ns: int) -> None:
        """Count the stamps that the rhythm of the stream lets miss."""
        if not 0 < step_ns < _LONGEST_GAP_NS:
            self._steps_ns.clear()
            return
        periods = 1
        if len(self._steps_ns) == _STEPS:
            # Not the median: stamps that come early and late by turns have none of the two.
            periods = max(1, round(step_ns / statistics.fmean(self._steps_ns)))
            self.lost += periods - 1
        self._steps_ns.append(step_ns // periods)
