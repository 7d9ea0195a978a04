"""
Changes that make a pair look like one from another camera, time or weather.

What moves pixels (crop, flips, turns, mild affine maps) is the same for both images; gamma
and contrast belong to one image each; noise and degradations are on the inputs only, while
the losses compare with the clean images. All runs on the device of the chance, that of batches on
the CPU (:mod:`training.batches`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
import math

from ir_vis_fusion.config import setting, Settings, ThermalSettings
from ir_vis_fusion.preprocessing.color import to_rgb
from ir_vis_fusion.preprocessing.thermal import ThermalNormalizer
import torch
from torch import Tensor
import torch.nn.functional as F
from training.chance import Chance
from training.datasets import ImagePair
from training.degradations import DEGRADATIONS

Matrix = tuple[tuple[float, float], tuple[float, float]]

# Of a sample and of a batch.
IMAGES = ('vis', 'ir', 'clean_vis', 'clean_ir', 'teacher')

LARGEST_ANGLE = math.radians(5)
LARGEST_SCALE = 1.1
LARGEST_SHEAR = math.tan(math.radians(3))

# What is dark, before it loses contrast.
_DARK_MEDIANS = (12 / 255, 80 / 255)
_UNSATURATED = (1 / 255, 254 / 255)
_LARGEST_EXPONENT = 8.0

# A clear day: what is black and white of luma, where they go, and what is too flat to be stretched
# so far.
_VISIBLE_ENDS = (0.02, 0.99)
_LARGEST_BLACK, _LEAST_WHITE = 0.16, 0.7
_LEAST_SPREAD = 0.25

# A lamp: radius of its core, range of its glow by exponential decay, both in pixels, how bright
# the glow is at the core, and how sharp either camera sees it.
_CORES = (2.0, 9.0)
_REACHES = (8.0, 48.0)
_GLOWS = (0.25, 0.9)
_BLUR = 0.75


@dataclass(frozen=True)
class AugmentationSettings(Settings):
    """How often and how far a pair is changed."""

    crop: int = setting(128, 'side of the square crops', unit='px', minimum=32)
    affine_share: float = setting(
        0.2,
        'share of crops that are turned by up to 5 degrees, enlarged by up to 10 % and sheared '
        'by up to 3 degrees',
        minimum=0,
        maximum=1,
    )
    radiometric_share: float = setting(
        0.3, 'share of crops seen as 16-bit counts of a thermal camera', minimum=0, maximum=1
    )
    least_span: float = setting(
        150.0, 'smallest range of the simulated scene', unit='counts', minimum=1
    )
    largest_span: float = setting(
        6000.0, 'largest range of the simulated scene', unit='counts', minimum=1
    )
    count_noise: float = setting(5.0, 'noise of the simulated camera', unit='counts', minimum=0)
    contrast_share: float = setting(
        0.5, 'share of crops whose infrared loses contrast', minimum=0, maximum=1
    )
    least_contrast: float = setting(0.3, 'lowest infrared contrast', minimum=0, maximum=1)
    gamma_share: float = setting(
        0.5, 'share of crops with a gamma on the visible image', minimum=0, maximum=1
    )
    least_gamma: float = setting(0.6, 'brightest gamma', minimum=0.1)
    largest_gamma: float = setting(2.2, 'darkest gamma (dusk, night)', minimum=0.1)
    night_share: float = setting(
        0.0,
        'share of crops that become a cold night: dark in both images, rounded to 8 bits',
        minimum=0,
        maximum=1,
    )
    clear_share: float = setting(
        0.0,
        'share of the other crops that become a clear, cool day: full contrast in the visible '
        'image, dark infrared',
        minimum=0,
        maximum=1,
    )
    lamp_share: float = setting(
        0.0,
        'share of crops with one or two lamps, most of them hot, in their glow',
        minimum=0,
        maximum=1,
    )
    noise_share: float = setting(0.5, 'share of crops with noisy inputs', minimum=0, maximum=1)
    largest_noise: float = setting(0.02, 'largest noise of the inputs', minimum=0, maximum=1)
    degraded_share: float = setting(
        0.0,
        f'share of crops whose inputs have one of these faults: {", ".join(DEGRADATIONS)}',
        minimum=0,
        maximum=1,
    )


@dataclass(frozen=True, eq=False)
class Sample:
    """
    A crop: what the network sees and what the losses compare with, float32 in [0, 1].

    ``vis`` and ``clean_vis`` are (3, S, S) RGB, ``ir`` and ``clean_ir`` (1, S, S). Clean means
    without degradation and the noise of ``largest_noise``; that of simulated counts stays.
    ``teacher`` is the crop of a teacher's luma, (1, S, S), where the pair has one.
    """

    vis: Tensor
    ir: Tensor
    clean_vis: Tensor
    clean_ir: Tensor
    teacher: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Batch:
    """Samples stacked, (B, 3, S, S) and (B, 1, S, S), and the names of their pairs."""

    vis: Tensor
    ir: Tensor
    clean_vis: Tensor
    clean_ir: Tensor
    teacher: Tensor | None
    names: tuple[str, ...]

    def to(self, device: torch.device | str) -> 'Batch':
        """Return the batch on a device, which may still be copying."""
        return self._each(lambda image: image.to(device, non_blocking=True))

    def pin_memory(self) -> 'Batch':
        """Return the batch in pinned memory."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> 'Batch':
        images = {name: getattr(self, name) for name in IMAGES}
        there = {name: change(image) for name, image in images.items() if image is not None}
        return replace(self, **there)

    @property
    def vis_y(self) -> Tensor:
        """Luma of ``vis``, (B, 1, S, S), BT.601 full range."""
        return rgb_luma(self.vis)

    @property
    def clean_vis_y(self) -> Tensor:
        """Luma of ``clean_vis``, (B, 1, S, S), BT.601 full range."""
        return rgb_luma(self.clean_vis)


@dataclass(frozen=True)
class Window:
    """A square of an image; where it reaches beyond, the image is mirrored."""

    top: int
    left: int
    side: int

    def cut(self, image: Tensor) -> Tensor:
        """Return (side, side, ...) of an image (H, W, ...)."""
        for axis, start in enumerate((self.top, self.left)):
            extent = image.shape[axis]
            if 0 <= start <= extent - self.side:
                image = image.narrow(axis, start, self.side)
            else:
                places = torch.arange(start, start + self.side, device=image.device)
                image = image.index_select(axis, _mirror(places, extent))
        return image


class Augmenter:
    """Turns pairs into samples; the same chance gives the same samples."""

    def __init__(self, settings: AugmentationSettings, thermal: ThermalSettings) -> None:
        self._settings = settings
        self._thermal = thermal

    def augment(self, pair: ImagePair, chance: Chance) -> Sample:
        """Crop and change one pair."""
        settings = self._settings
        both = self._moved(pair, chance)
        vis, ir, teacher = both[:3], both[3:4], both[4:]
        if chance.happens(settings.contrast_share):
            contrast = chance.between(settings.least_contrast, 1.0)
            ir = ir * contrast + chance.between(0.0, 0.5) * (1 - contrast)
        if chance.happens(settings.gamma_share):
            vis = vis ** chance.between(settings.least_gamma, settings.largest_gamma)
        if chance.happens(settings.night_share):
            vis, ir = self._at_night(vis, ir, chance)
        elif chance.happens(settings.clear_share):
            vis, ir = self._on_a_clear_day(vis, ir, chance)
        if chance.happens(settings.lamp_share):
            for _ in range(1 + chance.integer(2)):
                vis, ir = _with_lamp(vis, ir, chance)
        inputs = self._spoiled(vis, ir, chance)
        return Sample(*inputs, vis, ir, None if pair.teacher is None else teacher)

    def _at_night(self, vis: Tensor, ir: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
        """Leave lamps and warm bodies in a dark pair, in as few levels as 8 bits have there."""
        vis, ir = (self._darkened(image, chance) for image in (vis, ir))
        return (vis * 255).round() / 255, (ir * 255).round() / 255

    def _darkened(self, image: Tensor, chance: Chance) -> Tensor:
        """Leave lamps, or what is warm, in an image: its median is drawn, evenly by ratio."""
        low, high = (math.log(one) for one in _DARK_MEDIANS)
        median = image.median().clamp(*_UNSATURATED).log().item()
        exponent = min(max(chance.between(low, high) / median, 1.0), _LARGEST_EXPONENT)
        contrast = chance.between(self._settings.least_contrast, 1.0)
        return (image**exponent * contrast + chance.between(0.0, 0.05)).clamp(max=1.0)

    def _on_a_clear_day(self, vis: Tensor, ir: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
        """Leave no haze in the visible image and little but what is warm in the infrared one."""
        ends = torch.tensor(_VISIBLE_ENDS, device=vis.device)
        low, high = rgb_luma(vis).flatten().quantile(ends)
        black, white = chance.between(0.0, _LARGEST_BLACK), chance.between(_LEAST_WHITE, 1.0)
        gain = (white - black) / (high - low).clamp(min=_LEAST_SPREAD)
        vis = ((vis - low) * gain + black).clamp(0, 1)
        return vis, self._darkened(ir, chance)

    def _moved(self, pair: ImagePair, chance: Chance) -> Tensor:
        """
        Return a crop of RGB, infrared and what a teacher made of them, (4 or 5, S, S).

        Flipped, turned and mildly distorted, all alike.
        """
        side = self._settings.crop
        matrix = _affine(chance) if chance.happens(self._settings.affine_share) else None
        window = _place(_reach(matrix, side), pair.thermal.shape, chance)
        vis = to_rgb(window.cut(pair.visible).to(chance.device), pair.encoding)[0]
        ir = self._infrared(pair.thermal, window, chance).to(chance.device)
        images = [vis, ir[None]]
        if pair.teacher is not None:
            images.append(window.cut(pair.teacher).to(chance.device)[None] / 255)
        both = torch.cat(images)
        if matrix is not None:
            both = _resample(both, matrix, side)
        if chance.happens(0.5):
            both = both.flip(-1)
        return both.rot90(chance.integer(4), (-2, -1))

    def _infrared(self, thermal: Tensor, window: Window, chance: Chance) -> Tensor:
        """Take 8 bits as they are or as the counts of a camera, as the node would."""
        settings = self._settings
        normalizer = ThermalNormalizer(self._thermal)
        if chance.happens(settings.radiometric_share):
            span = chance.between(settings.least_span, settings.largest_span)
            noise = chance.noise(thermal.shape).to(thermal.device)
            counts = 28000.0 + thermal * (span / 255) + settings.count_noise * noise
            thermal = counts.round().to(torch.uint16)
        elif not self._thermal.normalize_8bit:
            return normalizer.normalize(window.cut(thermal), stamp_ns=0)
        return window.cut(normalizer.normalize(thermal, stamp_ns=0))

    def _spoiled(self, vis: Tensor, ir: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
        """Return the inputs: one degradation, then grain, the same on all three colours."""
        settings = self._settings
        if chance.happens(settings.degraded_share):
            degrade = tuple(DEGRADATIONS.values())[chance.integer(len(DEGRADATIONS))]
            vis, ir = degrade(vis, ir, chance)
        if chance.happens(settings.noise_share):
            noise = chance.between(0.0, settings.largest_noise)
            grain = noise * chance.noise((2, *ir.shape[1:]))
            vis, ir = (vis + grain[:1]).clamp(0, 1), (ir + grain[1:]).clamp(0, 1)
        return vis, ir


def _with_lamp(vis: Tensor, ir: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
    """
    Light a lamp in (3, S, S) and, three times of four, make it hot in (1, S, S).

    Round it the visible image is bright where the infrared one is not, with a strong edge between:
    the place where a network is tempted to a dark rim, and of which pairs by day have none.
    """
    side = ir.shape[-1]
    row, column = chance.between(0, side), chance.between(0, side)
    core, reach = (chance.between(*sizes) for sizes in (_CORES, _REACHES))
    flatness, glow = chance.between(1.0, 2.0), chance.between(*_GLOWS)
    heat = chance.between(0.6, 1.0) if chance.happens(0.75) else 0.0
    places = torch.arange(side, device=ir.device) + 0.5
    distance = torch.hypot(places - column, ((places - row) * flatness)[:, None])
    inside = torch.sigmoid((core - distance) / _BLUR)
    light = glow * torch.exp(-distance / reach) + (1 - glow) * inside
    # As light is added where film or sensor saturates; from daylight to sodium's yellow.
    color = torch.tensor([1.0, chance.between(0.7, 1.0), chance.between(0.4, 1.0)])
    vis = 1 - (1 - vis) * (1 - color.to(ir.device)[:, None, None] * light)
    return vis, torch.maximum(ir, heat * inside)


def draw_batch(
    pairs: Sequence[ImagePair],
    weights: Sequence[float] | Tensor,
    count: int,
    augmenter: Augmenter,
    chance: Chance,
    device: torch.device | str,
) -> Batch:
    """Draw pairs by weight, augment them on the chance's device and give them to ``device``."""
    chosen = [pairs[index] for index in chance.choose(weights, count)]
    samples = [augmenter.augment(pair, chance) for pair in chosen]
    columns = [[getattr(sample, name) for sample in samples] for name in IMAGES]
    # A teacher has fused all pairs or none.
    images = [None if one[0] is None else torch.stack(one).to(device) for one in columns]
    return Batch(*images, tuple(pair.name for pair in chosen))


def _affine(chance: Chance) -> Matrix:
    """Draw the map from places in the crop to places in the image, both from the centre."""
    angle = chance.between(-LARGEST_ANGLE, LARGEST_ANGLE)
    shear = chance.between(-LARGEST_SHEAR, LARGEST_SHEAR)
    scale = chance.between(1.0, LARGEST_SCALE)
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    return (cos, cos * shear - sin), (sin, sin * shear + cos)


def _reach(matrix: Matrix | None, side: int) -> int:
    """Return the side of the window that holds all places a crop is sampled from."""
    if matrix is None:
        return side
    # One pixel more at each edge, for bilinear interpolation.
    return 2 * math.ceil(side / 2 * max(abs(x) + abs(y) for x, y in matrix)) + 2


def _place(side: int, shape: Sequence[int], chance: Chance) -> Window:
    """Draw a window inside the image, or centre it where the image is too small."""
    spare = [extent - side for extent in shape]
    top, left = (chance.integer(room + 1) if room > 0 else room // 2 for room in spare)
    return Window(top, left, side)


def _mirror(places: Tensor, extent: int) -> Tensor:
    """Fold places on the line back into 0 ... extent - 1, the edges not repeated."""
    last = max(extent - 1, 1)
    return (last - (places.remainder(2 * last) - last).abs()).clamp(max=extent - 1)


def _resample(window: Tensor, matrix: Matrix, side: int) -> Tensor:
    """Sample a crop (C, side, side) from the middle of a larger window, bilinearly."""
    theta = torch.tensor([[*row, 0.0] for row in matrix], device=window.device)
    theta *= side / window.shape[-1]
    grid = F.affine_grid(theta[None], [1, 1, side, side], align_corners=False)
    return F.grid_sample(window[None], grid, padding_mode='reflection', align_corners=False)[0]


def rgb_luma(rgb: Tensor) -> Tensor:
    """Return the luma (..., 1, H, W) of RGB (..., 3, H, W), BT.601 full range."""
    red, green, blue = rgb.split(1, dim=-3)
    return 0.299 * red + 0.587 * green + 0.114 * blue
