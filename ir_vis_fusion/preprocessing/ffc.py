"""
The watch for thermal images without a scene: shutter calibrations (FFC, NUC) and hangs.

Cameras repeat the last image bit for bit, or show the shutter, for 0.3 to 1 s every few minutes.
Told by telemetry where there is some, else by the images themselves.
"""

import math

from ir_vis_fusion.preprocessing.sample import Sample, thin_out
from ir_vis_fusion.types import ThermalState
import numpy as np

# Repeats for less are no calibration: a 9 Hz core behind a 30 Hz driver sends every image three
# times.
_REPEAT_NS = 200_000_000
# No calibration takes longer: afterwards what looks like a shutter is a scene without contrast,
# and a camera that still says it calibrates has lost its telemetry.
_LONGEST_NS = 3_000_000_000
# A shutter has vignetting and noise, a tenth of the spread of a scene and less. It closes from
# one image to the next, or in the next but one at 60 Hz; a turn towards a wall takes longer.
_COLLAPSED = 0.2
_OPEN = 0.3
# What it shows is noise: 5 to 95 % of Gaussian noise are 2.9 mean differences of neighbours apart,
# vignetting and rounding to whole counts come on top. Where a person has left, a scene remains.
_NOISE = 6.0
_ROUNDING = 2.0
_WIDE = 0.5
_SUDDEN_NS = 60_000_000
# How slowly the spread that scenes have is forgotten.
_MEMORY_S = 1.0
_PAIRS = 2000
_GRID = np.s_[::61, ::59]


class FfcDetector:
    """Tells live images of one camera from others; counts the events in ``events``."""

    def __init__(self) -> None:
        self.events = 0
        self._told = False
        self.reset()

    def reset(self) -> None:
        """Forget the images before; what telemetry told and the count stay."""
        self._last = np.empty((0, 0), np.uint8)
        self._last_grid = b''
        self._last_ns = 0
        self._stamp_ns: int | None = None
        self._state = ThermalState.LIVE
        self._told_ns: int | None = None
        self._spread = _Spread()

    def tell(self, calibrating: bool) -> None:
        """Take what telemetry says; from any thread. True holds for 3 s at most."""
        self._told = calibrating

    def update(
        self,
        image: np.ndarray,
        stamp_ns: int,
        sample: Sample | None = None,
        stays: bool = False,
    ) -> ThermalState:
        """
        Compare an image with those before; the same stamp again changes nothing.

        Parameters
        ----------
        image
            (H, W) uint8, uint16 or float32.
        stamp_ns
            When it was taken.
        sample
            Of the image, where somebody has one already.
        stays
            Nobody will use the image's memory again, so that it needs not be copied.

        """
        if stamp_ns == self._stamp_ns:
            return self._state
        state = self._judge(image, stamp_ns, sample or Sample(thin_out(image)), stays)
        if self._state is ThermalState.LIVE and state is not ThermalState.LIVE:
            self.events += 1
        self._stamp_ns, self._state = stamp_ns, state
        return state

    def _judge(
        self, image: np.ndarray, stamp_ns: int, sample: Sample, stays: bool
    ) -> ThermalState:
        # As integers, for NaN differs from itself.
        bits = image.view(f'u{image.itemsize}')
        # A coarse grid of pixels first: live frames differ there from the last one and among each
        # other, and its bytes are compared in no time.
        grid = bits[_GRID].tobytes()
        repeated = grid == self._last_grid and _same(bits, self._last)
        if not repeated:
            self._last = bits if stays else self._copy(bits)
            self._last_grid, self._last_ns = grid, stamp_ns
        if self._is_told(stamp_ns):
            return ThermalState.CALIBRATING
        is_flat = grid == grid[: bits.itemsize] * (len(grid) // bits.itemsize)
        if is_flat and (bits == bits[0, 0]).all():
            return ThermalState.FLAT
        if repeated and stamp_ns - self._last_ns >= _REPEAT_NS:
            return ThermalState.FROZEN
        if not repeated and self._spread.collapses(image, sample, stamp_ns):
            return ThermalState.FLAT
        return self._state if repeated and self._state is ThermalState.FLAT else ThermalState.LIVE

    def _copy(self, image: np.ndarray) -> np.ndarray:
        """Copy an image, for who sent the frame may use its memory again."""
        if (image.shape, image.dtype) == (self._last.shape, self._last.dtype):
            np.copyto(self._last, image)
            return self._last
        return image.copy()

    def _is_told(self, stamp_ns: int) -> bool:
        if not self._told:
            self._told_ns = None
            return False
        if self._told_ns is None:
            self._told_ns = stamp_ns
        return 0 <= stamp_ns - self._told_ns < _LONGEST_NS


class _Spread:
    """Watches how far apart warm and cold are, for the shutter takes that away at once."""

    def __init__(self) -> None:
        self._usual = 0.0
        self._stamp_ns = 0
        self._wide_ns: int | None = None
        self._closed_ns: int | None = None
        self._was_wide = False

    def collapses(self, image: np.ndarray, sample: Sample, stamp_ns: int) -> bool:
        """Say whether the shutter is seen."""
        spread = _spread(sample)
        if self._closed_ns is not None:
            closed = 0 <= stamp_ns - self._closed_ns < _LONGEST_NS
            if closed and spread < _OPEN * self._usual:
                return True
            self._closed_ns, self._usual = None, 0.0
        elif spread < _COLLAPSED * self._usual and self._is_sudden(stamp_ns):
            if spread < _noise(image):
                self._closed_ns = stamp_ns
                return True
        self._follow(spread, stamp_ns)
        return False

    def _is_sudden(self, stamp_ns: int) -> bool:
        return self._was_wide or (
            self._wide_ns is not None and stamp_ns - self._wide_ns <= _SUDDEN_NS
        )

    def _follow(self, spread: float, stamp_ns: int) -> None:
        elapsed_s = max(0, stamp_ns - self._stamp_ns) / 1e9
        share = -math.expm1(-elapsed_s / _MEMORY_S) if self._usual else 1.0
        self._usual += share * (spread - self._usual)
        self._stamp_ns = stamp_ns
        self._was_wide = spread >= _WIDE * self._usual
        if self._was_wide:
            self._wide_ns = stamp_ns


def _spread(sample: Sample) -> float:
    """Return how far apart the 5 % and 95 % percentiles are; zero if nothing is finite."""
    pixels = sample.pixels
    if pixels.dtype != np.float32:
        low, high = sample.percentiles(5, 95)
        return high - low
    # Not by whole levels, which may be degrees; a partition takes its time, so of a quarter.
    pixels = pixels[::2, ::2]
    pixels = pixels[np.isfinite(pixels)]
    if not pixels.size:
        return 0.0
    ranks = [round(0.05 * (pixels.size - 1)), round(0.95 * (pixels.size - 1))]
    low, high = np.partition(pixels, ranks)[ranks].tolist()
    return high - low


def _noise(image: np.ndarray) -> float:
    """Return the largest spread that noise alone would have; zero if nothing is finite."""
    step = max(1, math.isqrt(image.size // _PAIRS))
    left = image[::step, :-1:step].astype(np.float32)
    right = image[::step, 1::step][:, : left.shape[1]]
    changes = np.abs(right - left)
    if image.dtype == np.float32:
        changes = changes[np.isfinite(changes)]
    rounding = 0.0 if image.dtype == np.float32 else _ROUNDING
    return _NOISE * float(changes.mean()) + rounding if changes.size else 0.0


def _same(image: np.ndarray, other: np.ndarray) -> bool:
    return image.dtype == other.dtype and np.array_equal(image, other)
