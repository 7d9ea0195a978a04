"""The synchronizer as the node uses it: behind a lock, with the streams' offset measured."""

from collections import deque
import statistics
import threading
from typing import Any

from ir_vis_fusion.config import SynchronizerSettings
from ir_vis_fusion.synchronization import MatchedPair, PairSynchronizer, SynchronizerCounters
from ir_vis_fusion.types import Role

_WINDOW = 64


class Pairing:
    """Pair messages by their stamps."""

    def __init__(self, settings: SynchronizerSettings) -> None:
        self._lock = threading.Lock()
        self._synchronizer = PairSynchronizer(settings)
        self._last_thermal_ns: int | None = None
        self._offsets_ns: deque[int] = deque(maxlen=_WINDOW)

    def add(self, role: Role, stamp_ns: int, message: Any) -> list[MatchedPair]:
        """Take a message and return the pairs that are now complete."""
        with self._lock:
            if role is Role.THERMAL:
                self._last_thermal_ns = stamp_ns
                return self._synchronizer.add_thermal(stamp_ns, message)
            if self._last_thermal_ns is not None:
                self._offsets_ns.append(self._last_thermal_ns - stamp_ns)
            return self._synchronizer.add_visible(stamp_ns, message)

    def reset(self) -> None:
        """Start anew: time has jumped."""
        with self._lock:
            self._synchronizer.reset()
            self._last_thermal_ns = None
            self._offsets_ns.clear()

    def counters(self) -> SynchronizerCounters:
        """Return the synchronizer's counts."""
        with self._lock:
            return self._synchronizer.counters

    def measured_offset_ms(self) -> float | None:
        """
        Return how much later thermal is stamped than visible, None before both were seen.

        It compares what arrived last, matched or not, so it is right to about a period of the
        thermal camera; that is enough to say why nothing matches.
        """
        with self._lock:
            return statistics.median(self._offsets_ns) / 1e6 if self._offsets_ns else None
