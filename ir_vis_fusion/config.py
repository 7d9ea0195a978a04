"""
Settings: frozen dataclasses whose fields are the one parameter table.

Each field is made by :func:`setting` and carries its description, unit, range and whether it
may change while the node runs. ROS parameter descriptors, the check of ``config/*.yaml`` and
the table in the README are all derived from :func:`parameter_table`.
"""

from collections.abc import Iterable, Mapping
import dataclasses
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any, TypeVar

from ir_vis_fusion.errors import ConfigError, nearest

T = TypeVar('T')

# Names of CLIP models that bring their weights.
HUB = 'hf-hub:'


@dataclass(frozen=True)
class Parameter:
    """One row of the parameter table; ``name`` is dotted, as in ROS (``sync.mode``)."""

    name: str
    type: type
    default: Any
    description: str
    unit: str = ''
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    live: bool = False

    def fault(self, value: Any) -> str | None:
        """Say what is wrong with a value, or return None; an int is fine for a float."""
        number = self.type in (int, float)
        wanted = (int, float) if self.type is float else self.type
        if not isinstance(value, wanted) or (number and isinstance(value, bool)):
            return f'{self.name} must be {self.type.__name__}, got {value!r}'
        if self.choices and value not in self.choices:
            return f'{self.name} must be one of {", ".join(self.choices)}, got {value!r}'
        if number and not math.isfinite(value):
            return f'{self.name} must be finite, got {value!r}'
        if self.minimum is not None and value < self.minimum:
            return f'{self.name} must be >= {self.minimum:g}, got {value!r}'
        if self.maximum is not None and value > self.maximum:
            return f'{self.name} must be <= {self.maximum:g}, got {value!r}'
        return None


def setting(
    default: Any,
    description: str,
    *,
    unit: str = '',
    minimum: float | None = None,
    maximum: float | None = None,
    choices: tuple[str, ...] = (),
    live: bool = False,
) -> Any:
    """Return a dataclass field that is a row of the parameter table; see Parameter."""
    facts = {
        'description': description,
        'unit': unit,
        'minimum': minimum,
        'maximum': maximum,
        'choices': choices,
        'live': live,
    }
    return dataclasses.field(default=default, metadata=facts)


def group(settings: type) -> Any:
    """Return a dataclass field that holds a group of settings under its own prefix."""
    return dataclasses.field(default_factory=settings)


class Settings:
    """Base of all settings: checks every field and the rules between fields when made."""

    def __post_init__(self) -> None:
        """Raise ConfigError with all faults at once."""
        rows = {row.name: row for row in parameter_table(type(self))}
        faults = [rows[name].fault(value) for name, value in flatten(self).items()]
        faults = [fault for fault in faults if fault]
        if faults := faults or list(self.contradictions()):
            raise ConfigError('; '.join(faults))

    def contradictions(self) -> Iterable[str]:
        """Yield faults that show only in the relation of several fields."""
        return ()


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


@dataclass(frozen=True)
class ClipSettings(Settings):
    """Which CLIP: a model of open_clip with published weights, or with those of a file."""

    name: str = setting(
        'ViT-B-16-quickgelu', "open_clip's name of the CLIP model, or hf-hub:ORG/REPO"
    )
    pretrained: str = setting('', "open_clip's tag of published weights (openai, say)")
    file: str = setting(
        '', 'path of a .safetensors file with the weights; it may hold one tower alone'
    )

    def contradictions(self) -> Iterable[str]:
        """Weights come from one place."""
        if self.pretrained and self.file:
            yield (f'give pretrained or file, not both: got {self.pretrained!r} and {self.file!r}')

    @property
    def has_weights(self) -> bool:
        """Say whether a CLIP is named at all; without weights there is none."""
        return bool(self.pretrained or self.file) or self.name.startswith(HUB)


@dataclass(frozen=True)
class GuidanceSettings(Settings):
    """What CLIP tells networks that take its features; without it they run all the same."""

    clip: ClipSettings = group(ClipSettings)
    bank: str = setting(
        '',
        'embedding bank, FILE or FILE#TENSOR: knows the vectors of prompts and, with an image '
        'tower, describes the scene',
    )
    period_s: float = setting(
        1.0,
        'how often CLIP looks at the scene of a live stream',
        unit='s',
        minimum=0.0,
        maximum=3600.0,
    )


@dataclass(frozen=True)
class LiveRegistrationSettings(Settings):
    """What of the registration may differ from frame to frame."""

    distance_m: float = setting(
        10.0,
        'distance of the scene from the visible camera at which mode plane registers (and mode '
        'depth where the depth is unknown); nearer and farther things are displaced by parallax',
        unit='m',
        minimum=0.05,
        maximum=100000.0,
        live=True,
    )


@dataclass(frozen=True)
class RegistrationSettings(LiveRegistrationSettings):
    """How the thermal image is laid onto the visible one."""

    mode: str = setting(
        'none',
        'none: the images cover each other (a thermal image of another size is resized); '
        'homography: by registration.file; plane: by both cameras (registration.file, else '
        'camera_info and TF) at registration.distance_m; depth: the same with depth/image_raw',
        choices=('none', 'homography', 'plane', 'depth'),
    )
    file: str = setting('', 'calibration file, see config/calibration/example.yaml')

    def contradictions(self) -> Iterable[str]:
        """Yield a fault where file and mode do not go together."""
        if self.mode == 'homography' and not self.file:
            yield 'registration.mode is homography, but registration.file names no file'
        if self.mode == 'none' and self.file:
            yield (
                'registration.file has no effect with registration.mode none, set it to '
                'homography, plane or depth'
            )


@dataclass(frozen=True)
class PredictorSettings(Settings):
    """What a FusionPredictor is built from; a change means a new predictor."""

    model: str = setting(
        'student',
        'name of a shipped model, path of a .safetensors checkpoint, or package://PACKAGE/PATH',
    )
    device: str = setting('auto', 'auto (CUDA where it is), cpu, cuda or cuda:N')
    cpu_threads: int = setting(
        0,
        'threads of the network on the CPU, 0: as many as there are cores',
        minimum=0,
        maximum=256,
    )
    output_encoding: str = setting('rgb8', 'encoding of the fused image', choices=('rgb8', 'bgr8'))
    thermal: ThermalSettings = group(ThermalSettings)
    registration: RegistrationSettings = group(RegistrationSettings)
    guidance: GuidanceSettings = group(GuidanceSettings)


@dataclass(frozen=True)
class FrameSettings(Settings):
    """What may differ from frame to frame; swapped as a whole."""

    enable: bool = setting(
        True, 'false: publish the visible image of each pair as it is', live=True
    )
    strength: float = setting(
        1.0,
        'share of the fused image in the result, 0: visible only',
        minimum=0.0,
        maximum=1.0,
        live=True,
    )
    prompt: str = setting(
        '',
        'sentence that guides a network which takes text; empty: what image tower and '
        'guidance.bank say of the scene, if both are there',
        live=True,
    )
    registration: LiveRegistrationSettings = group(LiveRegistrationSettings)


def parameter_table(settings: type, prefix: str = '') -> list[Parameter]:
    """List the parameters of a settings class, groups as dotted prefixes."""
    rows = []
    for field in dataclasses.fields(settings):
        if field.metadata:
            rows.append(
                Parameter(prefix + field.name, field.type, field.default, **field.metadata)
            )
        else:
            rows += parameter_table(field.type, f'{prefix}{field.name}.')
    return rows


def flatten(settings: Any, prefix: str = '') -> dict[str, Any]:
    """Turn settings into a dict with dotted names."""
    values = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value):
            values |= flatten(value, f'{prefix}{field.name}.')
        else:
            values[prefix + field.name] = value
    return values


def unflatten(settings: type[T], values: Mapping[str, Any], where: str = '') -> T:
    """
    Build settings from dotted names; names that are left out keep their defaults.

    Raises
    ------
    ConfigError
        With every unknown name (and the nearest valid one) and every bad value at once;
        ``where`` (a file name, say) stands before each of them.

    """
    rows = {row.name: row for row in parameter_table(settings)}
    faults = [unknown_name(name, rows) for name in values if name not in rows]
    faults += [row.fault(values[name]) for name, row in rows.items() if name in values]
    faults = [fault for fault in faults if fault]
    if not faults:
        try:
            return _build(settings, values, '')
        except ConfigError as error:
            faults = [str(error)]
    raise ConfigError('; '.join(f'{where}: {fault}' if where else fault for fault in faults))


def unknown_name(name: str, known: Iterable[str]) -> str:
    """Return the message for an unknown name, with the nearest known one."""
    return f'unknown parameter {name!r}{nearest(name, known)}'


def nested_to_dotted(values: Mapping[str, Any], prefix: str = '') -> dict[str, Any]:
    """Turn ``{'sync': {'mode': 'x'}}``, as YAML gives it, into ``{'sync.mode': 'x'}``."""
    dotted = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            dotted |= nested_to_dotted(value, f'{prefix}{name}.')
        else:
            dotted[f'{prefix}{name}'] = value
    return dotted


def read_yaml(path: str | Path) -> dict[str, Any]:
    """
    Read a YAML file that holds one mapping.

    Raises
    ------
    ConfigError
        Where the file is missing, is not YAML or holds something else.

    """
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text())
    except OSError as error:
        raise ConfigError(f'{path}: cannot be read: {error.strerror}') from None
    except yaml.YAMLError as error:
        raise ConfigError(f'{path}: not valid YAML: {error}') from None
    if not isinstance(content, dict):
        raise ConfigError(f'{path}: must hold a mapping of names to values, got {content!r}')
    return content


def _build(settings: type[T], values: Mapping[str, Any], prefix: str) -> T:
    arguments = {}
    for field in dataclasses.fields(settings):
        name = prefix + field.name
        if not field.metadata:
            arguments[field.name] = _build(field.type, values, f'{name}.')
        elif name in values:
            arguments[field.name] = field.type(values[name])
    return settings(**arguments)
