"""What an exported file says of the network in it, in its metadata: strings, each of them JSON."""

from collections.abc import Mapping
import json
from pathlib import Path
import reprlib
from typing import Any

from ir_vis_fusion.backends.interface import Network
from ir_vis_fusion.checkpoint import Checkpoint
from ir_vis_fusion.errors import CheckpointError

EXPORT_VERSION = 1
# What is read again; a file tells more, for whoever looks into it.
_FACTS = {
    'export_version': int,
    'name': str,
    'sha256': str,
    'color': bool,
    'guidance': list,
    'guidance_features': int,
    'clip': str,
}


def to_metadata(network: Network, checkpoint: Checkpoint, precision: str) -> dict[str, str]:
    """Return all that is known of a network that is exported; ``sha256`` is the checkpoint's."""
    facts = {
        'export_version': EXPORT_VERSION,
        'name': network.name,
        'sha256': network.sha256,
        'color': network.color,
        'guidance': network.guidance,
        'guidance_features': network.guidance_features,
        'clip': network.clip,
        'precision': precision,
        'config': checkpoint.config,
        'preprocessing': checkpoint.preprocessing,
        'provenance': checkpoint.provenance,
    }
    return {key: json.dumps(value, sort_keys=True) for key, value in facts.items()}


def from_metadata(metadata: Mapping[str, str], path: Path) -> Network:
    """
    Return what the predictor has to know of an exported network.

    Raises
    ------
    CheckpointError
        Where the metadata are not those that :func:`to_metadata` writes.

    """
    if missing := sorted(_FACTS.keys() - metadata.keys()):
        raise CheckpointError(
            f'{path}: not exported by this package: its metadata lack {", ".join(missing)}; '
            'write it with `ivf export`'
        )
    try:
        facts = {key: json.loads(metadata[key]) for key in _FACTS}
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f'{path}: its metadata are not JSON: {error}') from None
    for key, kind in _FACTS.items():
        if type(facts[key]) is not kind:
            raise CheckpointError(
                f'{path}: {key} in its metadata must be {kind.__name__}, got '
                f'{reprlib.repr(facts[key])}'
            )
    if (version := facts.pop('export_version')) != EXPORT_VERSION:
        raise CheckpointError(
            f'{path}: export version {version}, expected {EXPORT_VERSION}; export it again'
        )
    return Network(**facts | {'guidance': _names(facts['guidance']), 'path': path})


def _names(guidance: list[Any]) -> tuple[str, ...]:
    return tuple(map(str, guidance))
