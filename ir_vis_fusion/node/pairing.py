"""The synchronizer as the node uses it: jumps of the clock counted, the offset measured."""

from collections import deque
import dataclasses
import statistics
from typing import Any

from ir_vis_fusion.config import SynchronizerSettings
from ir_vis_fusion.synchronization import MatchedPair, PairSynchronizer, SynchronizerCounters
from ir_vis_fusion.types import Role

_WINDOW = 64


class Pairing:
    """Pair messages by their stamps; for the executor's thread only."""

    def __init__(self, settings: SynchronizerSettings) -> None:
        self._synchronizer = PairSynchronizer(settings)
        self._clock_jumps = 0
        self._last_thermal_ns: int | None = None
        self._offsets_ns: deque[int] = deque(maxlen=_WINDOW)

    def add(self, role: Role, stamp_ns: int, message: Any) -> list[MatchedPair]:
        """Take a message and return the pairs that are now complete."""
        if role is Role.THERMAL:
            self._last_thermal_ns = stamp_ns
            return self._synchronizer.add_thermal(stamp_ns, message)
        if self._last_thermal_ns is not None:
            self._offsets_ns.append(self._last_thermal_ns - stamp_ns)
        return self._synchronizer.add_visible(stamp_ns, message)

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
