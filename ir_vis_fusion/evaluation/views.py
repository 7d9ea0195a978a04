"""Frames as one looks at them: thermal as a network gets it, colours as RGB."""

from ir_vis_fusion.config import ThermalSettings
from ir_vis_fusion.preprocessing.front_end import ThermalFrontEnd
from ir_vis_fusion.types import Frame, PixelEncoding, ThermalState
import numpy as np
import torch


class ThermalView:
    """Normalise the frames of one thermal stream and tell those without a scene."""

    def __init__(self, settings: ThermalSettings) -> None:
        self._front_end = ThermalFrontEnd(settings)

    def reset(self) -> None:
        """Forget earlier frames; call it when time jumps."""
        self._front_end.reset()

    def look(self, frame: Frame) -> tuple[torch.Tensor, ThermalState]:
        """Return the next frame as (H, W) float32 in [0, 1], and its state."""
        image = self._front_end.look(frame)
        return image.ir, image.state


def rgb(frame: Frame) -> np.ndarray:
    """Return a colour frame as (H, W, 3) uint8 RGB."""
    pixels = frame.image if frame.encoding is PixelEncoding.RGB8 else frame.image[..., ::-1]
    return np.ascontiguousarray(pixels)
