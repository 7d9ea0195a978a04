"""
Two stamped streams to pairs, without ROS and without threads; the caller locks.

Stamps alone decide, never the order of arrival between the streams nor the wall clock, so that
a bag, a video and live cameras give the same pairs.
"""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
import math
import statistics
from typing import Any

from ir_vis_fusion.config import SynchronizerSettings

# Half a second at 60 Hz: what a stream may be ahead of the other by transport.
_MOST_WAITING = 32
_INTERVALS = 9
_OFFSETS = 300

# Share of a period that is jitter. A later image takes a partner away only where it is nearer
# by more than that: each flip between neighbours leaves an image alone, which cost 18 % of the
# pairs of two free-running 30 Hz cameras half a period apart (stamps +-1 ms), and now none.
_JITTER = 1 / 8


@dataclass(frozen=True)
class MatchedPair:
    """
    A thermal and a visible item of the same moment.

    ``offset_ns`` is the corrected thermal stamp minus the visible one. Visible stamps strictly
    increase as long as ``generation`` stays.
    """

    thermal: Any
    visible: Any
    visible_stamp_ns: int
    offset_ns: int
    generation: int


@dataclass(frozen=True)
class SynchronizerCounters:
    """
    What became of the images so far.

    Unmatched images had no partner or waited at a reset. Invalid stamps are zero or negative.
    Overflow counts images that were given up because too many waited (one stream is silent).
    The offsets are those of the last 300 pairs: their mean with its sign, for setting
    ``thermal_time_offset_ms``, and the 95th percentile of their size.
    """

    thermal_received: int = 0
    visible_received: int = 0
    matched: int = 0
    thermal_unmatched: int = 0
    visible_unmatched: int = 0
    out_of_order: int = 0
    invalid_stamp: int = 0
    jumps: int = 0
    overflow: int = 0
    offset_mean_ms: float = 0.0
    offset_p95_ms: float = 0.0


@dataclass
class _Entry:
    stamp_ns: int
    item: Any
    used: bool = False


class _Stream:
    """The images of one camera that wait, oldest first, and the camera's rhythm."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.waiting: deque[_Entry] = deque()
        self.newest_ns: int | None = None
        self.period_ns = 0.0
        self._intervals: deque[int] = deque(maxlen=_INTERVALS)

    def append(self, stamp_ns: int, item: Any) -> None:
        if self.newest_ns is not None:
            self._intervals.append(stamp_ns - self.newest_ns)
            self.period_ns = statistics.median(self._intervals)
        self.newest_ns = stamp_ns
        self.waiting.append(_Entry(stamp_ns, item))


class PairSynchronizer:
    """
    Pairs images of two streams by their stamps; amortised O(1) for an image.

    ``both_new``: an image is used at most once, with the one that is nearest to it and to
    which it is nearest. A pair is returned as soon as no image to come can be nearer by the
    period of its stream. ``hold_thermal``: each visible image takes the newest thermal image
    that is not too old, and waits only for one that is due.
    """

    def __init__(self, settings: SynchronizerSettings) -> None:
        self._max_offset_ns = _nanoseconds(settings.max_offset_ms)
        self._max_wait_ns = _nanoseconds(settings.max_wait_ms)
        self._max_age_ns = _nanoseconds(settings.max_thermal_age_ms)
        self._time_offset_ns = _nanoseconds(settings.thermal_time_offset_ms)
        self._jump_back_ns = _nanoseconds(settings.jump_back_ms)
        self._match = self._hold_thermal if settings.mode == 'hold_thermal' else self._both_new
        self._counts: Counter[str] = Counter()
        self._offsets_ns: deque[int] = deque(maxlen=_OFFSETS)
        self._thermal, self._visible = _Stream('thermal'), _Stream('visible')
        self.generation = 0

    @property
    def counters(self) -> SynchronizerCounters:
        """A snapshot of what became of the images."""
        if not self._offsets_ns:
            return SynchronizerCounters(**self._counts)
        sizes = sorted(map(abs, self._offsets_ns))
        return SynchronizerCounters(
            **self._counts,
            offset_mean_ms=statistics.fmean(self._offsets_ns) / 1e6,
            offset_p95_ms=sizes[math.ceil(0.95 * len(sizes)) - 1] / 1e6,
        )

    def add_thermal(self, stamp_ns: int, item: Any) -> list[MatchedPair]:
        """Take a thermal image with its own stamp and return the pairs that are decided."""
        return self._add(self._thermal, stamp_ns, self._time_offset_ns, item)

    def add_visible(self, stamp_ns: int, item: Any) -> list[MatchedPair]:
        """Take a visible image and return the pairs that are decided."""
        return self._add(self._visible, stamp_ns, 0, item)

    def flush(self) -> list[MatchedPair]:
        """Decide about all that wait: no further image comes."""
        pairs = list(self._match(ending=True))
        self._release_all()
        return pairs

    def reset(self) -> None:
        """Give up what waits and begin a new generation; the counters go on."""
        self._release_all()
        self._thermal, self._visible = _Stream('thermal'), _Stream('visible')
        self.generation += 1

    def _add(
        self, stream: _Stream, stamp_ns: int, correction_ns: int, item: Any
    ) -> list[MatchedPair]:
        self._counts[f'{stream.name}_received'] += 1
        if stamp_ns <= 0:
            self._counts['invalid_stamp'] += 1
            return []
        stamp_ns += correction_ns
        if stream.newest_ns is not None and stamp_ns <= stream.newest_ns:
            if stream.newest_ns - stamp_ns <= self._jump_back_ns:
                self._counts['out_of_order'] += 1
                return []
            self._counts['jumps'] += 1
            self.reset()
            stream = self._thermal if stream.name == 'thermal' else self._visible
        stream.append(stamp_ns, item)
        pairs = list(self._match(ending=False))
        if len(stream.waiting) > _MOST_WAITING:
            stream.waiting.popleft()
            self._counts['overflow'] += 1
        return pairs

    def _both_new(self, ending: bool) -> Iterator[MatchedPair]:
        thermal, visible = self._thermal.waiting, self._visible.waiting
        while thermal and visible:
            # All before the two heads is settled, so the later head is the nearest to the
            # earlier one; only the earlier one's successor can be nearer to the later head.
            early, late = self._thermal, self._visible
            if visible[0].stamp_ns < thermal[0].stamp_ns:
                early, late = late, early
            late_ns = late.waiting[0].stamp_ns
            gap_ns = late_ns - early.waiting[0].stamp_ns
            jitter_ns = _JITTER * early.period_ns
            if gap_ns > self._max_offset_ns:
                self._release(early)
            elif len(early.waiting) > 1:
                if abs(early.waiting[1].stamp_ns - late_ns) + jitter_ns < gap_ns:
                    self._release(early)
                else:
                    yield self._pair()
            elif ending or 2 * gap_ns <= early.period_ns + jitter_ns or self._overdue():
                yield self._pair()
            else:
                return
        while visible and self._overdue():
            self._release(self._visible)

    def _hold_thermal(self, ending: bool) -> Iterator[MatchedPair]:
        thermal, visible = self._thermal.waiting, self._visible.waiting
        while visible and (ending or not self._thermal_is_due() or self._overdue()):
            visible_ns = visible[0].stamp_ns
            while len(thermal) > 1 and thermal[1].stamp_ns <= visible_ns + self._max_offset_ns:
                self._release(self._thermal)
            age_ns = visible_ns - thermal[0].stamp_ns if thermal else math.inf
            if -self._max_offset_ns <= age_ns <= self._max_age_ns:
                yield self._pair(hold=True)
            else:
                self._release(self._visible)

    def _thermal_is_due(self) -> bool:
        """Tell whether a thermal image not later than the first visible one is under way."""
        newest_ns, visible_ns = self._thermal.newest_ns, self._visible.waiting[0].stamp_ns
        if newest_ns is None or newest_ns >= visible_ns:
            return newest_ns is None
        return newest_ns + (1 - _JITTER) * self._thermal.period_ns <= visible_ns

    def _overdue(self) -> bool:
        """Tell whether the first visible image has waited long enough."""
        newest_ns = max(self._thermal.newest_ns or 0, self._visible.newest_ns or 0)
        return newest_ns >= self._visible.waiting[0].stamp_ns + self._max_wait_ns

    def _pair(self, hold: bool = False) -> MatchedPair:
        visible = self._visible.waiting.popleft()
        thermal = self._thermal.waiting[0] if hold else self._thermal.waiting.popleft()
        thermal.used = True
        offset_ns = thermal.stamp_ns - visible.stamp_ns
        self._counts['matched'] += 1
        self._offsets_ns.append(offset_ns)
        return MatchedPair(
            thermal.item, visible.item, visible.stamp_ns, offset_ns, self.generation
        )

    def _release(self, stream: _Stream) -> None:
        if not stream.waiting.popleft().used:
            self._counts[f'{stream.name}_unmatched'] += 1

    def _release_all(self) -> None:
        for stream in (self._thermal, self._visible):
            while stream.waiting:
                self._release(stream)


def _nanoseconds(milliseconds: float) -> int:
    return round(milliseconds * 1e6)
