"""Which back-end runs a model's file: its ending says it."""

from collections.abc import Callable
from pathlib import Path

from ir_vis_fusion.backends import torch_backend
from ir_vis_fusion.backends.interface import Backend
from ir_vis_fusion.checkpoint import SUFFIX
from ir_vis_fusion.errors import CheckpointError
import torch

# Each takes the file, the device and whether float32 is wanted throughout.
BACKENDS: dict[str, Callable[[Path, torch.device, bool], Backend]] = {SUFFIX: torch_backend.load}


def load_backend(path: Path, device: torch.device, exact: bool = False) -> Backend:
    """
    Load a model's file with the library that its ending names.

    ``exact`` keeps the network in float32 where another type would be faster.

    Raises
    ------
    CheckpointError
        Where the ending is unknown, or the file is damaged or made for another network.

    """
    if path.suffix not in BACKENDS:
        raise CheckpointError(
            f'{path}: unknown ending {path.suffix!r}, must be one of {", ".join(BACKENDS)}'
        )
    return BACKENDS[path.suffix](path, device, exact)
