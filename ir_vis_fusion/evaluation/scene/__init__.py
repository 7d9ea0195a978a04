"""
A synthetic street at night, seen by a thermal and a visible camera of one field of view.

The thermal camera is radiometric (hundredths of a kelvin, 16 bits) and calibrates its shutter
once (FFC): for 0.7 s it repeats one image bit for bit while its stamps go on. All is decided by
the seed; a frame does not depend on the ones before it.
"""

from pathlib import Path

from ir_vis_fusion.evaluation.bags import BagWriter
from ir_vis_fusion.evaluation.cdr import CAMERA_INFO, camera_info_to_cdr, NANOSECONDS
from ir_vis_fusion.evaluation.scene.actors import Car, Person, Smoke
from ir_vis_fusion.evaluation.scene.backdrop import make_backdrop
from ir_vis_fusion.evaluation.scene.canvas import (
    Canvas,
    CENTRE_X,
    FOCAL,
    HEIGHT,
    HORIZON_Y,
    WIDTH,
)
from ir_vis_fusion.types import RawImage
import numpy as np
from tqdm import tqdm

FPS = 30
START_NS = 1_700_000_000 * NANOSECONDS
# The thermal camera is not triggered with the visible one: it lags a little, with jitter.
THERMAL_LAG_NS, THERMAL_JITTER_NS = 6_000_000, 400_000
THERMAL_HEIGHT = 512
FFC_S = (7.0, 7.7)
CENTIKELVIN_AT_0_C = 27315
THERMAL_NOISE, PATTERN_NOISE, DRIFT_PER_S = 5.0, 4.0, 4.0
EXPOSURE, SHOT_NOISE, READ_NOISE = 2.4, 2.5e-4, 6e-4

PEOPLE = (
    Person((-3.7, 24.0), (0.05, -1.25), (0.5, 0.42, 0.3), (0.08, 0.09, 0.14), jacket_c=26.0),
    Person((-4.3, 24.6), (0.05, -1.25), (0.1, 0.3, 0.2), (0.2, 0.18, 0.15), height=1.66),
    Person((4.6, 10.5), (-1.05, 0.0), (0.035, 0.035, 0.045), (0.03, 0.03, 0.035)),
    Person((-3.1, 5.6), (1.25, 0.06), (0.42, 0.07, 0.06), (0.07, 0.1, 0.2), from_s=0.3),
    Person(
        (4.6, 6.3),
        (-1.35, 0.0),
        (0.5, 0.4, 0.06),
        (0.06, 0.06, 0.07),
        height=1.82,
        from_s=5.5,
        jacket_c=24.5,
    ),
)
HIDDEN = Person((3.15, 7.6), (0.0, 0.0), (0.25, 0.27, 0.3), (0.1, 0.1, 0.13), waves=True)


class Scene:
    """
    The scene at any time; ``people`` may be given to leave somebody out.

    ``HIDDEN`` stands in the smoke from 2.5 s on: nothing of this person is left in the visible
    image, in the thermal image nearly everything.
    """

    def __init__(self, seed: int = 0, people: tuple[Person, ...] = (*PEOPLE, HIDDEN)) -> None:
        self._seed = seed
        self._people = people
        rng = np.random.default_rng(seed)
        self._backdrop = make_backdrop(rng)
        self._smoke = Smoke(rng, self._backdrop)
        self._car = Car(x=2.0, start_z=44.0, stop_z=12.5, stop_s=8.0)
        self._noise = rng.standard_normal(3 * WIDTH * HEIGHT + 2**19, dtype=np.float32)
        self._patterns = [self._pattern(rng) for _ in range(2)]
        self._gamma = self._tone_curve()
        rows = (np.arange(THERMAL_HEIGHT) + 0.5) * HEIGHT / THERMAL_HEIGHT - 0.5
        rows = np.clip(rows, 0, HEIGHT - 1.001)
        self._row = rows.astype(int)
        self._row_share = (rows % 1).astype(np.float32)[:, None]

    def frame(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Return thermal (512, 640) uint16 centikelvin and visible (480, 640, 3) uint8 RGB."""
        canvas = self._paint(index / FPS)
        frozen = self.thermal_index(index)
        thermal = canvas if frozen == index else self._paint(frozen / FPS)
        return self._thermal_camera(thermal.temperature, frozen), self._visible_camera(
            canvas.radiance, index
        )

    @staticmethod
    def thermal_index(index: int) -> int:
        """Return the frame that the thermal camera shows: another one only during the FFC."""
        first, last = (round(moment * FPS) for moment in FFC_S)
        return first if first <= index < last else index

    def _paint(self, time_s: float) -> Canvas:
        """Paint what moves, from far to near."""
        canvas = self._backdrop.canvas.copy()
        self._car.light_road(canvas, self._backdrop, time_s)
        actors = [(person.position(time_s)[1], person.paint) for person in self._people]
        actors.append((self._car.position(time_s)[1], self._car.paint))
        actors.append((self._car.position(time_s)[1] - 0.01, self._car.glare))
        actors.append((self._smoke.Z, self._smoke.paint))
        for _, paint in sorted(actors, key=lambda actor: -actor[0]):
            paint(canvas, time_s)
        return canvas

    def _thermal_camera(self, temperature: np.ndarray, index: int) -> np.ndarray:
        """Blur by the lens, sample 512 rows, add drift (zeroed by the FFC) and noise."""
        blurred = temperature.copy()
        blurred[1:-1] += 0.5 * (temperature[:-2] + temperature[2:]) - temperature[1:-1]
        sides = 0.5 * (blurred[:, :-2] + blurred[:, 2:]) - blurred[:, 1:-1]
        blurred[:, 1:-1] += 0.6 * sides
        above, below = blurred[self._row], blurred[self._row + 1]
        counts = 100 * (above + self._row_share * (below - above)) + CENTIKELVIN_AT_0_C
        time_s = index / FPS
        calibrated = time_s > FFC_S[0]
        counts += DRIFT_PER_S * (time_s - FFC_S[0] if calibrated else time_s)
        counts += self._patterns[int(calibrated)]
        counts += THERMAL_NOISE * self._noise_for(index, 0, counts.size).reshape(counts.shape)
        return np.round(counts).astype(np.uint16)

    def _visible_camera(self, radiance: np.ndarray, index: int) -> np.ndarray:
        """Add shot and read noise, then the tone curve."""
        light = np.maximum(radiance, 0)
        noise = self._noise_for(index, 1, light.size).reshape(light.shape)
        light += noise * np.sqrt(SHOT_NOISE * light + READ_NOISE**2)
        return self._gamma[np.clip(light * 16384, 0, 65535).astype(np.uint16)]

    def _noise_for(self, index: int, camera: int, size: int) -> np.ndarray:
        """Return a stretch of one long noise: drawing a million numbers takes 10 ms a frame."""
        rng = np.random.default_rng((self._seed, index, camera))
        start = rng.integers(self._noise.size - size)
        return self._noise[start : start + size]

    def _pattern(self, rng: np.random.Generator) -> np.ndarray:
        """Return the fixed pattern of a microbolometer: pixels, columns, a warm lens rim."""
        shape = (THERMAL_HEIGHT, WIDTH)
        pixels = rng.normal(0, PATTERN_NOISE, shape) + rng.normal(0, 3.0, (1, WIDTH))
        y, x = np.ogrid[-1 : 1 : THERMAL_HEIGHT * 1j, -1 : 1 : WIDTH * 1j]
        return (pixels + 12 * (x * x + y * y)).astype(np.float32)

    @staticmethod
    def _tone_curve() -> np.ndarray:
        light = np.arange(65536) / 16384
        return np.round(255 * (1 - np.exp(-EXPOSURE * light)) ** (1 / 2.2)).astype(np.uint8)


def write_sample_bag(path: str | Path, duration_s: float = 10.0, seed: int = 0) -> None:
    """
    Write the scene as a bag: images and camera infos of both cameras at 30 Hz.

    Topics are /thermal/image_raw (mono16), /visible/image_raw (rgb8) and their camera_info.
    """
    scene = Scene(seed)
    jitter = np.random.default_rng(seed).normal(0, THERMAL_JITTER_NS, round(duration_s * FPS))
    with BagWriter(path) as bag:
        for index in tqdm(
            range(len(jitter)), 'painting a night scene', unit=' frames', disable=None
        ):
            visible_ns = START_NS + round(index * NANOSECONDS / FPS)
            thermal_ns = visible_ns + THERMAL_LAG_NS + round(jitter[index])
            thermal, visible = scene.frame(index)
            _write_view(bag, 'visible', visible_ns, visible, 'rgb8')
            _write_view(bag, 'thermal', thermal_ns, thermal, 'mono16')


def _write_view(
    bag: BagWriter, name: str, stamp_ns: int, image: np.ndarray, encoding: str
) -> None:
    height, width = image.shape[:2]
    frame_id = f'{name}_optical_frame'
    step = image.nbytes // height
    raw = RawImage(height, width, encoding, False, step, image, stamp_ns, frame_id)
    bag.write_image(f'/{name}/image_raw', raw)
    stretch = height / HEIGHT
    matrix = np.array([[FOCAL, 0, CENTRE_X], [0, FOCAL * stretch, HORIZON_Y * stretch], [0, 0, 1]])
    info = camera_info_to_cdr(stamp_ns, frame_id, height, width, matrix)
    bag.write(f'/{name}/camera_info', CAMERA_INFO, stamp_ns, info)
