"""
What thermal numbers mean: from what a camera sends to kelvin, and the choice of ``auto``.

Conversions as the makers state them: FLIR TLinear 0.01 or 0.1 K a count; Optris
(v - 1000) / 10 °C; fixed point with 6 fractional bits, v / 64 K (InfiRay).
"""

from collections import deque
from dataclasses import dataclass

from ir_vis_fusion.config import ThermalSettings
import torch

ZERO_C = 273.15
# Kelvin a count, kelvin at count 0.
_UNITS = {
    'centikelvin': (0.01, 0.0),
    'decikelvin': (0.1, 0.0),
    'celsius': (1.0, ZERO_C),
    'kelvin': (1.0, 0.0),
    'optris': (0.1, ZERO_C - 100.0),
    'fixed10_6': (1 / 64, 0.0),
}
# Medians of scenes that people point cameras at: about -25 to 75 °C.
_LIKELY_COUNTS = {'centikelvin': (27_000, 33_000), 'decikelvin': (2_500, 3_500)}
_LIKELY_FLOATS = {'celsius': (-60, 160), 'kelvin': (200, 433), 'centikelvin': (27_000, 33_000)}
# A camera's first image may be anything: so many in a row must agree.
_AGREEING = 3
_SAMPLE_STEP = 8


@dataclass(frozen=True)
class Units:
    """
    The meaning of one stream's numbers.

    ``scale`` and ``offset`` give kelvin, ``scale`` None where that is unknown; ``why`` says
    in words how it is known.
    """

    name: str
    scale: float | None
    offset: float
    why: str

    def kelvin(self, value: float) -> float | None:
        """Return a number of the camera in kelvin, None where units are unknown."""
        return None if self.scale is None else value * self.scale + self.offset

    def value(self, kelvin: float) -> float | None:
        """Return a temperature as the camera's number, None where units are unknown."""
        return None if self.scale is None else (kelvin - self.offset) / self.scale


class UnitsFinder:
    """Finds the units of one stream: as set, or once from its first images."""

    def __init__(self, settings: ThermalSettings) -> None:
        self._pinned = _pinned(settings)
        self.reset()

    def reset(self) -> None:
        """Decide anew; for another camera, not for a jump in time."""
        self._units: Units | None = None
        self._verdicts: deque[str] = deque(maxlen=_AGREEING)

    @property
    def decided(self) -> Units | None:
        """The units, None before images have agreed on them."""
        return self._units

    def find(self, image: torch.Tensor, is_evidence: bool = True) -> Units:
        """
        Return the units of an image, which stand once three in a row agree.

        Parameters
        ----------
        image
            (H, W) uint8, uint16 or float32; 8-bit images never hold temperatures.
        is_evidence
            False where it shows no scene: black images of a camera that starts decide nothing.

        """
        if self._units is not None:
            return self._units
        if self._pinned is not None and image.dtype != torch.uint8:
            self._units = self._pinned
            return self._units
        units = guess(image)
        if not is_evidence:
            return units
        self._verdicts.append(units.name)
        if self._verdicts.count(units.name) == _AGREEING:
            self._units = units
        return units


def guess(image: torch.Tensor) -> Units:
    """
    Guess the units of an image from the median of its finite pixels.

    Fixed-point numbers and those of Optris look like the counts of other cameras, so these two
    must be set.
    """
    if image.dtype == torch.uint8:
        return Units('counts', None, 0.0, '8-bit images hold no temperatures')
    sample = image[::_SAMPLE_STEP, ::_SAMPLE_STEP].to(torch.float32)
    sample = sample[sample.isfinite()]
    if not sample.numel():
        return Units('counts', None, 0.0, 'no finite pixels')
    median = sample.median().item()
    likely = _LIKELY_FLOATS if image.dtype == torch.float32 else _LIKELY_COUNTS
    for name, (low, high) in likely.items():
        if low <= median <= high:
            return Units(name, *_UNITS[name], f'guessed from the median {median:g}')
    return Units('counts', None, 0.0, f'the median {median:g} looks like no temperature')


def _pinned(settings: ThermalSettings) -> Units | None:
    if settings.scale:
        return Units('scaled', settings.scale, settings.offset, 'set by thermal.scale')
    if settings.units == 'auto':
        return None
    return Units(settings.units, *_UNITS.get(settings.units, (None, 0.0)), 'set by thermal.units')
