"""What becomes of the frames, counted by the worker thread: ROS-free."""

from collections import Counter, deque
import threading
import time

from ir_vis_fusion.errors import EncodingError
from ir_vis_fusion.node.freshness import OTHER_CLOCK_NS
from ir_vis_fusion.node.snapshot import FrameSnapshot
from ir_vis_fusion.types import FusedFrame, Mode, ThermalState

_WINDOW = 300
_LONGEST_TEXT = 600


class FrameStatistics:
    """Counts of the worker thread, read by the status timer."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failures: Counter[str] = Counter()
        self._last_failure = ''
        self._published: Counter[Mode] = Counter()
        self._dropped: Counter[str] = Counter()
        self._mode = Mode.NONE
        self._published_at_s: float | None = None
        self._latency_ms: deque[float] = deque(maxlen=_WINDOW)
        self._processing_ms: deque[float] = deque(maxlen=_WINDOW)
        self._clock_error_s: float | None = None
        self._thermal_state = ThermalState.LIVE

    def add_failure(self, where: str, error: Exception) -> None:
        """Count an image that could not be used; ``where`` names the step."""
        kind = error.kind if isinstance(error, EncodingError) else type(error).__name__
        with self._lock:
            self._failures[f'{where}_{kind}'] += 1
            # It goes out with every status; a library may quote what it was given.
            self._last_failure = f'{where}: {error}'[:_LONGEST_TEXT]

    def add_dropped(self, why: str) -> None:
        """Count a frame that was not published though it could have been made."""
        with self._lock:
            self._dropped[why] += 1

    def add_frozen(self, state: ThermalState) -> None:
        """Count one that was not published because the thermal image shows no scene."""
        with self._lock:
            self._dropped['frozen'] += 1
            self._thermal_state = state

    def add_published(self, fused: FusedFrame, processing_ms: float, latency_ms: float) -> None:
        """Count a published frame."""
        with self._lock:
            self._mode, self._published_at_s = fused.mode, time.monotonic()
            self._published[fused.mode] += 1
            if fused.mode is Mode.FUSED:
                self._processing_ms.append(processing_ms)
            # A visible image that is published alone knows nothing of why.
            if fused.mode is not Mode.VISIBLE_ONLY or fused.thermal_state is not ThermalState.LIVE:
                self._thermal_state = fused.thermal_state
            if abs(latency_ms) < OTHER_CLOCK_NS / 1e6:
                self._latency_ms.append(latency_ms)
                self._clock_error_s = None
            else:
                self._clock_error_s = latency_ms / 1e3

    def snapshot(self) -> FrameSnapshot:
        """Return the counts as they are now."""
        with self._lock:
            at_s = self._published_at_s
            return FrameSnapshot(
                published=dict(self._published),
                dropped=dict(self._dropped),
                mode=self._mode,
                silent_s=None if at_s is None else time.monotonic() - at_s,
                failures=dict(self._failures),
                last_failure=self._last_failure,
                latency_ms=tuple(self._latency_ms),
                processing_ms=tuple(self._processing_ms),
                clock_error_s=self._clock_error_s,
                thermal_state=self._thermal_state,
            )
