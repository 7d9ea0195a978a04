"""
When one camera is of no use, the other one alone: ROS-free.

Time is that of the stamps, each stream's own, so that a bag at any rate and cameras on different
clocks come to the same result; a stream that stands still lets no time pass. What must be known
when all of them stand still is found by the age of the last published frame, in steady time.
"""

from collections import deque
import math
import statistics
import threading

from ir_vis_fusion.node.parameters import LadderSettings
from ir_vis_fusion.types import Frame, Mode, PixelEncoding
import numpy as np

_STEPS = 5
# A camera is not lost before it is overdue by so many periods of the slower camera: between two
# images of a 9 Hz core 111 ms are nothing. Nor is a slow camera waited for longer than this.
_PERIODS = 2.5
_LONGEST_NS = 1_000_000_000
_LUMA = {
    PixelEncoding.MONO8: np.array([1.0]),
    PixelEncoding.RGB8: np.array([0.299, 0.587, 0.114]),
    PixelEncoding.BGR8: np.array([0.114, 0.587, 0.299]),
}


def mean_luma(frame: Frame) -> float:
    """Return the mean luma of a visible frame, 0 to 255, of every 16th pixel of every 16th row."""
    sample = frame.image[::16, ::16].reshape(-1, _LUMA[frame.encoding].size)
    return float(sample.mean(axis=0) @ _LUMA[frame.encoding])


class _Rhythm:
    """How far a stream goes on with each image, and its usual step."""

    def __init__(self) -> None:
        self.newest_ns: int | None = None
        self.period_ns = math.inf
        self._steps: deque[int] = deque(maxlen=_STEPS)

    def step(self, stamp_ns: int) -> int | None:
        """Take a stamp and return by how much it is the newest; None where it is not."""
        if stamp_ns <= (self.newest_ns or 0):
            return None
        step_ns = stamp_ns - self.newest_ns if self.newest_ns is not None else 0
        if step_ns:
            self._steps.append(step_ns)
            self.period_ns = statistics.median(self._steps)
        self.newest_ns = stamp_ns
        return step_ns


class _Presence:
    """
    Whether something is there: lost after a time without, back after a time with it.

    A single step counts for half the time at most, however long it is: one gap in the stream
    that measures the time says nothing about the other one.
    """

    def __init__(self, lost_ms: float, back_ms: float) -> None:
        self.lost = False
        self._lost_ns = lost_ms * 1e6
        self._back_ns = back_ms * 1e6
        self._without_ns = 0.0
        self._since_ns: int | None = None

    def miss(self, step_ns: int, period_ns: float) -> None:
        """Let time pass without it; the period is that of the slower camera."""
        limit_ns = max(self._lost_ns, min(_PERIODS * period_ns, _LONGEST_NS))
        self._without_ns += min(step_ns, limit_ns / 2)
        if self._without_ns > limit_ns:
            self.fail()

    def fail(self) -> None:
        """Take it for lost at once."""
        self.lost, self._since_ns = True, None

    def see(self, stamp_ns: int) -> None:
        """Take note of it."""
        self._without_ns = 0.0
        if self._since_ns is None:
            self._since_ns = stamp_ns
        if stamp_ns - self._since_ns >= self._back_ns:
            self.lost = False

    def restart(self) -> None:
        """Begin a new count of time; what is lost stays so."""
        self._without_ns, self._since_ns = 0.0, None


class Ladder:
    """
    Decide for each image whether it is published alone, and for each pair whether it is fused.

    Stamps come from the thread that receives images, what is found in the images from the one
    that works on them. All stamps are of one generation until :meth:`restart`; those of thermal
    images are corrected.

    Parameters
    ----------
    settings
        Times and limits.
    hold
        Every visible image is paired, however slow the thermal camera is: its period is then no
        reason to wait.

    """

    def __init__(self, settings: LadderSettings, hold: bool = False) -> None:
        self._lock = threading.Lock()
        self._settings = settings
        self._hold = hold
        self._thermal = _Presence(settings.thermal_lost_ms, settings.thermal_back_ms)
        self._visible = _Presence(settings.visible_lost_ms, settings.visible_back_ms)
        self._dark = False
        self._otherwise_since_ns: int | None = None
        self._thermal_rhythm, self._visible_rhythm = _Rhythm(), _Rhythm()
        self._handed_ns = 0

    def restart(self) -> None:
        """Begin anew with other stamps; what was lost must come back first."""
        with self._lock:
            self._thermal.restart()
            self._visible.restart()
            self._thermal_rhythm.newest_ns = self._visible_rhythm.newest_ns = None
            self._otherwise_since_ns = None
            self._handed_ns = 0

    def take_visible(self, stamp_ns: int, fusing: bool = True) -> bool:
        """Say whether this visible image is to be published alone, at once."""
        with self._lock:
            step_ns = self._visible_rhythm.step(stamp_ns)
            if step_ns is None:
                return False
            held = self._hold and self._thermal_rhythm.period_ns < math.inf
            slower_ns = self._visible_rhythm.period_ns if held else self._slower_ns()
            self._thermal.miss(step_ns, slower_ns)
            alone = self._thermal.lost or not fusing
            if alone:
                # There is nothing to wait for, and it is the better one of the two.
                self._visible.lost = False
                self._handed_ns = stamp_ns
            self._visible.see(stamp_ns)
            return alone

    def take_thermal(self, stamp_ns: int) -> bool:
        """Say whether this thermal image is to be published alone, at once."""
        with self._lock:
            step_ns = self._thermal_rhythm.step(stamp_ns)
            if step_ns is None:
                return False
            self._visible.miss(step_ns, self._slower_ns())
            return self._visible.lost

    def take_pair(self, visible_stamp_ns: int, fusing: bool = True) -> bool:
        """Say whether a pair is to be worked on; not where its visible image was alone before."""
        with self._lock:
            self._thermal.see(visible_stamp_ns)
            alone = self._thermal.lost or self._visible.lost or not fusing
            return not alone and visible_stamp_ns > self._handed_ns

    def choose(self, luma: float, stamp_ns: int) -> Mode:
        """Say what to make of a pair whose visible image is so bright (mean luma, 0 to 255)."""
        limits = self._settings
        with self._lock:
            limit, wait_ms = limits.dark_below, limits.dark_ms
            if self._dark:
                limit, wait_ms = limits.bright_above, limits.bright_ms
            if (luma < limit) == self._dark:
                self._otherwise_since_ns = None
            else:
                if self._otherwise_since_ns is None:
                    self._otherwise_since_ns = stamp_ns
                if stamp_ns - self._otherwise_since_ns >= wait_ms * 1e6:
                    self._dark, self._otherwise_since_ns = not self._dark, None
            return Mode.THERMAL_ONLY if self._dark else Mode.FUSED

    def fail_thermal(self) -> None:
        """Take the thermal side for lost: an image could not be decoded or shows no scene."""
        with self._lock:
            self._thermal.fail()

    def _slower_ns(self) -> float:
        return max(self._thermal_rhythm.period_ns, self._visible_rhythm.period_ns)
