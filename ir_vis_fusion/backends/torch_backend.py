"""Networks from this package's own checkpoints, by torch."""

from pathlib import Path

from ir_vis_fusion.backends.cuda_graph import CudaBackend
from ir_vis_fusion.backends.interface import Backend, describe
from ir_vis_fusion.backends.student_cpu import StudentOnCpu
from ir_vis_fusion.backends.student_cuda import StudentOnCuda
from ir_vis_fusion.checkpoint import Checkpoint, load_checkpoint
from ir_vis_fusion.errors import warn_of_slowness
import torch
from torch import Tensor


def load(path: Path, device: torch.device, exact: bool) -> Backend:
    """
    Load a checkpoint and choose the way that is fastest for its network on a device.

    Raises
    ------
    CheckpointError
        Where the file is missing, damaged or made for another network.

    """
    checkpoint = load_checkpoint(path)
    if device.type == 'cpu' and StudentOnCpu.takes(checkpoint.model):
        return StudentOnCpu(checkpoint, exact)
    if device.type != 'cuda':
        return TorchBackend(checkpoint, device)
    if not exact and StudentOnCuda.takes(checkpoint.model):
        try:
            return StudentOnCuda(checkpoint, device)
        except Exception as error:  # noqa: BLE001 - whatever is amiss, torch does the same
            warn_of_slowness('kernels of the student', error)
            torch.cuda.synchronize(device)
    return CudaBackend(checkpoint, device, exact)


class TorchBackend:
    """Run the network of a checkpoint on a device, as it is."""

    images = torch.float32
    compute = None

    def __init__(self, checkpoint: Checkpoint, device: torch.device) -> None:
        self.network = describe(checkpoint)
        self._model = checkpoint.model.to(device)

    @torch.inference_mode()
    def __call__(self, vis: Tensor, ir: Tensor, *features: Tensor | None) -> Tensor:
        """Fuse one pair; see :class:`ir_vis_fusion.backends.interface.Backend`."""
        return self._model(vis, ir, *features)
