"""The street without anything that moves: what is painted once for all frames."""

from dataclasses import dataclass

from ir_vis_fusion.evaluation.scene.canvas import (
    CAMERA_HEIGHT_M,
    Canvas,
    CENTRE_X,
    Color,
    FOCAL,
    HEIGHT,
    HORIZON_Y,
    project,
    WIDTH,
)
from ir_vis_fusion.evaluation.scene.noise import Noise
import numpy as np

SUPERSAMPLING = 2
MOONLIGHT = np.array((0.010, 0.012, 0.018), np.float32)
SODIUM, LED = (1.0, 0.62, 0.28), (0.75, 0.9, 1.0)
LEFT_WALL_M, RIGHT_WALL_M, STREET_END_M = -5.4, 8.6, 46.0
LEFT_FROM_M, RIGHT_FROM_M = 7.0, 12.0
CURB_LEFT_M, CURB_RIGHT_M, LANE_M = -2.6, 4.6, 1.0


@dataclass(frozen=True)
class Lamp:
    """A street lamp; ``x`` and ``z`` are metres to the right and ahead."""

    x: float
    z: float
    color: Color
    power: float
    height: float = 5.0


LAMPS = (
    Lamp(-2.9, 8.5, SODIUM, 3.4),
    Lamp(-2.9, 17.0, SODIUM, 3.4),
    Lamp(5.0, 13.0, LED, 3.0),
    Lamp(-2.9, 27.0, SODIUM, 3.4),
    Lamp(5.0, 24.0, LED, 3.0),
    Lamp(5.0, 36.0, LED, 3.0),
)


@dataclass(frozen=True)
class Backdrop:
    """
    The empty street: its canvas and what moving lights and smoke need to know of it.

    ``ground_x``, ``ground_z`` are metres on the road for the rows below the horizon,
    ``ground_albedo`` its colour; ``haze`` (H, W, 3) is the light of the lamps at the depth of
    the smoke.
    """

    canvas: Canvas
    ground_x: np.ndarray
    ground_z: np.ndarray
    ground_albedo: np.ndarray
    haze: np.ndarray


def light_at(position: np.ndarray, normal: np.ndarray | None = None) -> np.ndarray:
    """
    Return the light (..., 3) at positions (..., 3) in metres.

    With a ``normal`` (3,), on a surface that faces it; without, from all sides.
    """
    total = np.broadcast_to(MOONLIGHT, position.shape).copy()
    for lamp in LAMPS:
        to_lamp = np.array((lamp.x, lamp.height, lamp.z), np.float32) - position
        distance2 = (to_lamp**2).sum(-1)
        facing = 0.5
        if normal is not None:
            facing = np.maximum(to_lamp @ np.asarray(normal, np.float32), 0) / np.sqrt(distance2)
        power = lamp.power * facing / (distance2 + 1)
        total += power[..., None] * np.asarray(lamp.color, np.float32)
    return total


def make_backdrop(rng: np.random.Generator) -> Backdrop:
    """Paint the empty street."""
    x, y = _pixels(SUPERSAMPLING)
    noise = Noise(rng)
    layers = _sky(x, y, noise)
    for surface in (
        _far_houses,
        _wall(LEFT_WALL_M, LEFT_FROM_M),
        _wall(RIGHT_WALL_M, RIGHT_FROM_M),
        _ground,
    ):
        _put(layers, *surface(x, y, noise))
    temperature, radiance, depth = (_shrink(layer) for layer in layers)
    canvas = Canvas(temperature, radiance, depth)
    _trees(canvas, rng)
    for lamp in sorted(LAMPS, key=lambda lamp: -lamp.z):
        _lamp(canvas, lamp)
    x, y = _pixels(1)
    below = y[:, 0] > HORIZON_Y + 2
    ground_z = FOCAL * CAMERA_HEIGHT_M / (y[below] - HORIZON_Y)
    ground_x = (x - CENTRE_X) * ground_z / FOCAL
    albedo = _road_albedo(ground_x, ground_z, noise)
    smoke_z = 7.0
    across = np.broadcast_to((x - CENTRE_X) * smoke_z / FOCAL, (HEIGHT, WIDTH))
    up = np.broadcast_to(CAMERA_HEIGHT_M - (y - HORIZON_Y) * smoke_z / FOCAL, (HEIGHT, WIDTH))
    haze = light_at(np.stack([across, up, np.full_like(up, smoke_z)], -1))
    return Backdrop(canvas, ground_x, ground_z, albedo, haze.astype(np.float32))


def _pixels(scale: int) -> tuple[np.ndarray, np.ndarray]:
    x = (np.arange(WIDTH * scale, dtype=np.float32)[None] + 0.5) / scale
    y = (np.arange(HEIGHT * scale, dtype=np.float32)[:, None] + 0.5) / scale
    return x, y


def _shrink(layer: np.ndarray) -> np.ndarray:
    size = (HEIGHT, SUPERSAMPLING, WIDTH, SUPERSAMPLING)
    return layer.reshape(*size, *layer.shape[2:]).mean((1, 3), dtype=np.float32)


def _put(
    layers: list[np.ndarray],
    mask: np.ndarray,
    temperature: np.ndarray,
    radiance: np.ndarray,
    depth: np.ndarray,
) -> None:
    """Put a surface, given for the pixels of its mask, in front of what is there."""
    for layer, values in zip(layers, (temperature, radiance, depth), strict=True):
        layer[mask] = values


def _sky(x: np.ndarray, y: np.ndarray, noise: Noise) -> list[np.ndarray]:
    clouds = noise(x / 130 + y / 300, y / 45, 4)
    height = np.clip(y / HORIZON_Y, 0, 1)
    temperature = 1.5 + 3.5 * height + 2.5 * clouds
    glow = 0.002 + 0.011 * height**2
    radiance = (glow * (0.4 + 1.2 * clouds))[..., None] * np.array((1.0, 0.9, 1.15), np.float32)
    depth = np.full_like(temperature, 1000.0)
    return [temperature, radiance.astype(np.float32), depth]


def _far_houses(x: np.ndarray, y: np.ndarray, noise: Noise) -> tuple[np.ndarray, ...]:
    """Draw the houses across the end of the street, with windows."""
    z = STREET_END_M + 4
    across = (x - CENTRE_X) * z / FOCAL + 0 * y
    up = CAMERA_HEIGHT_M - (y - HORIZON_Y) * z / FOCAL + 0 * x
    house = np.floor((across + 60) / 7.5)
    roof = 7 + 6.5 * noise(house * 7.3, house * 3.1)
    mask = (up < roof) & (up > -0.5)
    across, up, house = across[mask], up[mask], house[mask]
    window = _windows(across, up, 1.9, 2.6)
    lit = window * (noise(np.floor(across / 1.9) * 5.7 + house, np.floor(up / 2.6) * 9.1) > 0.62)
    brick = 0.8 + 0.4 * noise(across * 2, up * 4, 2)
    temperature = 9.5 + 1.5 * noise(house * 2.2, house) + 2.0 * window + 0.6 * brick
    wall = (0.006 * brick)[:, None] * np.array((1.0, 0.9, 0.8), np.float32)
    radiance = wall + lit[:, None] * np.array((0.30, 0.19, 0.08), np.float32)
    return mask, temperature, radiance.astype(np.float32), np.full_like(across, z)


def _wall(wall_x: float, nearest_z: float) -> object:
    """Return the painter of a row of houses along the street, at ``wall_x`` metres."""

    def paint(x: np.ndarray, y: np.ndarray, noise: Noise) -> tuple[np.ndarray, ...]:
        side = np.where(x == CENTRE_X, 1e-3, x - CENTRE_X)
        z = FOCAL * wall_x / side + 0 * y
        up = CAMERA_HEIGHT_M - (y - HORIZON_Y) * z / FOCAL
        house = np.floor(z / 9.0)
        roof = 6.2 + 3.4 * noise(house * 4.7 + wall_x, house * 1.3)
        mask = (z > nearest_z) & (z < STREET_END_M) & (up > 0) & (up < roof)
        z, up, house, roof = z[mask], up[mask], house[mask], roof[mask]
        albedo, temperature, emission = _facade(z, up, house, roof, noise)
        normal = (-np.sign(wall_x), 0, 0)
        position = np.stack([np.full_like(z, wall_x), up, z], -1)
        radiance = albedo * light_at(position, normal) + emission
        return mask, temperature, radiance.astype(np.float32), z

    return paint


def _facade(
    z: np.ndarray, up: np.ndarray, house: np.ndarray, roof: np.ndarray, noise: Noise
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return albedo, temperature and emission of brick, windows, doors and a warm base."""
    course = np.floor(up / 0.16)
    joint = ((up / 0.16) % 1 < 0.14) | (((z / 0.5) + 0.5 * (course % 2)) % 1 < 0.06)
    brick = 0.55 + 0.45 * noise(np.floor(z / 0.5 + 0.5 * (course % 2)) * 1.7, course * 1.3)
    stain = noise(z * 0.7, up * 0.5, 4)
    tint = noise(house * 9.1, house * 2.7)[:, None]
    clay, plaster = np.array((0.34, 0.17, 0.12)), np.array((0.34, 0.31, 0.26))
    albedo = (clay * (1 - tint) + plaster * tint) * (brick * (0.6 + 0.7 * stain))[:, None]
    albedo[joint] *= 0.7
    window = _windows(z, up, 2.25, 2.7)
    frame = np.clip(_windows(z, up, 2.25, 2.7, 0.10) - window, 0, 1)
    lit = noise(np.floor(z / 2.25) * 3.3, np.floor(up / 2.7) * 7.7 + house) > 0.6
    door = (np.abs(z % 9.0 - 4.5) < 0.55) & (up < 2.1)
    albedo = albedo * (1 - window)[:, None] + 0.03 * window[:, None] + 0.35 * frame[:, None]
    albedo[door] = (0.10, 0.05, 0.03)
    emission = (window * lit)[:, None] * np.array((0.42, 0.27, 0.11))
    emission *= (0.55 + 0.45 * ((z / 2.25 % 1) * 2 % 1 > 0.06))[:, None]
    temperature = 10.6 + 1.6 * stain + 0.35 * brick - 0.5 * joint + 1.6 * np.exp(-up / 0.6)
    temperature += window * (2.2 + 2.4 * lit) + 1.3 * frame + 2.5 * np.exp(-(roof - up) / 0.25)
    temperature[door] = 15.0
    return albedo, temperature, emission


def _windows(
    along: np.ndarray, up: np.ndarray, width: float, height: float, margin: float = 0.0
) -> np.ndarray:
    """Return 1 within the windows of a regular front, above the ground floor's sill."""
    across, rise = np.abs(along / width % 1 - 0.5) * width, np.abs(up / height % 1 - 0.58) * height
    inside = (across < 0.27 * width + margin) & (rise < 0.27 * height + margin)
    return inside.astype(np.float32)


def _ground(x: np.ndarray, y: np.ndarray, noise: Noise) -> tuple[np.ndarray, ...]:
    """Draw road, curbs and pavements, with wet streaks under the lamps."""
    mask = np.broadcast_to(y > HORIZON_Y + 2, (y.shape[0], x.shape[1]))
    z = FOCAL * CAMERA_HEIGHT_M / (y - HORIZON_Y)
    across = ((x - CENTRE_X) * z / FOCAL)[mask]
    z = np.broadcast_to(z, mask.shape)[mask]
    mask = mask.copy()
    behind = (z > STREET_END_M) | (across < LEFT_WALL_M) & (z > LEFT_FROM_M)
    behind |= (across > RIGHT_WALL_M) & (z > RIGHT_FROM_M)
    mask[mask] = ~behind
    across, z = across[~behind], z[~behind]
    albedo = _road_albedo(across, z, noise)
    radiance = albedo * light_at(np.stack([across, 0 * z, z], -1), (0, 1, 0))
    for lamp in LAMPS:
        # On wet asphalt a lamp draws a streak towards the viewer.
        mirror = np.exp(-(((across / z - lamp.x / lamp.z) * 26) ** 2)) * np.clip(lamp.z - z, 0, 1)
        wet = noise(across * 3, z * 0.8, 3) ** 2 * (across > CURB_LEFT_M)
        streak = 0.055 * lamp.power * mirror * wet * np.exp(-(lamp.z - z) / 6)
        radiance += streak[:, None] * np.asarray(lamp.color)
    road = (across > CURB_LEFT_M) & (across < CURB_RIGHT_M)
    grain = noise(across * 6, z * 3, 4)
    tracks = np.exp(-((np.abs(np.abs(across - LANE_M) - 1.75) - 0.75) ** 2) / 0.08)
    temperature = np.where(road, 11.2 + 0.5 * tracks, 9.4) + 1.4 * (grain - 0.5)
    temperature += 1.1 * noise(across * 0.5 + 9, z * 0.25, 3) - 0.5
    joints = (np.minimum(across % 0.9, z % 0.9) < 0.04) & ~road
    temperature[joints] -= 0.6
    return mask, temperature, radiance.astype(np.float32), z


def _road_albedo(across: np.ndarray, z: np.ndarray, noise: Noise) -> np.ndarray:
    road = (across > CURB_LEFT_M) & (across < CURB_RIGHT_M)
    grain = noise(across * 14, z * 7, 3) * 0.6 + noise(across * 0.8, z * 0.4, 3) * 0.7
    albedo = np.where(road, 0.11, 0.24) * (0.35 + grain)
    slabs = (np.minimum(across % 0.9, z % 0.9) < 0.035) & ~road
    albedo = np.where(slabs, albedo * 0.55, albedo)
    curb = np.minimum(np.abs(across - CURB_LEFT_M), np.abs(across - CURB_RIGHT_M)) < 0.12
    albedo = np.where(curb, 0.33, albedo)
    dashes = (np.abs(across - LANE_M) < 0.07) & (z % 4.0 < 2.0)
    albedo = np.where(dashes, 0.6, albedo)
    return (albedo[..., None] * np.array((1.0, 0.98, 0.95))).astype(np.float32)


def _trees(canvas: Canvas, rng: np.random.Generator) -> None:
    """Paint trees of many leaf clusters, those towards the lamps lighter; cool in thermal."""
    for x, z, height in ((6.6, 30.0, 7.0), (6.4, 19.0, 6.5), (6.9, 12.2, 6.2)):
        foot, top = project(x, 0, z), project(x + 0.1, 0.6 * height, z)
        metre = FOCAL / z
        bark = 0.10 * light_at(np.array((x, 1.5, z - 0.5)))
        canvas.capsule(foot, top, (0.17 * metre, 0.09 * metre), 9.8, bark, z)
        for _ in range(750):
            away = rng.normal(0, 1, 3) * (1.15, 0.85, 1.0)
            if np.abs(away[2]) > 1.6:
                continue
            at = np.array((x + away[0], 0.72 * height + away[1], z + away[2]))
            light = light_at(at) * rng.uniform(0.25, 1.0)
            leaf = np.array((0.13, 0.19, 0.07)) * light
            size = metre * rng.uniform(0.045, 0.13)
            spot = project(*at)
            end = (spot[0] + rng.normal(0, size), spot[1] + rng.normal(0, size / 2))
            canvas.capsule(spot, end, (size, size * 0.6), rng.normal(7.9, 0.5), leaf, z)


def _lamp(canvas: Canvas, lamp: Lamp) -> None:
    """Paint post, arm and head with its glow; the post hides what walks behind it."""
    metre = FOCAL / lamp.z
    post = lamp.x + (-0.6 if lamp.x < 0 else 0.6)
    foot, top = project(post, 0, lamp.z), project(post, lamp.height, lamp.z)
    head = project(lamp.x, lamp.height, lamp.z)
    steel = 0.12 * light_at(np.array((post, 2.0, lamp.z - 0.3)))
    width = max(0.055 * metre, 0.8)
    canvas.capsule(foot, top, (width * 1.3, width), 10.4, steel, lamp.z)
    canvas.capsule(top, head, (width, width), 10.4, steel, lamp.z)
    canvas.capsule(
        head, (head[0] + 0.1 * metre, head[1]), (0.11 * metre,) * 2, 41.0, (4.0,) * 3, 0
    )
    color = np.asarray(lamp.color)
    canvas.glow(head, 0.22 * metre, 2.2 * color, 2.6 * metre)
    canvas.glow(head, 1.3 * metre, 0.05 * color, 5.5 * metre)
    rows = slice(max(int(top[1]), 0), min(int(foot[1]), HEIGHT))
    columns = slice(max(int(foot[0] - width), 0), max(int(foot[0] + width) + 1, 0))
    canvas.depth[rows, columns] = np.minimum(canvas.depth[rows, columns], lamp.z)
