"""
Networks as TensorRT engines; the only module that knows TensorRT.

An engine is built on the GPU that will run it, from what ``onnx_export`` writes, and is of use
there only. Its file begins with :data:`MAGIC`, the length of the metadata as four bytes (little
endian) and the metadata as JSON, among them the SHA-256 of the engine that follows.
"""

from collections.abc import Mapping
import hashlib
import json
from pathlib import Path
from typing import Any

from ir_vis_fusion.backends.description import from_metadata
from ir_vis_fusion.errors import BackendError, CheckpointError, DeviceError
from ir_vis_fusion.files import checked_file, MAX_CHECKPOINT_BYTES
import torch
from torch import Tensor

SUFFIX = '.engine'
MAGIC = b'ivf-trt1'
_LENGTH = 4
# Smallest, usual and largest frames (height, width): engines are tuned for the usual one.
SIZES = ((32, 32), (480, 640), (1080, 1920))


class TensorrtBackend:
    """
    Run an engine that ``ivf export --format tensorrt`` has built on this machine.

    Parameters
    ----------
    path
        The .engine file.
    device
        A CUDA device.

    Raises
    ------
    CheckpointError
        Where the file is missing, damaged, or built for another GPU or version of TensorRT.
    BackendError
        Where TensorRT is missing.
    DeviceError
        On the CPU.

    """

    images = torch.float32
    compute = None

    def __init__(self, path: Path, device: torch.device, exact: bool = False) -> None:
        path = Path(path)
        metadata, plan = read_engine(path)
        self.network = from_metadata(metadata, path)
        if device.type != 'cuda':
            raise DeviceError(f'{path}: an engine of TensorRT runs on CUDA, not on {device}')
        trt = require_tensorrt()
        with torch.cuda.device(device):
            engine = trt.Runtime(trt.Logger(trt.Logger.ERROR)).deserialize_cuda_engine(plan)
        if engine is None:
            raise CheckpointError(
                f'{path}: was built for another GPU or TensorRT (with {metadata["built_with"]}, '
                f'here is {trt.__version__}); export it on this machine'
            )
        self._engine = engine
        self._context = engine.create_execution_context()
        self._device = device
        self._names = [engine.get_tensor_name(at) for at in range(engine.num_io_tensors)][:-1]
        self._nothing = torch.zeros(1, max(1, self.network.guidance_features), device=device)

    def __call__(self, vis: Tensor, ir: Tensor, *features: Tensor | None) -> Tensor:
        """Fuse one pair; see :class:`ir_vis_fusion.backends.interface.Backend`."""
        given = [self._nothing if one is None else one for one in features]
        tensors = [one.float().contiguous() for one in (vis, ir, *given)]
        fused = torch.empty(vis.shape, device=self._device)
        for name, tensor in zip(self._names, tensors, strict=True):
            self._context.set_input_shape(name, tuple(tensor.shape))
            self._context.set_tensor_address(name, tensor.data_ptr())
        self._context.set_tensor_address('fused', fused.data_ptr())
        stream = torch.cuda.current_stream(self._device)
        if not self._context.execute_async_v3(stream.cuda_stream):
            raise BackendError(
                f'{self.network.path}: TensorRT did not run frames of {tuple(vis.shape[-2:])}; '
                f'the engine takes {SIZES[0]} to {SIZES[-1]}'
            )
        return fused


def build_engine(content: bytes, metadata: Mapping[str, str], path: Path) -> None:
    """
    Build an engine on the current GPU and write it; an existing file is replaced as a whole.

    Parameters
    ----------
    content
        The network as ONNX; its types are kept, so that fp16 is what was exported as such.
    metadata
        As of :func:`ir_vis_fusion.backends.description.to_metadata`.
    path
        File to write.

    Raises
    ------
    BackendError
        Where TensorRT is missing or cannot build the network.
    DeviceError
        Where there is no GPU.

    """
    trt = require_tensorrt()
    if not torch.cuda.is_available():
        raise DeviceError('an engine of TensorRT is built on the GPU that runs it; here is none')
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    flags = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    network = builder.create_network(flags)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse(content):
        faults = '; '.join(str(parser.get_error(at)) for at in range(parser.num_errors))
        raise BackendError(f'{path}: TensorRT cannot read the network: {faults}')
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    for at in range(network.num_inputs):
        source = network.get_input(at)
        lead = tuple(source.shape)[:-2]
        if -1 in source.shape:
            profile.set_shape(source.name, *(lead + size for size in SIZES))
    config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config)
    if plan is None:
        raise BackendError(f'{path}: TensorRT {trt.__version__} could not build the network')
    built_with = {'built_with': f'TensorRT {trt.__version__}, {torch.cuda.get_device_name()}'}
    write_engine(path, metadata | built_with, bytes(plan))


def write_engine(path: Path, metadata: Mapping[str, str], plan: bytes) -> None:
    """Write an engine's file; an existing one is replaced as a whole or not at all."""
    facts = dict(metadata) | {'engine_sha256': hashlib.sha256(plan).hexdigest()}
    head = json.dumps(facts, sort_keys=True).encode()
    partial = path.with_name(f'{path.name}.partial')
    partial.write_bytes(MAGIC + len(head).to_bytes(_LENGTH, 'little') + head + plan)
    partial.replace(path)


def read_engine(path: Path) -> tuple[dict[str, str], bytes]:
    """
    Return the metadata and the engine of a file.

    exact
        Without meaning here: the file says what type it computes in.

    Raises
    ------
    CheckpointError
        Where the file is missing, damaged or not written by :func:`write_engine`.

    """
    content = checked_file(path, MAX_CHECKPOINT_BYTES, CheckpointError).read_bytes()
    start = len(MAGIC) + _LENGTH
    end = start + int.from_bytes(content[len(MAGIC) : start], 'little')
    if not content.startswith(MAGIC) or end >= len(content):
        raise CheckpointError(f'{path}: not an engine of `ivf export`, or cut off')
    try:
        metadata = json.loads(content[start:end])
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f'{path}: its metadata are not JSON: {error}') from None
    strings = isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values())
    if not strings or not {'engine_sha256', 'built_with'} <= metadata.keys():
        raise CheckpointError(f'{path}: its metadata are not those of `ivf export`')
    plan = content[end:]
    if hashlib.sha256(plan).hexdigest() != metadata['engine_sha256']:
        raise CheckpointError(f'{path}: damaged; export or copy it again')
    return metadata, plan


def require_tensorrt() -> Any:
    """Return the module, or raise BackendError with the remedy."""
    try:
        import tensorrt
    except ModuleNotFoundError:
        raise BackendError(
            'tensorrt is missing: pip install tensorrt, or use the .onnx or .safetensors model'
        ) from None
    return tensorrt
