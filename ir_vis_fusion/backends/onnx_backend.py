"""Networks from ONNX files, by ONNX Runtime; the only module that runs them."""

import importlib.util
from pathlib import Path
from typing import Any

from ir_vis_fusion.backends.description import from_metadata
from ir_vis_fusion.errors import BackendError, CheckpointError, DeviceError, FusionError
from ir_vis_fusion.files import checked_file, MAX_CHECKPOINT_BYTES
import numpy as np
import torch
from torch import Tensor

SUFFIX = '.onnx'
OUTPUT = 'fused'
_WARNINGS_OFF = 3


class OnnxBackend:
    """
    Run a network that ``ivf export --format onnx`` has written.

    Images are handed over by address, neither copied nor sent anywhere. A feature that is not
    there goes in as zeros, which mean the same to every exported network.

    Parameters
    ----------
    path
        The .onnx file.
    device
        Where the tensors are. On CUDA, ONNX Runtime needs its CUDA provider; its TensorRT provider
        comes first where TensorRT is installed.

    exact
        Without meaning here: the file says what type it computes in.

    Raises
    ------
    CheckpointError
        Where the file is missing, damaged or not exported by this package.
    BackendError
        Where ONNX Runtime is missing.
    DeviceError
        Where this ONNX Runtime cannot use the device.

    """

    images = torch.float32
    compute = None

    def __init__(self, path: Path, device: torch.device, exact: bool = False) -> None:
        path = Path(path)
        self._session = open_session(path, device, CheckpointError)
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.network = from_metadata(metadata, path)
        self._device = device
        self._inputs = [source.name for source in self._session.get_inputs()]
        expected = ['vis', 'ir', *self.network.guidance]
        if self._inputs != expected:
            raise CheckpointError(f'{path}: its inputs are {self._inputs}, expected {expected}')
        self._nothing = torch.zeros(1, max(1, self.network.guidance_features), device=device)

    def __call__(self, vis: Tensor, ir: Tensor, *features: Tensor | None) -> Tensor:
        """Fuse one pair; see :class:`ir_vis_fusion.backends.interface.Backend`."""
        given = [self._nothing if one is None else one for one in features]
        tensors = [one.float().contiguous() for one in (vis, ir, *given)]
        fused = torch.empty(vis.shape, device=self._device)
        binding = self._session.io_binding()
        where = (self._device.type, self._device.index or 0, np.float32)
        for name, tensor in zip(self._inputs, tensors, strict=True):
            binding.bind_input(name, *where, tuple(tensor.shape), tensor.data_ptr())
        binding.bind_output(OUTPUT, *where, tuple(fused.shape), fused.data_ptr())
        # ONNX Runtime has a stream of its own, which knows nothing of torch's.
        if self._device.type == 'cuda':
            torch.cuda.current_stream(self._device).synchronize()
        self._session.run_with_iobinding(binding)
        binding.synchronize_outputs()
        return fused


def open_session(path: Path, device: torch.device, error: type[FusionError]) -> Any:
    """
    Load an ONNX file into an ``onnxruntime.InferenceSession``.

    It is read as bytes, so that it cannot name other files as its weights.

    Parameters
    ----------
    path
        The file.
    device
        The CPU, or a CUDA device of which the CUDA provider must be there.
    error
        What is raised where the file is missing or no network.

    Raises
    ------
    BackendError
        Where ONNX Runtime is missing.
    DeviceError
        Where it cannot use the device.

    """
    runtime = require_onnxruntime()
    content = checked_file(path, MAX_CHECKPOINT_BYTES, error).read_bytes()
    options = runtime.SessionOptions()
    options.log_severity_level = _WARNINGS_OFF
    options.intra_op_num_threads = torch.get_num_threads()
    # As OMP_WAIT_POLICY in runtime.py: threads that spin take the cores from each other.
    options.add_session_config_entry('session.intra_op.allow_spinning', '0')
    try:
        return runtime.InferenceSession(content, options, _providers(runtime, device))
    except FusionError:
        raise
    except Exception as fault:  # noqa: BLE001 (its errors have no common class but this)
        raise error(f'{str(path)!r}: not a network to run: {fault}') from None


def require_onnxruntime() -> Any:
    """Return the module, or raise BackendError with the remedy."""
    try:
        import onnxruntime
    except ModuleNotFoundError:
        raise BackendError("onnxruntime is missing: pip install 'ir_vis_fusion[onnx]'") from None
    return onnxruntime


def has_cuda() -> bool:
    """Say whether this ONNX Runtime knows CUDA."""
    return 'CUDAExecutionProvider' in require_onnxruntime().get_available_providers()


def _providers(runtime: Any, device: torch.device) -> list[Any]:
    """Return the providers for a device, the best one first."""
    if device.type == 'cpu':
        return ['CPUExecutionProvider']
    available = runtime.get_available_providers()
    if 'CUDAExecutionProvider' not in available:
        raise DeviceError(
            f"device '{device}': this onnxruntime has {', '.join(available)}; pip install "
            "onnxruntime-gpu in its place, or use device 'cpu' or the .safetensors model"
        )
    number = {'device_id': device.index or 0}
    providers: list[Any] = [('CUDAExecutionProvider', number), 'CPUExecutionProvider']
    # The provider is in every GPU wheel, the library that it loads is not.
    if 'TensorrtExecutionProvider' in available and importlib.util.find_spec('tensorrt'):
        providers.insert(0, ('TensorrtExecutionProvider', number | {'trt_fp16_enable': True}))
    return providers
