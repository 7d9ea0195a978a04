"""What becomes of the pairs, counted by the worker thread: ROS-free."""

from collections import Counter, deque
import threading

from ir_vis_fusion.errors import EncodingError
from ir_vis_fusion.node.diagnostics import FrameSnapshot, OTHER_CLOCK_MS
from ir_vis_fusion.types import FusedFrame, ThermalState

_WINDOW = 300
_LONGEST_TEXT = 600


class FrameStatistics:
    """Counts of the worker thread, read by the status timer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: Counter[str] = Counter()
        self._last_failure = ''
        self._published = 0
        self._latency_ms: deque[float] = deque(maxlen=_WINDOW)
        self._processing_ms: deque[float] = deque(maxlen=_WINDOW)
        self._clock_error_s: float | None = None
        self._thermal_state = ThermalState.LIVE

    def add_failure(self, where: str, error: Exception) -> None:
        """Count a pair that could not be fused; ``where`` names the step."""
        kind = error.kind if isinstance(error, EncodingError) else type(error).__name__
        with self._lock:
            self._failures[f'{where}_{kind}'] += 1
            # It goes out with every status; a library may quote what it was given.
            self._last_failure = f'{where}: {error}'[:_LONGEST_TEXT]

    def add_fused(self, fused: FusedFrame, processing_ms: float, latency_ms: float) -> None:
        """Count a published pair."""
        with self._lock:
            self._published += 1
            self._processing_ms.append(processing_ms)
            self._thermal_state = fused.thermal_state
            if abs(latency_ms) < OTHER_CLOCK_MS:
                self._latency_ms.append(latency_ms)
                self._clock_error_s = None
            else:
                self._clock_error_s = latency_ms / 1e3

    def snapshot(self) -> FrameSnapshot:
        """Return the counts as they are now."""
        with self._lock:
            return FrameSnapshot(
                published=self._published,
                failures=dict(self._failures),
                last_failure=self._last_failure,
                latency_ms=tuple(self._latency_ms),
                processing_ms=tuple(self._processing_ms),
                clock_error_s=self._clock_error_s,
                thermal_state=self._thermal_state,
            )
