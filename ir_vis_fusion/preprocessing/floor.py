"""The least that any fusion in colour has to do, to compare with: two conversions and a blend."""

import cv2
import numpy as np


class Floor:
    """
    RGB to YCrCb, the mean of Y and infrared, and back; bytes in memory that is kept.

    What every fusion of luma that keeps the colours has around its network, by OpenCV.
    """

    def __init__(self, height: int, width: int) -> None:
        self._converted = np.empty((height, width, 3), np.uint8)
        self._luma = np.empty((height, width), np.uint8)
        self._fused = np.empty((height, width, 3), np.uint8)

    def __call__(self, visible: np.ndarray, ir: np.ndarray) -> np.ndarray:
        """Blend (H, W, 3) uint8 RGB with (H, W) uint8; the result is overwritten next time."""
        converted, luma = self._converted, self._luma
        cv2.cvtColor(visible, cv2.COLOR_RGB2YCrCb, dst=converted)
        cv2.extractChannel(converted, 0, dst=luma)
        cv2.addWeighted(luma, 0.5, ir, 0.5, 0, dst=luma)
        cv2.insertChannel(luma, converted, 0)
        return cv2.cvtColor(converted, cv2.COLOR_YCrCb2RGB, dst=self._fused)
