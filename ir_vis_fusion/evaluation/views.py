"""Frames as one looks at them: thermal as a network gets it, colours as RGB."""

from ir_vis_fusion.config import ThermalSettings
from ir_vis_fusion.preprocessing.thermal import FfcDetector, ThermalNormalizer
from ir_vis_fusion.types import Frame, PixelEncoding, ThermalState
import numpy as np
import torch


class ThermalView:
    """Normalise the frames of one thermal stream and tell those without a scene."""

    def __init__(self, settings: ThermalSettings) -> None:
        self._normalizer, self._detector = ThermalNormalizer(settings), FfcDetector()

    def reset(self) -> None:
        """Forget earlier frames; call it when time jumps."""
        self._normalizer.reset()
        self._detector.reset()

    def look(self, frame: Frame) -> tuple[torch.Tensor, ThermalState]:
        """Return the next frame as (H, W) float32 in [0, 1], and its state."""
        state = self._detector.update(frame)
        pixels = torch.from_numpy(np.array(frame.image))
        frozen = state is not ThermalState.LIVE
        return self._normalizer.normalize(pixels, frame.stamp_ns, frozen), state


def rgb(frame: Frame) -> np.ndarray:
    """Return a colour frame as (H, W, 3) uint8 RGB."""
    pixels = frame.image if frame.encoding is PixelEncoding.RGB8 else frame.image[..., ::-1]
    return np.ascontiguousarray(pixels)
