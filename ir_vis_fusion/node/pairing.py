"""From messages to jobs: pairs, and images alone where the ladder says so; ROS-free."""

from collections import deque
from collections.abc import Iterator
import dataclasses
from dataclasses import dataclass
import statistics
import time
from typing import Any, NamedTuple

from ir_vis_fusion.config import SynchronizerSettings
from ir_vis_fusion.node.ladder import Ladder
from ir_vis_fusion.synchronization import MatchedPair, PairSynchronizer, SynchronizerCounters
from ir_vis_fusion.types import Role

_WINDOW = 64


@dataclass(frozen=True)
class Job:
    """
    What a frame is to be made from: a pair, or one side alone and None for the other.

    ``stamp_ns`` is the stamp under which it will be published: the visible image's or, without
    one, the thermal image's with the time offset of the streams; stamps of one ``generation``
    are to be compared. ``arrived_s`` is the steady time at which that image came.
    """

    thermal: Any
    visible: Any
    stamp_ns: int
    offset_ns: int
    generation: int
    arrived_s: float


class _Arrival(NamedTuple):
    message: Any
    at_s: float


class Pairing:
    """The synchronizer and the ladder behind one door; for the executor's thread only."""

    def __init__(self, settings: SynchronizerSettings, ladder: Ladder) -> None:
        self._synchronizer = PairSynchronizer(settings)
        self._ladder = ladder
        self._time_offset_ns = round(settings.thermal_time_offset_ms * 1e6)
        self._generation = self._synchronizer.generation
        self._clock_jumps = 0
        self._last_thermal_ns: int | None = None
        self._offsets_ns: deque[int] = deque(maxlen=_WINDOW)

    def add(self, role: Role, stamp_ns: int, message: Any, fusing: bool = True) -> list[Job]:
        """
        Take a message and return what is to be done now, in order.

        Parameters
        ----------
        role, stamp_ns, message
            Whose image it is, its own stamp, and the image, whatever it is.
        fusing
            False: visible images are wanted as they are, and pairs are not.

        """
        arrival = _Arrival(message, time.monotonic())
        if role is Role.THERMAL:
            self._last_thermal_ns = stamp_ns
            pairs = self._synchronizer.add_thermal(stamp_ns, arrival)
        else:
            if self._last_thermal_ns is not None:
                self._offsets_ns.append(self._last_thermal_ns - stamp_ns)
            pairs = self._synchronizer.add_visible(stamp_ns, arrival)
        if self._generation != self._synchronizer.generation:
            self._generation = self._synchronizer.generation
            self._ladder.restart()
        jobs = list(self._alone(role, stamp_ns, arrival, fusing))
        for pair in pairs:
            if self._ladder.take_pair(pair.visible_stamp_ns, fusing):
                jobs.append(_job(pair))
        return jobs

    def reset(self, clock_jumped: bool = False) -> None:
        """Start anew; a jump of the clock is counted here, the stamps cannot show it any more."""
        self._clock_jumps += clock_jumped
        self._synchronizer.reset()
        self._last_thermal_ns = None
        self._offsets_ns.clear()

    def counters(self) -> SynchronizerCounters:
        """Return the synchronizer's counts; jumps are those of stamps and of the clock."""
        counters = self._synchronizer.counters
        return dataclasses.replace(counters, jumps=counters.jumps + self._clock_jumps)

    def measured_offset_ms(self) -> float | None:
        """
        Return how much later thermal is stamped than visible, None before both were seen.

        It compares what arrived last, matched or not, so it is right to about a period of the
        thermal camera; that is enough to say why nothing matches, and for nothing else.
        """
        return statistics.median(self._offsets_ns) / 1e6 if self._offsets_ns else None

    def _alone(self, role: Role, stamp_ns: int, arrival: _Arrival, fusing: bool) -> Iterator[Job]:
        if stamp_ns <= 0:
            return
        facts = {'offset_ns': 0, 'generation': self._generation, 'arrived_s': arrival.at_s}
        if role is Role.VISIBLE:
            if self._ladder.take_visible(stamp_ns, fusing):
                yield Job(None, arrival.message, stamp_ns, **facts)
            return
        stamp_ns += self._time_offset_ns
        if self._ladder.take_thermal(stamp_ns):
            yield Job(arrival.message, None, stamp_ns, **facts)


def _job(pair: MatchedPair) -> Job:
    return Job(
        thermal=pair.thermal.message,
        visible=pair.visible.message,
        stamp_ns=pair.visible_stamp_ns,
        offset_ns=pair.offset_ns,
        generation=pair.generation,
        arrived_s=pair.visible.at_s,
    )
