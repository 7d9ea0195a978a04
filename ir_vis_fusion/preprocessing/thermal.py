"""
Thermal numbers to the network's [0, 1]: automatic gain control (AGC).

The range between two percentiles becomes [0, 1]. It follows the scene with asymmetric
exponential smoothing in stamp time and stays where it is nearly right, so that neither a warm
car nor a dropped frame makes the picture flicker; it is never narrower than a minimum span, so
that a flat scene is not amplified noise. Training, offline fusion and the node share this code.
Units and range are found from a small sample, on the CPU; what becomes of each pixel is calculated
where the image is.
"""

import math
from typing import NamedTuple

from ir_vis_fusion.config import ThermalSettings
from ir_vis_fusion.preprocessing.equalization import Equalizer
from ir_vis_fusion.preprocessing.levels import stretch, to_type
from ir_vis_fusion.preprocessing.sample import Sample, thin_out
from ir_vis_fusion.preprocessing.thermal_range import Ends, follow, low_and_span, measure
from ir_vis_fusion.preprocessing.units import Units, UnitsFinder, ZERO_C
import torch

MIN_SPAN_8BIT = 32.0
_CENTIKELVIN = Units('centikelvin', 0.01, 0.0, '')
_CLAHE_TILES = (6, 8)
# Larger than any number that a camera sends.
_BEYOND = 3e38


class Scale(NamedTuple):
    """
    How a camera's numbers become [0, 1]: (number - low) / span, clamped; not finite becomes 0.

    ``share`` is by how much an equalisation, if there is one, follows this image.
    """

    low: float
    span: float
    share: float = 0.0


class ThermalNormalizer:
    """
    Keeps units and range of one thermal stream; CPU and CUDA tensors alike.

    Inside, an image is *levels*, numbers in 0 ... 65535 that a histogram counts: integers as
    they are, floats of known units in centikelvin, other floats as they are.
    """

    def __init__(self, settings: ThermalSettings) -> None:
        self._settings = settings
        self._finder = UnitsFinder(settings)
        tiles = {'linear': None, 'plateau': (1, 1), 'clahe': _CLAHE_TILES}[settings.agc]
        self._equalizer = tiles and Equalizer(tiles, settings.max_gain)
        self._format: tuple[torch.dtype, torch.Size] | None = None
        self._units_name = ''
        self.reset()

    def reset(self) -> None:
        """Forget the range; the next frame sets it directly. The units stay."""
        self._range: Ends | None = None
        self._stamp_ns = 0
        if self._equalizer:
            self._equalizer.reset()

    @property
    def units(self) -> Units | None:
        """What the camera's numbers mean, None before that is decided."""
        return self._finder.decided

    def range(self) -> tuple[float, float] | None:
        """Return the range as it is now, °C where units are known, else counts."""
        current, units = self._range, self.units
        if current is None or units is None:
            return None
        low, high = current
        if math.isnan(low):
            return None
        meaning = self._meaning(units)
        if meaning.scale is None:
            return low, high
        return meaning.kelvin(low) - ZERO_C, meaning.kelvin(high) - ZERO_C

    @property
    def is_linear(self) -> bool:
        """Say whether :meth:`apply` does no more than a Scale says."""
        return self._equalizer is None

    def normalize(
        self,
        image: torch.Tensor,
        stamp_ns: int,
        frozen: bool = False,
        window_c: tuple[float, float] | None = None,
        dtype: torch.dtype = torch.float32,
    ) -> torch.Tensor:
        """
        Map a thermal image to (H, W) float32 in [0, 1]; pixels that are not finite become 0.

        8-bit images are taken as they are and leave the state alone, unless ``normalize_8bit``
        is set. Another type or size than before starts anew. No time passes with a stamp that
        stays or goes back.

        Parameters
        ----------
        image
            (H, W) uint8, uint16 or float32, on any device.
        stamp_ns
            When it was taken.
        frozen
            The image shows no scene (a shutter calibration): it is mapped with the range that
            is there, which does not change.
        window_c
            A fixed range [°C] in place of the one that follows, where units are known.
        dtype
            uint8, for an image on the CPU: the same as bytes, rounded; that of an 8-bit image may
            be the image itself.

        """
        return self.apply(image, self.scale(image, stamp_ns, frozen, window_c), dtype)

    def scale(
        self,
        image: torch.Tensor,
        stamp_ns: int,
        frozen: bool = False,
        window_c: tuple[float, float] | None = None,
        sample: Sample | None = None,
    ) -> Scale:
        """
        Take the next image and return how it is to be mapped; as :meth:`normalize`.

        ``sample`` is one of the image, where somebody has one already.
        """
        if self._format != (image.dtype, image.shape):
            if self._format is not None and self._format[0] != image.dtype:
                self._finder.reset()
            self.reset()
            self._format = (image.dtype, image.shape)
        units = self._finder.find(image, is_evidence=not frozen)
        if image.dtype == torch.uint8 and not self._settings.normalize_8bit:
            return Scale(0.0, 255.0)
        if units.name != self._units_name:
            # A guess that was not the last one: the range was in other numbers.
            self.reset()
            self._units_name = units.name
        elapsed_s = max(0, stamp_ns - self._stamp_ns) / 1e9
        current = self._range
        if current is None or not frozen:
            measured = self._measure(sample or Sample(thin_out(image).cpu().numpy()), units)
            current = measured if current is None else self._follow(measured, elapsed_s, units)
        if not frozen:
            self._range, self._stamp_ns = current, stamp_ns
        share = 0.0 if frozen else _share(elapsed_s, self._settings.decay_s)
        return Scale(*self._low_and_span(current, units, window_c), share)

    def apply(
        self, image: torch.Tensor, scale: Scale, dtype: torch.dtype = torch.float32
    ) -> torch.Tensor:
        """Map an image on any device as :meth:`scale` has said; as :meth:`normalize`."""
        if image.dtype == torch.uint8 and not self._settings.normalize_8bit:
            return to_type(image, dtype)
        low, span = scale.low, scale.span
        if (image.dtype, dtype) == (torch.uint16, torch.uint8) and not self._equalizer:
            return stretch(image, low, span)
        result = image.to(torch.float32, copy=True)
        if image.dtype == torch.float32:
            result.nan_to_num_(nan=low, posinf=low, neginf=low)
        result.sub_(low).div_(span).clamp_(0, 1)
        if self._equalizer:
            result = self._equalizer.apply(result, scale.share)
        return to_type(result, dtype)

    def levels(self, image: torch.Tensor) -> tuple[torch.Tensor, Units]:
        """
        Return an image as numbers to be measured in, (H, W) float32, and what these mean.

        Centikelvin where units are known, else the camera's counts; NaN where there is none.
        """
        units = self._finder.find(image)
        levels = self._levels(image, units)
        if units.scale is None:
            return levels, units
        if image.dtype != torch.float32:
            levels.mul_(100 * units.scale).add_(100 * units.offset)
        return levels, _CENTIKELVIN

    def _levels(self, image: torch.Tensor, units: Units) -> torch.Tensor:
        """Return a new float32 image whose numbers a histogram can count."""
        levels = image.to(torch.float32, copy=True)
        if image.dtype == torch.float32:
            if units.scale is not None:
                levels.mul_(100 * units.scale).add_(100 * units.offset)
            levels.nan_to_num_(nan=math.nan, posinf=math.nan, neginf=math.nan)
        return levels

    def _meaning(self, units: Units) -> Units:
        """Return the units of levels."""
        floats = self._format is not None and self._format[0] == torch.float32
        return _CENTIKELVIN if floats and units.scale is not None else units

    def _measure(self, sample: Sample, units: Units) -> Ends:
        if self._format[0] == torch.float32:
            sample = Sample(self._levels(torch.from_numpy(sample.pixels), units).numpy())
        percentiles = self._settings.low_percentile, self._settings.high_percentile
        return measure(sample, percentiles, self._reach(self._meaning(units)))

    def _follow(self, measured: Ends, elapsed_s: float, units: Units) -> Ends:
        attack = _share(elapsed_s, self._settings.attack_s)
        decay = _share(elapsed_s, self._settings.decay_s)
        return follow(self._range, measured, self._least_span(self._meaning(units)), attack, decay)

    def _low_and_span(
        self, current: Ends, units: Units, window_c: tuple[float, float] | None
    ) -> tuple[float, float]:
        """Return what becomes black and how far from it white is, in the camera's numbers."""
        if window_c and units.scale is not None:
            low, high = (units.value(end + ZERO_C) for end in window_c)
            return low, high - low
        meaning = self._meaning(units)
        low, span = low_and_span(current, self._least_span(meaning))
        if math.isnan(low):
            return _BEYOND, 1.0
        if meaning is units:
            return low, span
        return units.value(meaning.kelvin(low)), span * meaning.scale / units.scale

    def _reach(self, meaning: Units) -> float:
        if meaning.scale is None:
            return math.inf
        return self._settings.max_reach_kelvin / meaning.scale

    def _least_span(self, meaning: Units) -> float:
        if self._format[0] == torch.uint8:
            return MIN_SPAN_8BIT
        if meaning.scale is None:
            return self._settings.min_span_counts
        return self._settings.min_span_kelvin / meaning.scale


def _share(elapsed_s: float, time_s: float) -> float:
    """Return how much of a step a first-order lag has followed."""
    if time_s == 0:
        return 1.0 if elapsed_s else 0.0
    return -math.expm1(-elapsed_s / time_s)
