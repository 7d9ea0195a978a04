"""How two streams become pairs."""

from dataclasses import dataclass

from ir_vis_fusion.config.table import setting, Settings


@dataclass(frozen=True)
class SynchronizerSettings(Settings):
    """How a thermal and a visible stream become pairs."""

    mode: str = setting(
        'both_new',
        'both_new: every image is used at most once; hold_thermal: every visible image is '
        'fused with the newest thermal image, for thermal cameras slower than the visible one',
        choices=('both_new', 'hold_thermal'),
    )
    max_offset_ms: float = setting(
        20.0, 'largest stamp difference within a pair', unit='ms', minimum=0.0
    )
    max_wait_ms: float = setting(
        50.0,
        'how much later than a visible image other images may be stamped before it stops '
        'waiting for its thermal partner',
        unit='ms',
        minimum=0.0,
    )
    max_thermal_age_ms: float = setting(
        250.0, 'oldest thermal image that hold_thermal may use', unit='ms', minimum=0.0
    )
    thermal_time_offset_ms: float = setting(
        0.0, 'added to thermal stamps before pairing (negative where thermal lags)', unit='ms'
    )
    jump_back_ms: float = setting(
        500.0,
        'a stamp that goes back by more than this is a restart (bag loop) and resets '
        'the pairing; by less, the image is dropped as out of order',
        unit='ms',
        minimum=0.0,
    )
