"""What moves through the synthetic scene: people who walk, a car, and smoke."""

from dataclasses import dataclass
import math

from ir_vis_fusion.evaluation.scene.backdrop import Backdrop, light_at
from ir_vis_fusion.evaluation.scene.canvas import (
    Canvas,
    Color,
    FOCAL,
    HEIGHT,
    Point,
    project,
    WIDTH,
)
from ir_vis_fusion.evaluation.scene.noise import PERIOD, tileable
import numpy as np

FACE_C, HAND_C, CLOTHES_C, LEGS_C, SHOES_C, HAIR_C = 34.0, 31.0, 28.0, 25.5, 17.0, 25.0
SKIN, HAIR = np.array((0.45, 0.28, 0.2)), np.array((0.05, 0.035, 0.03))
STRIDE_M = 1.45
SMOKE_C, SMOKE_OPACITY_THERMAL = 12.0, 0.06


@dataclass(frozen=True)
class Person:
    """
    Somebody who walks from (x, z) with a speed (x, z) in metres and m/s, from ``from_s`` on.

    ``waves``: stands still and waves for help instead. ``jacket_c`` is what shows of the
    warmth below the jacket: a padded one is cooler.
    """

    start: Point
    speed: Point
    jacket: Color
    trousers: Color
    height: float = 1.75
    from_s: float = 0.0
    waves: bool = False
    jacket_c: float = CLOTHES_C

    def position(self, time_s: float) -> Point:
        """Return (x, z) in metres."""
        gone_s = time_s - self.from_s
        return self.start[0] + self.speed[0] * gone_s, self.start[1] + self.speed[1] * gone_s

    def bounds(self, time_s: float) -> tuple[int, int, int, int]:
        """Return the pixels that head, trunk and legs fill: left, top, right, bottom."""
        x, z = self.position(time_s)
        left, bottom = project(x - 0.12 * self.height, 0.1, z)
        right, top = project(x + 0.12 * self.height, 0.98 * self.height, z)
        return int(left), int(top), int(right), int(bottom)

    def paint(self, canvas: Canvas, time_s: float) -> None:
        """Paint shadow, then limbs from the far to the near side."""
        x, z = self.position(time_s)
        if time_s < self.from_s or z < 2:
            return
        scale = FOCAL * self.height / z
        foot = project(x, 0, z)
        canvas.shade((foot[0], foot[1] - 0.01 * scale), (0.22 * scale, 0.035 * scale), 0.55)
        light = light_at(np.array((x, 1.1, z - 0.35))) * 1.5
        pace = math.hypot(*self.speed)
        sideways = self.speed[0] / pace if pace else 0.2
        pose = _Pose(canvas, foot, scale, z, light, sideways)
        phase = 2 * math.pi * pace * (time_s - self.from_s) / STRIDE_M + self.start[0]
        # Who stands has the feet apart.
        swing = 0.5 * min(pace / 1.2, 1.0) if pace else 0.22
        pose.paint(self, phase if pace else math.pi / 2, swing, time_s)


class _Pose:
    """Draws the parts of a body; body heights are the unit, forward and up the axes."""

    def __init__(
        self,
        canvas: Canvas,
        foot: Point,
        scale: float,
        z: float,
        light: np.ndarray,
        sideways: float,
    ) -> None:
        self._canvas, self._foot, self._scale, self._z = canvas, foot, scale, z
        self._light, self._sideways = light, sideways
        # Hips and shoulders show their width to who is met head-on.
        self._breadth = math.sqrt(max(1 - sideways**2, 0.04))

    def paint(self, person: Person, phase: float, swing: float, time_s: float) -> None:
        bob = 0.012 * swing * math.cos(2 * phase)
        jacket, trousers = np.asarray(person.jacket), np.asarray(person.trousers)
        for side, dim in ((1, 0.7), (-1, 1.0)):
            if side > 0:
                self._arm(person, phase, swing, side, dim * jacket, time_s, bob)
            self._leg(phase, swing, side, dim * trousers, bob)
        hip, chest = (0.0, 0.53 + bob), (0.025, 0.75 + bob)
        wide = 0.045 * self._breadth
        for shift in (-wide, wide):
            self._limb(hip, chest, (0.072, 0.088), person.jacket_c, jacket, shift)
        self._limb((0.03, 0.82 + bob), (0.035, 0.87 + bob), (0.04, 0.036), 32.5, SKIN * 0.8)
        self._limb((0.03, 0.925 + bob), (0.028, 0.945 + bob), (0.055, 0.053), HAIR_C, HAIR)
        self._limb((0.048, 0.9 + bob), (0.05, 0.925 + bob), (0.042, 0.045), FACE_C, SKIN)
        self._arm(person, phase, swing, -1, jacket, time_s, bob)

    def _leg(self, phase: float, swing: float, side: int, color: Color, bob: float) -> None:
        angle = swing * math.sin(phase + (0 if side > 0 else math.pi))
        lifted = max(math.cos(phase + (0 if side > 0 else math.pi)), 0)
        shin = angle - 0.08 - 1.5 * swing * lifted
        shift = 0.05 * side * self._breadth
        hip = (0.0, 0.52 + bob)
        knee = (hip[0] + 0.25 * math.sin(angle), hip[1] - 0.25 * math.cos(angle))
        ankle = (knee[0] + 0.24 * math.sin(shin), max(knee[1] - 0.24 * math.cos(shin), 0.03))
        self._limb(hip, knee, (0.062, 0.045), LEGS_C, color, shift)
        self._limb(knee, ankle, (0.045, 0.031), LEGS_C - 1.2, color, shift)
        toe = (ankle[0] + 0.085, max(ankle[1] - 0.02 + 0.1 * (angle if angle > 0 else 0), 0.02))
        self._limb(ankle, toe, (0.03, 0.022), SHOES_C, np.full(3, 0.04), shift)

    def _arm(
        self,
        person: Person,
        phase: float,
        swing: float,
        side: int,
        color: Color,
        time_s: float,
        bob: float,
    ) -> None:
        shift = 0.10 * side * self._breadth
        shoulder = (0.02, 0.79 + bob)
        upper = -0.9 * swing * math.sin(phase + (0 if side > 0 else math.pi))
        fore = upper + 0.3 + 0.3 * swing
        if person.waves:
            sway = 0.35 * math.sin(7.0 * time_s + side)
            upper, fore = 2.2 + 0.3 * sway, 2.9 + sway
            # Waving arms spread to the sides, whichever way the body is turned.
            shoulder = (0.09 * side / (self._sideways or 1), shoulder[1])
            upper, fore = (angle * side for angle in (upper, fore))
        elbow = (shoulder[0] + 0.165 * math.sin(upper), shoulder[1] - 0.165 * math.cos(upper))
        hand = (elbow[0] + 0.15 * math.sin(fore), elbow[1] - 0.15 * math.cos(fore))
        shift = 0.0 if person.waves else shift
        self._limb(shoulder, elbow, (0.036, 0.03), person.jacket_c - 0.8, color, shift)
        self._limb(elbow, hand, (0.029, 0.022), person.jacket_c - 1.5, color, shift)
        tip = (hand[0] + 0.03 * math.sin(fore), hand[1] - 0.03 * math.cos(fore))
        self._limb(hand, tip, (0.023, 0.018), HAND_C, SKIN, shift)

    def _limb(
        self,
        start: Point,
        end: Point,
        radii: tuple[float, float],
        temperature: float,
        color: Color,
        shift: float = 0.0,
    ) -> None:
        start, end = (
            (
                self._foot[0] + self._scale * (forward * self._sideways + shift),
                self._foot[1] - self._scale * up,
            )
            for forward, up in (start, end)
        )
        radii = (radii[0] * self._scale, radii[1] * self._scale)
        self._canvas.capsule(start, end, radii, temperature, color * self._light, self._z)


class Car:
    """A car that comes towards the viewer and stops."""

    def __init__(self, x: float, start_z: float, stop_z: float, stop_s: float) -> None:
        self.x, self._start_z, self._stop_z, self._stop_s = x, start_z, stop_z, stop_s

    def position(self, time_s: float) -> Point:
        """Return (x, z) in metres; it brakes evenly to a stop at ``stop_s``."""
        left = max(1 - time_s / self._stop_s, 0)
        return self.x, self._stop_z + (self._start_z - self._stop_z) * left**2

    def light_road(self, canvas: Canvas, backdrop: Backdrop, time_s: float) -> None:
        """Light the road in front of it."""
        x, z = self.position(time_s)
        first = int(project(x, 0, z)[1]) + 1 - (HEIGHT - backdrop.ground_z.shape[0])
        ahead = z - backdrop.ground_z[first:]
        beam = np.exp(-(((backdrop.ground_x[first:] - x) / (0.9 + 0.16 * ahead)) ** 2))
        beam *= 3.2 * np.clip(ahead, 0, 1) / (2.5 + ahead) ** 1.3
        rows = slice(HEIGHT - ahead.shape[0], HEIGHT)
        canvas.radiance[rows] += beam[..., None] * backdrop.ground_albedo[first:]

    def paint(self, canvas: Canvas, time_s: float) -> None:
        """Paint it from the front: cool paint and glass, warm bonnet, grille and wheels."""
        x, z = self.position(time_s)
        metre = FOCAL / z
        light = light_at(np.array((x, 1.0, z - 0.5))) * 1.3
        paint, glass, black = (np.array(c) for c in ((0.30, 0.05, 0.05), (0.05,) * 3, (0.02,) * 3))

        def box(
            across: float, up: float, half: Point, corner: float, degrees: float, color: Color
        ) -> None:
            size = (half[0] * metre, half[1] * metre)
            centre = project(x + across, up, z)
            canvas.box(centre, size, max(corner * metre, 0.5), degrees, color * light, z)

        under = project(x, 0.02, z)
        canvas.shade(under, (1.25 * metre, 0.22 * metre), 0.85)
        canvas.warm(under, (1.0 * metre, 0.25 * metre), 4.0)
        for side in (-0.72, 0.72):
            box(side, 0.31, (0.12, 0.31), 0.08, 24.0, black)
        box(0, 1.18, (0.70, 0.30), 0.22, 11.5, paint)
        box(0, 1.16, (0.62, 0.23), 0.17, 9.0, glass)
        box(0, 0.62, (0.90, 0.31), 0.16, 14.0, paint)
        box(0, 0.86, (0.80, 0.12), 0.10, 30.0, paint * 1.25)
        box(0, 0.58, (0.42, 0.10), 0.05, 40.0, black)
        box(0, 0.36, (0.26, 0.06), 0.02, 16.0, np.full(3, 0.5))
        for side in (-0.66, 0.66):
            spot = project(x + side, 0.68, z)
            canvas.capsule(spot, spot, (0.12 * metre,) * 2, 33.0, np.full(3, 5.0), z)

    def glare(self, canvas: Canvas, time_s: float) -> None:
        """Add the glare of its headlamps and their reflection on the wet road."""
        x, z = self.position(time_s)
        metre = FOCAL / z
        white = np.array((1.0, 0.95, 0.85))
        for side in (-0.66, 0.66):
            spot = project(x + side, 0.68, z)
            canvas.glow(spot, 0.16 * metre, 1.6 * white, 2.2 * metre)
            canvas.glow(spot, 0.9 * metre, 0.035 * white, 5.0 * metre)


class Smoke:
    """Smoke from a smouldering bin; it drifts across the street and hides who stands in it."""

    Z = 7.0
    BIN: Point = (3.95, 7.4)
    # Puffs: centre and spread in pixels, density.
    _PUFFS = (
        (595, 300, 30, 42, 9.0),
        (541, 290, 50, 56, 17.0),
        (527, 205, 62, 50, 5.0),
        (450, 140, 80, 42, 2.2),
        (330, 95, 90, 34, 1.0),
    )
    _LEFT, _TOP, _BOTTOM = 80, 0, HEIGHT

    def __init__(self, rng: np.random.Generator, backdrop: Backdrop) -> None:
        self._textures = [tileable(rng, cells) for cells in (6, 11)]
        self._window = (slice(self._TOP, self._BOTTOM), slice(self._LEFT, WIDTH))
        self._haze = backdrop.haze[self._window]
        self._y = np.arange(self._TOP, self._BOTTOM, dtype=np.float32)[:, None]
        self._x = np.arange(self._LEFT, WIDTH, dtype=np.float32)[None]

    def paint(self, canvas: Canvas, time_s: float) -> None:
        """Cover the bin's surroundings; opaque for the visible camera, not for the thermal."""
        self._paint_bin(canvas, time_s)
        drift = 150 * math.exp(-time_s / 1.1)
        density = 0
        for x, y, wide, high, weight in self._PUFFS:
            away = ((self._x - x - drift) / wide) ** 2 + ((self._y - y) / high) ** 2
            density = density + weight * np.exp(-0.5 * away)
        body = self._scrolled(0, 38 * time_s, 22 * time_s)
        detail = self._scrolled(1, 62 * time_s, 41 * time_s)
        body, detail = body * body, detail * detail
        thick = density * (0.22 + 1.5 * body) * (0.4 + 1.1 * detail)
        cover = 1 - np.exp(-np.maximum(thick - 0.03, 0))
        light = self._haze * (0.22 + 0.75 * body + 0.35 * detail)[..., None]
        light += 0.003
        there = canvas.radiance[self._window]
        there += cover[..., None] * (light - there)
        here = canvas.temperature[self._window]
        here += SMOKE_OPACITY_THERMAL * cover * (SMOKE_C - here)

    def _paint_bin(self, canvas: Canvas, time_s: float) -> None:
        x, z = self.BIN
        metre = FOCAL / z
        flicker = 1 + 0.25 * math.sin(23 * time_s) + 0.2 * math.sin(37 * time_s + 1)
        canvas.box(project(x, 0.42, z), (0.21 * metre, 0.42 * metre), 3, 24.0, (0.01,) * 3, z)
        canvas.box(
            project(x, 0.80, z), (0.19 * metre, 0.04 * metre), 2, 36.0, (0.9, 0.25, 0.04), z
        )
        fire = np.array((1.0, 0.42, 0.10)) * flicker
        canvas.glow(project(x, 0.9, z), 0.3 * metre, 0.5 * fire, 2.4 * metre)

    def _scrolled(self, index: int, left: float, up: float) -> np.ndarray:
        texture = self._textures[index]
        y, x = int(up) % PERIOD, int(left) % PERIOD
        height, width = self._y.shape[0], self._x.shape[1]
        return texture[y : y + height, x : x + width]
