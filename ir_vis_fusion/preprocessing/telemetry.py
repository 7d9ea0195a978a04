"""Rows of telemetry above or below a thermal image, which are no picture: they are cut off."""

from dataclasses import replace

from ir_vis_fusion.config import ThermalSettings
from ir_vis_fusion.errors import EncodingError
from ir_vis_fusion.types import Frame
import numpy as np

# Heights of images with telemetry: two rows on 640x512 and 320x256 (Boson) and 160x120 (Lepton).
_ROWS = {514: 2, 258: 2, 122: 2}


class TelemetryCrop:
    """
    Cuts rows of telemetry off the images of one camera.

    Cameras put them first or last, as they are set; which it is is looked for in the first
    image of a size.
    """

    def __init__(self, settings: ThermalSettings) -> None:
        self._settings = settings
        self._shape: tuple[int, ...] | None = None
        self._from_top = True
        self.rows = 0

    def crop(self, frame: Frame) -> Frame:
        """
        Return the frame without them, as a view.

        Raises
        ------
        EncodingError
            With kind ``empty`` where nothing would be left.

        """
        height = frame.image.shape[0]
        rows = self._settings.crop_rows
        if rows < 0:
            rows = _ROWS.get(height, 0)
        self.rows = rows
        if not rows:
            return frame
        if rows >= height:
            raise EncodingError(
                'empty',
                f'thermal.crop_rows is {rows}, but the thermal image has {height} rows; set fewer',
            )
        if frame.image.shape != self._shape:
            self._shape = frame.image.shape
            self._from_top = self._side(frame.image, rows)
        image = frame.image[rows:] if self._from_top else frame.image[:-rows]
        return replace(frame, image=image)

    def _side(self, image: np.ndarray, rows: int) -> bool:
        """Say whether the top is to go."""
        if self._settings.crop_from != 'auto':
            return self._settings.crop_from == 'top'
        return _strangeness(image, rows) >= _strangeness(image[::-1], rows)


def _strangeness(image: np.ndarray, rows: int) -> float:
    """Return how much the first rows differ from the next ones, pixel by pixel (median)."""
    rows = min(rows, len(image) // 2)
    first, later = (image[start : start + rows].astype(np.float64) for start in (0, rows))
    return float(np.median(np.nan_to_num(np.abs(first - later))))
