"""A picture seen by two cameras at once, and the shapes that are painted on it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

WIDTH, HEIGHT = 640, 480
FOCAL = 520.0
CENTRE_X, HORIZON_Y = 320.0, 200.0
CAMERA_HEIGHT_M = 2.2
AIR_C = 8.0

Color = Sequence[float] | np.ndarray
Point = tuple[float, float]


def project(x: float, y: float, z: float) -> Point:
    """Return the pixel of a point: metres to the right, above the ground and ahead."""
    return CENTRE_X + FOCAL * x / z, HORIZON_Y - FOCAL * (y - CAMERA_HEIGHT_M) / z


@dataclass
class Canvas:
    """
    Temperature (H, W) in degrees Celsius, radiance (H, W, 3) linear RGB, depth (H, W) in metres.

    Shapes are painted from far to near; ``depth`` is that of the backdrop and hides what lies
    behind it.
    """

    temperature: np.ndarray
    radiance: np.ndarray
    depth: np.ndarray

    def copy(self) -> 'Canvas':
        """Return a canvas that can be painted on; the depth is shared."""
        return Canvas(self.temperature.copy(), self.radiance.copy(), self.depth)

    def capsule(
        self,
        start: Point,
        end: Point,
        radii: tuple[float, float],
        temperature: float,
        color: Color,
        z: float,
    ) -> None:
        """Paint a limb: a line between two pixels, as thick at its ends as ``radii`` say."""
        reach = max(radii) + 1.5
        window, x, y = self._window(
            min(start[0], end[0]) - reach,
            min(start[1], end[1]) - reach,
            max(start[0], end[0]) + reach,
            max(start[1], end[1]) + reach,
        )
        x, y = x - start[0], y - start[1]
        along_x, along_y = end[0] - start[0], end[1] - start[1]
        length2 = max(along_x**2 + along_y**2, 1e-6)
        share = np.clip((x * along_x + y * along_y) / length2, 0, 1)
        x, y = x - share * along_x, y - share * along_y
        radius = radii[0] + (radii[1] - radii[0]) * share
        self._paint(window, x, y, np.hypot(x, y), radius, temperature, color, z)

    def box(
        self,
        centre: Point,
        half: Point,
        corner: float,
        temperature: float | np.ndarray,
        color: Color,
        z: float,
    ) -> None:
        """Paint an upright rectangle with round corners."""
        window, x, y = self._window(
            centre[0] - half[0] - 2,
            centre[1] - half[1] - 2,
            centre[0] + half[0] + 2,
            centre[1] + half[1] + 2,
        )
        x, y = x - centre[0], y - centre[1]
        outside_x = np.maximum(np.abs(x) - half[0] + corner, 0)
        outside_y = np.maximum(np.abs(y) - half[1] + corner, 0)
        distance = np.hypot(outside_x, outside_y)
        # Shaded by its height as a whole, not by its corners.
        self._paint(window, 0 * x, y, distance, corner, temperature, color, z, half[1])

    def shade(self, centre: Point, radii: Point, strength: float) -> None:
        """Darken an ellipse softly: a shadow on the ground."""
        window, x, y = self._window(
            centre[0] - 2 * radii[0],
            centre[1] - 2 * radii[1],
            centre[0] + 2 * radii[0],
            centre[1] + 2 * radii[1],
        )
        away2 = ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2
        self.radiance[window] *= (1 - strength * np.exp(-2 * away2))[..., None]

    def warm(self, centre: Point, radii: Point, degrees: float) -> None:
        """Warm an ellipse softly."""
        window, x, y = self._window(
            centre[0] - 2 * radii[0],
            centre[1] - 2 * radii[1],
            centre[0] + 2 * radii[0],
            centre[1] + 2 * radii[1],
        )
        away2 = ((x - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2
        self.temperature[window] += degrees * np.exp(-2 * away2)

    def glow(self, centre: Point, radius: float, color: Color, reach: float) -> None:
        """Add the light that lens and haze spread around a lamp; ``reach`` ends it."""
        window, x, y = self._window(
            centre[0] - reach, centre[1] - reach, centre[0] + reach, centre[1] + reach
        )
        away2 = (x - centre[0]) ** 2 + (y - centre[1]) ** 2
        fade = np.maximum(1 - away2 / reach**2, 0) ** 2
        light = fade / (1 + away2 / radius**2) ** 1.25
        self.radiance[window] += light[..., None] * np.asarray(color, np.float32)

    def _window(
        self, left: float, top: float, right: float, bottom: float
    ) -> tuple[tuple[slice, slice], np.ndarray, np.ndarray]:
        """Return the part of the picture within bounds and its pixels' centres."""
        height, width = self.temperature.shape
        x0, x1 = (int(np.clip(value, 0, width)) for value in (left, right + 1))
        y0, y1 = (int(np.clip(value, 0, height)) for value in (top, bottom + 1))
        x = np.arange(x0, x1, dtype=np.float32)[None] + 0.5
        y = np.arange(y0, y1, dtype=np.float32)[:, None] + 0.5
        return (slice(y0, y1), slice(x0, x1)), x, y

    def _paint(
        self,
        window: tuple[slice, slice],
        x: np.ndarray,
        y: np.ndarray,
        distance: np.ndarray,
        radius: np.ndarray | float,
        temperature: float,
        color: Color,
        z: float,
        reach: float | None = None,
    ) -> None:
        """Blend a round shape in: lit from above, and cooler where its surface turns away."""
        cover = np.clip(radius - distance + 0.5, 0, 1) * (self.depth[window] > z)
        radius = radius if reach is None else reach
        edge2 = np.minimum((x * x + y * y) / (radius * radius), 1)
        lit = 0.8 - 0.15 * x / radius - 0.35 * y / radius
        here = self.temperature[window]
        here += cover * (temperature - 0.13 * (temperature - AIR_C) * edge2 - here)
        there = self.radiance[window]
        color = np.asarray(color, np.float32)
        there += cover[..., None] * (np.maximum(lit, 0)[..., None] * color - there)
