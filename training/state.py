"""
The state of a run on disk: all that is needed to go on at the exact step.

One safetensors file: tensors of the networks, the optimizer and the random generator, and the
rest as JSON in its metadata. Nothing is pickled.
"""

from collections.abc import Mapping
import json
from pathlib import Path
from typing import Any

from ir_vis_fusion.errors import CheckpointError
from safetensors import safe_open, SafetensorError
from safetensors.torch import save
import torch
from torch import Generator, nn, Tensor

GENERATOR = 'generator'
OPTIMIZER = 'optimizer'


def save_state(
    path: Path,
    networks: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    generator: Generator,
    facts: Mapping[str, Any],
) -> None:
    """Write the state; an existing file is replaced as a whole or not at all."""
    tensors = {GENERATOR: generator.get_state()}
    for name, network in networks.items():
        tensors |= {f'{name}/{key}': value for key, value in network.state_dict().items()}
    for index, values in optimizer.state_dict()['state'].items():
        tensors |= {f'{OPTIMIZER}/{index}/{key}': value for key, value in values.items()}
    partial = path.with_name(f'{path.name}.partial')
    partial.write_bytes(save(tensors, {'facts': json.dumps(dict(facts))}))
    partial.replace(path)


def load_state(
    path: Path,
    networks: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    generator: Generator,
) -> dict[str, Any]:
    """
    Put a saved state back into place and return its facts.

    Raises
    ------
    CheckpointError
        Where the file is damaged or belongs to another network.

    """
    try:
        with safe_open(path, framework='pt') as file:
            facts = json.loads(file.metadata()['facts'])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        generator.set_state(tensors[GENERATOR])
        for name, network in networks.items():
            network.load_state_dict(_below(f'{name}/', tensors))
        slots: dict[int, dict[str, Tensor]] = {}
        for key, value in _below(f'{OPTIMIZER}/', tensors).items():
            index, _, name = key.partition('/')
            slots.setdefault(int(index), {})[name] = value
        groups = optimizer.state_dict()['param_groups']
        optimizer.load_state_dict({'state': slots, 'param_groups': groups})
    except (SafetensorError, OSError, KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(
            f'{path}: cannot be taken up again ({error}); remove it to start anew'
        ) from None
    return facts


def _below(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)
    }
