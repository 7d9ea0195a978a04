"""
Checkpoints: a network's weights with all that is needed to use and to judge them.

A checkpoint is a safetensors file. Its metadata hold the format version, the network's name
and configuration, the preprocessing it was trained behind and where it comes from, each as
JSON, and a SHA-256 over these and the content of every tensor. Nothing is unpickled. torch is
imported only where weights are read or written, so that listing them is quick.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
import hashlib
import json
import os
from pathlib import Path
import reprlib
from typing import Any, TYPE_CHECKING

from ir_vis_fusion.errors import CheckpointError, ConfigError, nearest
from ir_vis_fusion.files import checked_file, MAX_CHECKPOINT_BYTES

if TYPE_CHECKING:
    from torch import nn, Tensor

FORMAT_VERSION = 1
SUFFIX = '.safetensors'
WEIGHTS_FOLDER = Path(__file__).parent / 'weights'
PACKAGE_SCHEME = 'package://'
_FACTS = {
    'format_version': int,
    'name': str,
    'config': dict,
    'preprocessing': dict,
    'provenance': dict,
}
# Of a network's configuration, which may come from anywhere: widths, depths, lengths of features.
LARGEST_NUMBER = 1 << 14


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A network ready to use (eval mode, CPU) and what its file says about it."""

    model: nn.Module
    name: str
    config: dict[str, Any]
    preprocessing: dict[str, Any]
    provenance: dict[str, Any]
    sha256: str
    path: Path


def shipped() -> list[Path]:
    """List the checkpoints that come with the package."""
    return sorted(WEIGHTS_FOLDER.glob(f'*{SUFFIX}'))


def resolve(model: str) -> Path:
    """
    Find the file that a model setting means.

    Parameters
    ----------
    model
        Name of a shipped checkpoint (``student``), path of a file, or
        ``package://PACKAGE/PATH`` below the share folder of a ROS package that is sourced.

    Raises
    ------
    CheckpointError
        Where there is no such file; the message lists the shipped names.

    """
    if model.startswith(PACKAGE_SCHEME):
        return _in_package(model)
    names = [path.stem for path in shipped()]
    if model in names:
        return WEIGHTS_FOLDER / f'{model}{SUFFIX}'
    path = Path(model).expanduser()
    if path.is_file():
        return path
    hint = nearest(model, names)
    raise CheckpointError(f'model {model!r} is neither a file nor a shipped name{hint}{_advice()}')


def save_checkpoint(
    path: str | Path,
    model: nn.Module,
    name: str,
    config: Mapping[str, Any],
    preprocessing: Mapping[str, Any],
    provenance: Mapping[str, Any],
) -> None:
    """
    Write a network with its description.

    Parameters
    ----------
    path
        File to write; an existing one is replaced as a whole or not at all.
    model
        The network; its weights are stored as they are.
    name, config
        What :func:`ir_vis_fusion.models.registry.build` makes it from.
    preprocessing
        What was done to the images before they reached it.
    provenance
        Data, command, steps, time, device, date, licence, measured figures.

    """
    from safetensors.torch import save

    tensors = {key: value.detach().cpu().contiguous() for key, value in model.state_dict().items()}
    metadata = {
        'format_version': json.dumps(FORMAT_VERSION),
        'name': json.dumps(name),
        'config': json.dumps(dict(config), sort_keys=True),
        'preprocessing': json.dumps(dict(preprocessing), sort_keys=True),
        'provenance': json.dumps(dict(provenance), sort_keys=True),
    }
    metadata['sha256'] = _digest(metadata, tensors)
    path = Path(path)
    partial = path.with_name(f'{path.name}.partial')
    # Not save_file, whose files only their owner may read.
    partial.write_bytes(save(tensors, metadata))
    partial.replace(path)


def read_facts(path: str | Path) -> dict[str, Any]:
    """
    Read what a checkpoint says about its network, without the weights.

    Raises
    ------
    CheckpointError
        Where the file is missing, cut off or no checkpoint of this package.

    """
    path = Path(path)
    return _facts(path, _read(path, weights=False)[0])


def load_checkpoint(path: str | Path) -> Checkpoint:
    """
    Read a checkpoint and build its network.

    Raises
    ------
    CheckpointError
        Where the file is missing, cut off, damaged, no checkpoint of this package, or its
        tensors are not those of the network that it names.

    """
    path = Path(path)
    metadata, tensors = _read(path)
    sha256 = metadata.pop('sha256')
    if sha256 != (actual := _digest(metadata, tensors)):
        raise CheckpointError(
            f'{path}: damaged: its content has SHA-256 {actual[:12]}…, the file says '
            f'{sha256[:12]}…; copy or download it again'
        )
    facts = _facts(path, metadata)
    if facts.pop('format_version') != FORMAT_VERSION:
        raise CheckpointError(
            f'{path}: format version {metadata["format_version"]}, expected {FORMAT_VERSION}; '
            'it was written by another version of this package'
        )
    try:
        model = _build(facts['name'], facts['config'], tensors)
    except (ConfigError, RuntimeError) as error:
        raise CheckpointError(f'{path}: {error}') from None
    return Checkpoint(model.eval(), **facts, sha256=sha256, path=path)


def _facts(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Return the metadata's values, of the types that they must have."""
    try:
        facts = {key: json.loads(value) for key, value in metadata.items() if key in _FACTS}
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f'{path}: its metadata are not JSON: {error}') from None
    for key, kind in _FACTS.items():
        if not isinstance(facts[key], kind):
            raise CheckpointError(
                f'{path}: {key} in its metadata must be {kind.__name__}, got '
                f'{reprlib.repr(facts[key])}'
            )
    return facts


def _build(name: str, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> nn.Module:
    """
    Build the network and give it its weights.

    A configuration may ask for a network of any size; no memory is taken for it before the file
    is seen to hold all of its tensors.
    """
    from ir_vis_fusion.models.registry import build
    import torch

    _check_numbers(config)
    with torch.device('meta'):
        build(name, config).load_state_dict(tensors, assign=True)
    model = build(name, config)
    model.load_state_dict(tensors)
    return model


def _check_numbers(value: Any) -> None:
    if isinstance(value, (dict, list)):
        for one in value.values() if isinstance(value, dict) else value:
            _check_numbers(one)
    elif isinstance(value, (int, float)) and not abs(value) <= LARGEST_NUMBER:
        raise ConfigError(f'its configuration holds {value!r}, at most {LARGEST_NUMBER} is meant')


def _read(path: Path, weights: bool = True) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Return the metadata, which are known to be complete, and the tensors of a file."""
    from safetensors import safe_open, SafetensorError

    found = checked_file(path, MAX_CHECKPOINT_BYTES, CheckpointError, advice=_advice())
    try:
        with safe_open(found, framework='pt') as file:
            metadata = file.metadata() or {}
            names = file.keys() if weights else ()
            tensors = {key: file.get_tensor(key) for key in names}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f'{path}: not a safetensors file, or cut off ({error}); copy or download it again'
        ) from None
    if missing := sorted({*_FACTS, 'sha256'} - metadata.keys()):
        raise CheckpointError(
            f'{path}: not a checkpoint of this package: its metadata lack {", ".join(missing)}'
        )
    return metadata, tensors


def _digest(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """Hash the metadata and each tensor's name, type, shape and bytes, in order of names."""
    digest = hashlib.sha256(json.dumps(dict(metadata), sort_keys=True).encode())
    for key in sorted(tensors):
        tensor = tensors[key]
        digest.update(f'{key} {tensor.dtype} {tuple(tensor.shape)}'.encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def _in_package(model: str) -> Path:
    package, _, inside = model.removeprefix(PACKAGE_SCHEME).partition('/')
    if not package or not inside or '..' in (package, *Path(inside).parts):
        raise CheckpointError(
            f"model {model!r} must be {PACKAGE_SCHEME}PACKAGE/PATH, without '..' in it"
        )
    prefixes = [Path(p) for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    for prefix in prefixes:
        path = prefix / 'share' / package / inside
        if path.is_file():
            return path
    where = (
        ', '.join(map(str, prefixes)) or 'AMENT_PREFIX_PATH is empty: is the workspace sourced?'
    )
    raise CheckpointError(f'model {model!r}: no share/{package}/{inside} in {where}{_advice()}')


def _advice() -> str:
    names = ', '.join(path.stem for path in shipped()) or 'none'
    return f'; shipped models: {names}'
