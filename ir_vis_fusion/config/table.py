"""
The one parameter table: what a setting is, and settings to and from dotted names.

Each field of a settings class is made by :func:`setting` and carries its description, unit, range
and whether it may change while the node runs. ROS parameter descriptors, the check of
``config/*.yaml`` and the table in the README are all derived from :func:`parameter_table`.
"""

from collections.abc import Iterable, Mapping
import dataclasses
from dataclasses import dataclass
import math
from pathlib import Path
import reprlib
from typing import Any, TypeVar

from ir_vis_fusion.errors import ConfigError, nearest
from ir_vis_fusion.files import checked_file, MAX_TEXT_BYTES

T = TypeVar('T')


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

    found = checked_file(path, MAX_TEXT_BYTES, ConfigError)
    try:
        text = found.read_text()
        # They can hold each other, or grow a thousandfold; ROS knows no aliases either.
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(text)):
            raise ConfigError(f'{path}: YAML aliases (*name) are not read, write the value out')
        content = yaml.safe_load(text)
    except OSError as error:
        raise ConfigError(f'{path}: cannot be read: {error.strerror}') from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(f'{path}: not valid YAML: {error}') from None
    if not isinstance(content, dict):
        raise ConfigError(
            f'{path}: must hold a mapping of names to values, got {reprlib.repr(content)}'
        )
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
