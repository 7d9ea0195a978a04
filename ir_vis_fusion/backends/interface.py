"""What a back-end is, and what it says of the network that it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from ir_vis_fusion.checkpoint import Checkpoint
import torch
from torch import Tensor


@dataclass(frozen=True)
class Network:
    """
    What the predictor has to know of a network, whatever runs it.

    ``name`` and ``sha256`` are those of the checkpoint that it comes from, ``path`` is the file
    that was loaded. ``color``, and ``guidance`` with vectors of ``guidance_features`` numbers,
    are as in :mod:`ir_vis_fusion.models.registry`; ``clip`` names the CLIP that made the features
    of the training, '' where none did.
    """

    name: str
    sha256: str
    path: Path
    color: bool
    guidance: tuple[str, ...] = ()
    guidance_features: int = 0
    clip: str = ''


class Backend(Protocol):
    """
    Runs one network on one device; made once, called for every frame, from one thread.

    ``images`` is the type of the images that it takes: float32 in [0, 1], or uint8 in [0, 255],
    which only luma on the CPU may be. ``compute`` is what a CUDA graph of more than the network
    records in place of the call: the same, without a graph of its own; None where there is none.
    """

    network: Network
    images: torch.dtype
    compute: Callable[..., Tensor] | None

    def __call__(self, vis: Tensor, ir: Tensor, *features: Tensor | None) -> Tensor:
        """
        Fuse one pair.

        Parameters
        ----------
        vis
            (1, 1, H, W) luma or, where ``network.color``, (1, 3, H, W) RGB; of the type
            ``images``, on the device that the back-end was made for; not changed.
        ir
            (1, 1, H, W) likewise.
        features
            One (1, ``network.guidance_features``) float32 for each of ``network.guidance``, in
            its order, or None where there is none.

        Returns
        -------
        Tensor
            Shape, type and range of ``vis``. The caller's to change, until the next call, which
            may write the next result into the same memory.

        """


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
