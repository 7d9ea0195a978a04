"""The thermal front end."""

from collections.abc import Iterable
from dataclasses import dataclass

from ir_vis_fusion.config.table import setting, Settings


@dataclass(frozen=True)
class ThermalSettings(Settings):
    """How thermal counts become the network's [0, 1]."""

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
    min_span_counts: float = setting(
        300.0,
        'smallest range of 16-bit pixels, so that a flat scene is not amplified noise '
        '(300 = 3 K in centikelvin)',
        unit='counts',
        minimum=1.0,
    )
    min_span_float: float = setting(
        3.0, 'smallest range of 32FC1 pixels, in their own unit (3 K)', minimum=1e-6
    )
    normalize_8bit: bool = setting(
        False, 'stretch 8-bit thermal images too; they are taken as already normalised otherwise'
    )

    def contradictions(self) -> Iterable[str]:
        """Yield a fault where the percentiles are exchanged."""
        if self.low_percentile >= self.high_percentile:
            yield (
                f'low_percentile ({self.low_percentile:g}) must be below '
                f'high_percentile ({self.high_percentile:g})'
            )
