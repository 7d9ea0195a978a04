"""
The state of a run on disk: all that is needed to go on at the exact step.

One safetensors file: tensors of the networks and the optimizer, and the rest as JSON in its
metadata. There is no random generator to keep: each step draws from its own
(:class:`training.chance.Chance`). Nothing is pickled.
"""

from collections.abc import Mapping
import json
from pathlib import Path
from typing import Any

from ir_vis_fusion.errors import CheckpointError
from safetensors import safe_open, SafetensorError
from safetensors.torch import save
import torch
from torch import nn, Tensor

OPTIMIZER = 'optimizer'


def save_state(
    path: Path,
    networks: Mapping[str, nn.Module],
    optimizer: torch.optim.Optimizer,
    facts: Mapping[str, Any],
) -> None:
    """Write the state; an existing file is replaced as a whole or not at all."""
    tensors: dict[str, Tensor] = {}
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
