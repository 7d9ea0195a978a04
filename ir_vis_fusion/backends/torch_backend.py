"""Networks from this package's own checkpoints, by torch."""

from pathlib import Path

from ir_vis_fusion.backends.interface import Network
from ir_vis_fusion.checkpoint import Checkpoint, load_checkpoint
import torch
from torch import Tensor


class TorchBackend:
    """
    Run the network of a checkpoint as it is.

    Parameters
    ----------
    path
        A checkpoint of this package.
    device
        Where the network and all tensors are.

    Raises
    ------
    CheckpointError
        Where the file is missing, damaged or made for another network.

    """

    def __init__(self, path: Path, device: torch.device) -> None:
        checkpoint = load_checkpoint(path)
        self.network = describe(checkpoint)
        self._model = checkpoint.model.to(device).eval()

    @torch.inference_mode()
    def __call__(self, vis: Tensor, ir: Tensor, *features: Tensor | None) -> Tensor:
        """Fuse one pair; see :class:`ir_vis_fusion.backends.interface.Backend`."""
        return self._model(vis, ir, *features)


def describe(checkpoint: Checkpoint) -> Network:
    """Tell what the predictor has to know of a checkpoint's network."""
    model = checkpoint.model
    return Network(
        name=checkpoint.name,
        sha256=checkpoint.sha256,
        path=checkpoint.path,
        color=model.color,
        guidance=tuple(model.guidance),
        guidance_features=model.example_inputs(32, 32)[-1].shape[1] if model.guidance else 0,
        clip=checkpoint.preprocessing.get('clip', {}).get('name', ''),
    )
