"""
Mirrored and cropped copies of labelled pictures, which tell how much of a precision is chance.

A detector's figures on some dozen pictures move by more than methods differ when the same pictures
are shifted by a few pixels against its grid.
"""

from dataclasses import dataclass

import numpy as np

# Of width and height at each side.
LARGEST_MARGIN = 0.06
# Of its area, for an object at the border to count.
LEAST_LEFT = 0.4


@dataclass(frozen=True)
class Copy:
    """Cut off ``margins`` (left, top, right, bottom), shares of the sides, then mirror."""

    margins: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    mirrored: bool = False

    def image(self, image: np.ndarray) -> np.ndarray:
        """Return the copy of (H, W, 3)."""
        left, top, right, bottom = self._window(*image.shape[:2])
        image = image[top:bottom, left:right]
        return np.ascontiguousarray(image[:, ::-1] if self.mirrored else image)

    def labels(self, labels: np.ndarray, height: int, width: int) -> np.ndarray:
        """
        Turn YOLO labels (N, 5) into (M, 5): class, left, top, right, bottom in pixels of the copy.

        Of objects that the border cuts, the rest, where that is at least 40 % of the area.
        """
        left, top, right, bottom = self._window(height, width)
        origin, inner = np.array([left, top]), np.array([right - left, bottom - top])
        sides = np.array([width, height])
        centre, size = labels[:, 1:3] * sides - origin, labels[:, 3:5] * sides
        start, end = centre - size / 2, centre + size / 2
        kept = np.full(len(labels), True)
        if any(self.margins):
            start, end = start.clip(0, inner), end.clip(0, inner)
            kept = (end - start).prod(1) >= LEAST_LEFT * size.prod(1)
        if self.mirrored:
            start[:, 0], end[:, 0] = inner[0] - end[:, 0], inner[0] - start[:, 0]
        return np.hstack([labels[:, :1], start, end])[kept]

    def _window(self, height: int, width: int) -> tuple[int, int, int, int]:
        left, top, right, bottom = self.margins
        ends = width - round(right * width), height - round(bottom * height)
        return round(left * width), round(top * height), *ends


def draw_copies(count: int) -> list[Copy]:
    """Return the pictures themselves and ``count`` - 1 copies, the same ones every time."""
    chance = np.random.default_rng(0)
    drawn = [Copy(), Copy(mirrored=True)]
    while len(drawn) < count:
        margins = tuple(chance.uniform(0, LARGEST_MARGIN, 4).tolist())
        drawn.append(Copy(margins, mirrored=len(drawn) % 2 == 1))
    return drawn[:count]
