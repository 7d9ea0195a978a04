"""The homography between two cameras from scenes alone, and whether to believe it."""

from collections.abc import Callable
from dataclasses import dataclass

from ir_vis_fusion.calibration.alignment import agreement, refine, Scenes, search
from ir_vis_fusion.calibration.homographies import transform
from ir_vis_fusion.errors import CalibrationError
import torch
from torch import Tensor

LEAST_SCENES = 4
LEAST_CONFIDENCE = 0.5
# Of the image's width: a disagreement of as much leaves a confidence of one half.
_DISAGREEMENT = 0.01


@dataclass(frozen=True, eq=False)
class Found:
    """
    A homography and how far it is to be believed.

    Attributes
    ----------
    matrix
        (3, 3) float64, from visible to thermal pixels.
    confidence
        1 / (1 + (d / d0)^2), of the disagreement d and 1 % of the image's width.
    disagreement_px
        Mean distance, in the visible image, between what two halves of the evidence say.
    details
        Further figures by name.

    """

    matrix: Tensor
    confidence: float
    disagreement_px: float
    details: dict[str, float]


def from_scenes(
    scenes: Scenes, start: Tensor | None = None, done: Callable[[str], None] = lambda step: None
) -> Found:
    """
    Align the edges of all scenes, and twice those of one half of them alone.

    Two halves that know nothing of each other come to the same homography only if that is what
    the cameras have in common, so their disagreement says how far to believe it.

    Parameters
    ----------
    scenes
        Of one pair of cameras, better many and different ones, spread over the whole image.
    start
        A first guess (3, 3), from visible to thermal pixels; without it all of the plane, scales
        from 0.4 to 1.4 and turns up to 5 degrees are searched.
    done
        Called after each of three steps.

    Raises
    ------
    CalibrationError
        Where there are too few scenes.

    """
    if len(scenes) < LEAST_SCENES:
        raise CalibrationError(
            f'{len(scenes)} pair(s) of images are too few without a target, give at least '
            f'{LEAST_SCENES} of different scenes'
        )
    middle = len(scenes) // 2
    count = len(scenes)
    halves = []
    for number, part in enumerate((range(middle), range(middle, count))):
        half = scenes.chosen(list(part))
        halves.append(refine(half, search(half) if start is None else start))
        done(f'half {number + 1} of the scenes')
    best = max(halves, key=lambda matrix: float(agreement(scenes, matrix).mean()))
    matrix = refine(scenes, best)
    done('all scenes')
    distance = disagreement(*halves, scenes.size)
    score = float(agreement(scenes, matrix).mean())
    return Found(
        matrix,
        confidence_of(distance, scenes.size[0]),
        distance,
        {'scenes': count, 'edge_agreement': score},
    )


def confidence_of(disagreement_px: float, width: int) -> float:
    """Return the confidence that a disagreement leaves, see :class:`Found`."""
    return 1 / (1 + (disagreement_px / (_DISAGREEMENT * width)) ** 2)


def disagreement(one: Tensor, other: Tensor, size: tuple[int, int]) -> float:
    """Return how far apart two maps to thermal pixels put things, in visible pixels (a mean)."""
    columns, rows = (torch.linspace(0.1, 0.9, 5, dtype=torch.float64) * side for side in size)
    places = torch.cartesian_prod(columns, rows)
    again = transform(torch.linalg.inv(other), transform(one, places))
    distance = (again - places).norm(dim=-1)
    return float(distance.nan_to_num(nan=1e6, posinf=1e6).clamp(max=1e6).mean())
