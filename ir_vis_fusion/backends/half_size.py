"""Half the size where the memory of a GPU does not hold the whole."""

from ir_vis_fusion.backends.interface import Backend
from ir_vis_fusion.preprocessing.levels import to_type
import torch
from torch import Tensor
import torch.nn.functional as F


class HalfSize:
    """
    Run another back-end on images of half the height and width: a quarter of its memory.

    What the network adds to the small visible image is enlarged and added to the full one, so
    that the visible image's detail stays.

    Parameters
    ----------
    backend
        Runs the network.

    """

    images = torch.float32
    compute = None

    def __init__(self, backend: Backend) -> None:
        self.network = backend.network
        self._backend = backend

    def __call__(self, vis: Tensor, ir: Tensor, *features: Tensor | None) -> Tensor:
        """Fuse one pair; see :class:`ir_vis_fusion.backends.interface.Backend`."""
        size = [max(1, side // 2) for side in vis.shape[-2:]]
        small_vis, small_ir = (F.interpolate(image, size, mode='area') for image in (vis, ir))
        wanted = self._backend.images
        fused = self._backend(to_type(small_vis, wanted), to_type(small_ir, wanted), *features)
        added = to_type(fused, torch.float32) - small_vis
        added = F.interpolate(added, vis.shape[-2:], mode='bilinear', align_corners=False)
        return added.add_(vis).clamp_(0, 1)
