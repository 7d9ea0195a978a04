"""
The node's parameter table: settings of all rooms plus the node's own.

ROS-free; descriptors are made from it in ``declaration.py``, the defaults in
``config/fusion.yaml`` and the table in the README are compared with it by tests.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from ir_vis_fusion.config import (
    flatten,
    FrameSettings,
    group,
    Parameter,
    parameter_table,
    PredictorSettings,
    RegistrationSettings,
    setting,
    Settings,
    SynchronizerSettings,
    ThermalSettings,
    unflatten,
)


@dataclass(frozen=True)
class QosSettings(Settings):
    """How the image topics are subscribed."""

    reliability: str = setting(
        'auto',
        'auto: as the publishers offer, reliable only where every one of them is; best_effort '
        'matches every publisher but loses large images on a busy machine',
        choices=('auto', 'reliable', 'best_effort'),
    )
    depth: int = setting(
        5, 'images that may wait in the middleware for each input', minimum=1, maximum=10
    )


@dataclass(frozen=True)
class LadderSettings(Settings):
    """When one camera's image is published alone, and when both are fused again."""

    thermal_lost_ms: float = setting(
        200.0,
        'how long visible images may come without a thermal partner before they are published '
        'alone; at least 2.5 periods of the slower camera, at most 1 s',
        unit='ms',
        minimum=0.0,
    )
    thermal_back_ms: float = setting(
        200.0,
        'how long pairs must come, after thermal was lost, undecodable or frozen, before they '
        'are fused again',
        unit='ms',
        minimum=0.0,
    )
    visible_lost_ms: float = setting(
        200.0,
        'how long thermal images may come without a visible one before they are published alone, '
        'in the size of the last visible image; limits as for thermal_lost_ms',
        unit='ms',
        minimum=0.0,
    )
    visible_back_ms: float = setting(
        200.0,
        'how long visible images must come, after they were lost, before they are used again',
        unit='ms',
        minimum=0.0,
    )
    dark_below: float = setting(
        2.0,
        'mean luma (0 to 255) below which the visible image is too dark: the thermal image is '
        'published instead of the fused one; 0: never',
        minimum=0.0,
        maximum=255.0,
    )
    bright_above: float = setting(
        4.0,
        'mean luma from which it is bright enough again',
        minimum=0.0,
        maximum=255.0,
    )
    dark_ms: float = setting(
        500.0, 'how long it must be too dark for that', unit='ms', minimum=0.0
    )
    bright_ms: float = setting(
        500.0, 'how long it must be bright for fused images again', unit='ms', minimum=0.0
    )

    def contradictions(self) -> Iterable[str]:
        """Yield a fault where there is no hysteresis."""
        if self.bright_above < self.dark_below:
            yield (
                f'bright_above ({self.bright_above:g}) must be at least '
                f'dark_below ({self.dark_below:g})'
            )


@dataclass(frozen=True)
class NodeSettings(FrameSettings, PredictorSettings):
    """Everything that can be set on the node."""

    # Both bases have groups of these names; these hold the others.
    thermal: ThermalSettings = group(ThermalSettings)
    registration: RegistrationSettings = group(RegistrationSettings)
    sync: SynchronizerSettings = group(SynchronizerSettings)
    ladder: LadderSettings = group(LadderSettings)
    max_age_ms: float = setting(
        1000.0,
        'images older than this when they are ready are not published, by the clock of the node '
        'or, where the stamps are of another clock, since they arrived; 0: no limit',
        unit='ms',
        minimum=0.0,
    )
    thermal_transport: str = setting(
        'raw',
        'raw: sensor_msgs/Image on thermal/image_raw; compressed: sensor_msgs/CompressedImage '
        'on thermal/image_raw/compressed',
        choices=('raw', 'compressed'),
    )
    visible_transport: str = setting(
        'raw', 'the same for visible/image_raw', choices=('raw', 'compressed')
    )
    points: str = setting(
        'off',
        'publish fused/points: depth: by depth/image_raw (registered to the visible camera) and '
        'its camera_info; cloud: by depth/points, an organised cloud of the visible pixels',
        choices=('off', 'depth', 'cloud'),
    )
    qos: QosSettings = group(QosSettings)
    autostart: bool = setting(
        True, 'configure and activate at start; false: wait for a lifecycle manager'
    )
    snapshot_dir: str = setting(
        '~/.ros/ir_vis_fusion',
        'folder in which ~/save_snapshot makes one for each snapshot; absolute, or from ~/',
    )
    lazy: bool = setting(
        False,
        'subscribe the cameras only while somebody listens to an output; it spares their '
        'bandwidth and the CPU, but nothing is known of the cameras until then and the first '
        'image takes some tenths of a second',
    )
    input_timeout_s: float = setting(
        1.0, 'an input that is silent for longer is reported', unit='s', minimum=0.1, maximum=60.0
    )
    status_period_s: float = setting(
        1.0,
        'period of ~/status and /diagnostics, in steady time',
        unit='s',
        minimum=0.05,
        maximum=60.0,
    )

    @property
    def frame(self) -> FrameSettings:
        """The part that may change while the node runs, as one immutable object."""
        values = flatten(self)
        live = {row.name: values[row.name] for row in parameter_table(FrameSettings)}
        return unflatten(FrameSettings, live)


TABLE = {row.name: row for row in parameter_table(NodeSettings)}


def markdown_table() -> str:
    """Return the parameter table as the README shows it."""
    lines = [
        '| Name | Type | Default | Range | Live | Description |',
        '| --- | --- | --- | --- | --- | --- |',
    ]
    for row in TABLE.values():
        unit = f' [{row.unit}]' if row.unit else ''
        lines.append(
            f'| `{row.name}` | {row.type.__name__} | `{yaml_value(row.default)}` | {limits(row)} '
            f'| {"yes" if row.live else ""} | {row.description}{unit} |'
        )
    return '\n'.join(lines)


def limits(row: Parameter) -> str:
    """Return the values that a parameter takes, in words; empty where all of its type are."""
    if row.choices:
        return ', '.join(row.choices)
    if row.minimum is None and row.maximum is None:
        return ''
    if row.maximum is None:
        return f'≥ {row.minimum:g}'
    if row.minimum is None:
        return f'≤ {row.maximum:g}'
    return f'{row.minimum:g} to {row.maximum:g}'


def yaml_value(value: bool | int | float | str) -> str:
    """Return a default as it is written in a parameter file."""
    return str(value).lower() if isinstance(value, bool) else str(value) or "''"
