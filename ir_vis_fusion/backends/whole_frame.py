"""
A whole frame as one CUDA graph: from the images that were sent to the one that is fetched.

What comes before a small network, the network and what comes after it are a dozen kernels of some
microseconds, each of which takes longer to launch.
"""

from functools import partial
from types import ModuleType

from ir_vis_fusion.backends.cuda_graph import GraphCache, record, Run
from ir_vis_fusion.backends.interface import Backend
from ir_vis_fusion.preprocessing import color
from ir_vis_fusion.preprocessing.front_end import ThermalImage
from ir_vis_fusion.preprocessing.view import View
from ir_vis_fusion.types import PixelEncoding
import torch
from torch import Tensor


class WholeFrame:
    """
    Serves one network of luma without guidance.

    Parameters
    ----------
    network
        Fuses luma and infrared, (1, 1, H, W) float32 each, on the device; not recorded.
    device
        A CUDA device; elsewhere nothing is recorded.

    """

    def __init__(self, network: Run, device: torch.device) -> None:
        self._network = network
        self._records = device.type == 'cuda'
        # Written for each frame while the device is idle; the graphs bring them there.
        self._numbers = torch.zeros(3, pin_memory=self._records)
        self._written = self._numbers.numpy()
        self._runs: dict[tuple[PixelEncoding, PixelEncoding], Run] = {}

    @staticmethod
    def of(backend: Backend, device: torch.device) -> 'WholeFrame | None':
        """Return one that runs the network of a back-end, None where that cannot be."""
        network = backend.network
        if network.color or network.guidance or backend.compute is None:
            return None
        return WholeFrame(backend.compute, device)

    def __call__(
        self,
        image: Tensor,
        order: tuple[PixelEncoding, PixelEncoding],
        thermal: ThermalImage,
        view: View | None,
        strength: float,
    ) -> Tensor | None:
        """
        Fuse one pair; see :func:`ir_vis_fusion.preprocessing.color.fuse`.

        Returns
        -------
        Tensor or None
            (H, W, 3) uint8, valid until the next call; None where these images have to go another
            way.

        """
        kernels = color.kernels_for(image, thermal, view)
        if kernels is None:
            return None
        if order not in self._runs:
            self._runs[order] = self._make(kernels, order)
        self._written[:] = thermal.scale.low, thermal.scale.span, strength
        places, mask = (view.places, view.mask) if view else ((None, None), None)
        return self._runs[order](image, thermal.raw, self._numbers, *places, mask)

    def _make(self, kernels: ModuleType, order: tuple[PixelEncoding, PixelEncoding]) -> Run:
        run = partial(color.fuse, kernels, self._network, order)
        return GraphCache(lambda *inputs: record(run, inputs)) if self._records else run
