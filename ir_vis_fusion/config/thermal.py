"""The thermal front end: units, range, calibrations of the camera, and what is measured."""

from collections.abc import Iterable
from dataclasses import dataclass

from ir_vis_fusion.config.table import setting, Settings

# Lowest temperature there is [°C].
_ABSOLUTE_ZERO = -273.15


@dataclass(frozen=True)
class LiveThermalSettings(Settings):
    """What of the front end may differ from frame to frame: a fixed range of temperatures."""

    window_low_c: float = setting(
        0.0,
        'temperature that becomes black, where units are known, for pictures that can be '
        'compared; low and high 0: the range follows the scene',
        unit='°C',
        minimum=_ABSOLUTE_ZERO,
        live=True,
    )
    window_high_c: float = setting(
        0.0, 'temperature that becomes white', unit='°C', minimum=_ABSOLUTE_ZERO, live=True
    )

    def contradictions(self) -> Iterable[str]:
        """Yield a fault where the window is empty and yet not switched off."""
        if self.window_c and self.window_low_c >= self.window_high_c:
            yield (
                f'thermal.window_low_c ({self.window_low_c:g}) must be below '
                f'thermal.window_high_c ({self.window_high_c:g}), or both 0'
            )

    @property
    def window_c(self) -> tuple[float, float] | None:
        """The window [°C], None without."""
        if self.window_low_c or self.window_high_c:
            return self.window_low_c, self.window_high_c
        return None


@dataclass(frozen=True)
class ThermalSettings(LiveThermalSettings):
    """How thermal counts become the network's [0, 1]."""

    units: str = setting(
        'auto',
        'unit of 16-bit and float pixels; auto decides once from the first images, and takes '
        'counts (no temperature) where they do not look like centikelvin, decikelvin, celsius or '
        'kelvin; optris is (v - 1000) / 10 °C, fixed10_6 is v / 64 K',
        choices=(
            'auto',
            'counts',
            'centikelvin',
            'decikelvin',
            'celsius',
            'kelvin',
            'optris',
            'fixed10_6',
        ),
    )
    scale: float = setting(
        0.0,
        'kelvin a count, with thermal.offset in place of thermal.units; 0: as thermal.units says',
        unit='K',
        minimum=0.0,
    )
    offset: float = setting(0.0, 'temperature of count 0, where thermal.scale is set', unit='K')
    crop_rows: int = setting(
        -1,
        'rows of telemetry that are cut off; -1: two where the image has 514, 258 or 122 rows',
        minimum=-1,
        maximum=4096,
    )
    crop_from: str = setting(
        'auto',
        'side they are on; auto: the one whose rows differ more from the image',
        choices=('auto', 'top', 'bottom'),
    )
    low_percentile: float = setting(
        1.0,
        'percentile of 16-bit and float pixels that becomes black',
        unit='%',
        minimum=0.0,
        maximum=100.0,
    )
    high_percentile: float = setting(
        99.5,
        'percentile of 16-bit and float pixels that becomes white',
        unit='%',
        minimum=0.0,
        maximum=100.0,
    )
    attack_s: float = setting(
        0.3, 'time constant with which the range widens', unit='s', minimum=0.0
    )
    decay_s: float = setting(
        2.0, 'time constant with which the range narrows', unit='s', minimum=0.0
    )
    min_span_kelvin: float = setting(
        3.0,
        'smallest range where units are known, so that a flat scene is not amplified noise',
        unit='K',
        minimum=0.01,
    )
    max_reach_kelvin: float = setting(
        50.0,
        'farthest that black and white may be from the median, where units are known: a fire '
        'is white and does not hide people',
        unit='K',
        minimum=1.0,
    )
    min_span_counts: float = setting(
        300.0, 'smallest range where units are unknown', unit='counts', minimum=1.0
    )
    agc: str = setting(
        'linear',
        'curve within the range; plateau: equalised, with limited gain; clahe: the same in tiles, '
        'for detail in scenes with a hot object, at some ms more on a CPU',
        choices=('linear', 'plateau', 'clahe'),
    )
    max_gain: float = setting(
        3.0,
        'largest gain of plateau and clahe over linear',
        minimum=1.0,
        maximum=100.0,
    )
    normalize_8bit: bool = setting(
        False, 'stretch 8-bit thermal images too; they are taken as already normalised otherwise'
    )
    ffc_policy: str = setting(
        'visible_only',
        'while the camera calibrates itself (FFC, NUC) or hangs; hold: fuse the last live thermal '
        'image, visible_only: publish the visible image, drop: publish nothing',
        choices=('hold', 'visible_only', 'drop'),
    )
    max_hold_s: float = setting(
        1.0,
        'how long ffc_policy hold uses the last live thermal image; then visible only',
        unit='s',
        minimum=0.0,
        maximum=10.0,
    )
    ffc_topic: str = setting(
        '', 'topic (std_msgs/Bool) that is true while the camera calibrates itself; empty: none'
    )

    def contradictions(self) -> Iterable[str]:
        """Yield a fault where the percentiles are exchanged or an offset has no scale."""
        yield from super().contradictions()
        if self.low_percentile >= self.high_percentile:
            yield (
                f'low_percentile ({self.low_percentile:g}) must be below '
                f'high_percentile ({self.high_percentile:g})'
            )
        if self.offset and not self.scale:
            yield f'thermal.offset ({self.offset:g}) has no effect without thermal.scale'


@dataclass(frozen=True)
class HotMaskSettings(Settings):
    """What counts as hot."""

    threshold_c: float = setting(
        30.0,
        'temperature from which ~/hot_mask is set, where units are known',
        unit='°C',
        minimum=_ABSOLUTE_ZERO,
        live=True,
    )
    percentile: float = setting(
        99.0,
        'percentile of the image above which it is set otherwise',
        unit='%',
        minimum=0.0,
        maximum=100.0,
        live=True,
    )
