"""Which back-end runs a model's file: its ending says it."""

from collections.abc import Callable
from pathlib import Path

from ir_vis_fusion.backends import onnx_backend, tensorrt_backend, torch_backend
from ir_vis_fusion.backends.interface import Backend
from ir_vis_fusion.checkpoint import read_facts, resolve, SUFFIX
from ir_vis_fusion.errors import CheckpointError
import torch

# Each takes the file, the device and whether float32 is wanted throughout.
BACKENDS: dict[str, Callable[[Path, torch.device, bool], Backend]] = {
    SUFFIX: torch_backend.load,
    onnx_backend.SUFFIX: onnx_backend.OnnxBackend,
    tensorrt_backend.SUFFIX: tensorrt_backend.TensorrtBackend,
}


def check_model(model: str) -> None:
    """
    Look at what a model setting means without loading it: quick, and no proof that it loads.

    Raises
    ------
    CheckpointError
        Where there is no such file, its ending is unknown, or it says nothing of its network.

    """
    path = resolve(model)
    _check_ending(path)
    if path.suffix == SUFFIX:
        read_facts(path)


def load_backend(path: Path, device: torch.device, exact: bool = False) -> Backend:
    """
    Load a model's file with the library that its ending names.

    ``exact`` keeps the network in float32 where another type would be faster.

    Raises
    ------
    CheckpointError
        Where the ending is unknown, or the file is damaged or made for another network.
    BackendError
        Where the library is missing.
    DeviceError
        Where it cannot use the device.

    """
    _check_ending(path)
    return BACKENDS[path.suffix](path, device, exact)


def _check_ending(path: Path) -> None:
    if path.suffix not in BACKENDS:
        raise CheckpointError(
            f'{path}: unknown ending {path.suffix!r}, must be one of {", ".join(BACKENDS)}'
        )
