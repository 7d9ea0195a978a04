"""From pairs of images to a calibration file and pictures of it: ``ivf calibrate``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ir_vis_fusion.calibration.alignment import Scenes
from ir_vis_fusion.calibration.targetless import Found, from_scenes, LEAST_CONFIDENCE
from ir_vis_fusion.calibration.targets import find_points, from_targets, Target
from ir_vis_fusion.config import SynchronizerSettings, ThermalSettings
from ir_vis_fusion.errors import CalibrationError, EvaluationError
from ir_vis_fusion.evaluation.sources import open_pairs
from ir_vis_fusion.evaluation.views import rgb, ThermalView
from ir_vis_fusion.preprocessing.calibration import (
    Calibration,
    read_calibration,
    write_calibration,
)
from ir_vis_fusion.preprocessing.color import luma
from ir_vis_fusion.preprocessing.encodings import write_image
from ir_vis_fusion.preprocessing.view import map_pixels, View
from ir_vis_fusion.synchronization import PairSynchronizer
from ir_vis_fusion.types import FramePair, PixelEncoding, Role
import numpy as np
import torch
from tqdm import tqdm

# A homography has eight numbers; more scenes than these cost time and tell little more.
LARGEST_SET = 32
_OVERLAYS = 6


def read_pairs(thermal: Path, visible: Path) -> list[FramePair]:
    """Return pairs of two folders, videos or images, spread evenly if there are many."""
    source = open_pairs(thermal, visible)
    wanted = set(_spread(len(source)))
    bar = tqdm(source, total=len(source), unit='pair', desc='reading', disable=None)
    return [pair for index, (_, pair) in enumerate(bar) if index in wanted]


def read_bag_pairs(
    bag: Path, thermal_topic: str | None = None, visible_topic: str | None = None
) -> list[FramePair]:
    """Return pairs of a bag, spread evenly if there are many; topics are guessed where None."""
    from ir_vis_fusion.evaluation.bags import BagReader
    from ir_vis_fusion.evaluation.replay_pairs import BagPairs
    from ir_vis_fusion.evaluation.topics import guess_mode, guess_topics

    with BagReader(bag) as reader:
        names = guess_topics(reader.image_topics(), thermal_topic, visible_topic)
        counts = [reader.counts[name] for name in names]
        synchronizer = PairSynchronizer(SynchronizerSettings(mode=guess_mode(*counts)))
        topics = dict(zip((Role.THERMAL, Role.VISIBLE), names, strict=True))
        pairs = BagPairs(reader, topics, synchronizer)
        # How many pairs there will be is not known before they are made.
        wanted = set(_spread(min(counts)))
        bar = tqdm(pairs.read(), total=min(counts), unit='pair', desc='reading', disable=None)
        found = [pairs.decode(pair) for index, (_, pair) in enumerate(bar) if index in wanted]
    found = [pair for pair in found if pair is not None]
    if not found:
        raise EvaluationError(f'{str(bag)!r}: no pair of {names[0]} and {names[1]} matched')
    return found


def calibrate(
    pairs: Sequence[FramePair], target: Target | None = None, start: Path | None = None
) -> tuple[Calibration, dict[str, Any]]:
    """
    Estimate the homography of pairs; returns it and the figures about it.

    Parameters
    ----------
    pairs
        Of images of always the same two sizes.
    target
        The board that is seen in them; None: edges of the scenes are aligned.
    start
        A calibration file with a homography to begin with, instead of a search.

    Raises
    ------
    CalibrationError
        Where the confidence is too low to use the result, sizes differ, or there is too little
        to go by.

    """
    scenes = as_scenes(pairs)
    thermal_size = scenes.ir.shape[-1], scenes.ir.shape[-2]
    if target is None:
        with tqdm(total=3, unit='step', desc='aligning edges', disable=None) as bar:
            guess = None if start is None else _start(start, thermal_size, scenes.size)
            found = from_scenes(scenes, guess, lambda step: bar.update())
    else:
        found = from_targets(_boards(scenes, target), target, scenes.size)
    report = {
        'method': target.pattern if target else 'scenes',
        'confidence': found.confidence,
        'disagreement_px': found.disagreement_px,
        **found.details,
        'thermal_size': list(thermal_size),
        'visible_size': list(scenes.size),
        'pairs': len(pairs),
    }
    if not found.confidence >= LEAST_CONFIDENCE:
        raise CalibrationError(_refusal(found, target))
    homography = torch.linalg.inv(found.matrix)
    homography = (homography / homography[2, 2]).flatten().tolist()
    report['homography'] = homography
    return Calibration(thermal_size, scenes.size, tuple(homography)), report


def save(calibration: Calibration, report: dict[str, Any], file: Path) -> None:
    """Write the calibration file, with what it was made of as comments."""
    comments = [
        'Written by ivf calibrate; for registration.mode homography.',
        f'method {report["method"]}, {report["pairs"]} pair(s), confidence '
        f'{report["confidence"]:.2f}, disagreement {report["disagreement_px"]:.2f} px',
    ]
    write_calibration(file, calibration, comments)


def write_overlays(pairs: Sequence[FramePair], calibration: Calibration, folder: Path) -> int:
    """
    Write pictures of some pairs before (left) and after (right); returns their number.

    Visible luma is green and thermal magenta, so that what lies on top of itself is grey.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CalibrationError(f'{folder}: cannot be made: {error.strerror}') from None
    size = calibration.visible_size
    to_thermal = np.linalg.inv(np.array(calibration.homography).reshape(3, 3))
    thermal_size = calibration.thermal_size
    stretch = np.diag([thermal_size[0] / size[0], thermal_size[1] / size[1], 1.0])
    views = [View(*map_pixels(matrix, size), thermal_size) for matrix in (stretch, to_thermal)]
    chosen = [pairs[index] for index in _spread(len(pairs), _OVERLAYS)]
    for number, pair in enumerate(chosen):
        ir, vis = _images(pair)
        sides = []
        for view in views:
            warped = view.warp(ir)
            if view.mask is not None:
                warped = warped * (view.mask > 0)
            sides.append(torch.stack([warped, vis, warped], -1))
        picture = (torch.cat(sides, 1) * 255).round().byte().numpy()
        write_image(folder / f'overlay_{number}.png', picture)
    return len(chosen)


def as_scenes(pairs: Sequence[FramePair]) -> Scenes:
    """Return pairs as the tensors that are compared."""
    if not pairs:
        raise CalibrationError('there are no pairs of images')
    images = [_images(pair) for pair in pairs]
    for role, column in zip(('thermal', 'visible'), zip(*images, strict=True), strict=True):
        shapes = {tuple(image.shape) for image in column}
        if len(shapes) > 1:
            sizes = ', '.join(f'{width}x{height}' for height, width in sorted(shapes))
            raise CalibrationError(f'{role} images must be of one size, got {sizes}')
    ir, vis = (torch.stack(column)[:, None] for column in zip(*images, strict=True))
    return Scenes(ir, vis)


def _images(pair: FramePair) -> tuple[torch.Tensor, torch.Tensor]:
    """Return thermal and visible luma, (H, W) float32 in [0, 1] each."""
    ir, _ = ThermalView(ThermalSettings()).look(pair.thermal)
    return ir, luma(torch.from_numpy(rgb(pair.visible)), PixelEncoding.RGB8)


def _boards(scenes: Scenes, target: Target) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the points of the pairs in which both cameras see the board."""
    bar = tqdm(range(len(scenes)), unit='pair', desc='finding boards', disable=None)
    found = []
    for index in bar:
        images = (stack[index, 0] for stack in (scenes.ir, scenes.vis))
        points = [find_points((image * 255).byte().numpy(), target) for image in images]
        if all(one is not None for one in points):
            found.append(tuple(points))
    return found


def _start(file: Path, thermal: tuple[int, int], visible: tuple[int, int]) -> torch.Tensor:
    given = read_calibration(file)
    if given.homography is None or (given.thermal_size, given.visible_size) != (thermal, visible):
        raise CalibrationError(
            f'{file}: to start from, it must hold a homography for thermal images of '
            f'{thermal[0]}x{thermal[1]} and visible ones of {visible[0]}x{visible[1]}'
        )
    return torch.linalg.inv(torch.tensor(given.homography, dtype=torch.float64).view(3, 3))


def _spread(count: int, most: int = LARGEST_SET) -> list[int]:
    """Return the indices of some of a sequence, evenly spread."""
    if count <= most:
        return list(range(count))
    return [round(index * (count - 1) / (most - 1)) for index in range(most)]


def _refusal(found: Found, target: Target | None) -> str:
    remedy = (
        'show the board in more places of the image'
        if target
        else 'give more pairs of different scenes with edges all over the image (houses, trees, '
        'people), or use a target'
    )
    return (
        f'refused, confidence {found.confidence:.2f} is below {LEAST_CONFIDENCE}: two halves of '
        f'the evidence disagree by {found.disagreement_px:.1f} px; {remedy}'
    )
