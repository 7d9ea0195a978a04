"""The homography is found from edges alone, and refused where there is none to find."""

import os
from pathlib import Path

import cv2
from ir_vis_fusion.calibration.alignment import agreement, refine, search
from ir_vis_fusion.calibration.homographies import bending, corners_of, from_corners, transform
from ir_vis_fusion.calibration.targetless import disagreement, from_scenes, LEAST_CONFIDENCE
from ir_vis_fusion.errors import CalibrationError
import numpy as np
import pytest
import torch

DATA = os.environ.get('IR_VIS_FUSION_DATA')
FULL = (640, 480)


def known(size: tuple[int, int], seed: int, largest: float) -> torch.Tensor:
    """Return a homography from visible to thermal pixels that moves each corner at random."""
    moves = np.random.default_rng(seed).uniform(-largest, largest, (4, 2))
    corners = corners_of(size)
    return from_corners(corners, corners + torch.from_numpy(moves))


def corner_errors(found: torch.Tensor, truth: torch.Tensor, size: tuple[int, int]) -> np.ndarray:
    """Return how far from its place each corner of the visible image comes back, [px]."""
    corners = corners_of(size)
    return (transform(torch.linalg.inv(truth) @ found, corners) - corners).norm(dim=-1).numpy()


def test_four_corners_make_the_homography_that_opencv_makes() -> None:
    corners = corners_of((100, 80))
    target = corners + torch.tensor([[3.0, 1], [-4, 2], [5, -6], [0, 7]], dtype=torch.float64)
    expected = cv2.getPerspectiveTransform(corners.float().numpy(), target.float().numpy())
    torch.testing.assert_close(from_corners(corners, target), torch.from_numpy(expected))


def test_bending_is_nothing_for_turned_and_scaled_corners_and_the_rest_otherwise() -> None:
    corners = corners_of((101, 101))
    turned = torch.stack([-2 * corners[:, 1] + 5, 2 * corners[:, 0] - 3], 1)
    assert bending(corners, turned) < 1e-5
    # A parallelogram: the sides lean 10 px each way from the best square, in one axis.
    leaning = corners + torch.tensor([[5.0, 0], [5, 0], [-5, 0], [-5, 0]], dtype=torch.float64)
    # The best turn takes half of the shear, 10 px over 100, away: 2.5 px are left in each axis.
    assert bending(corners, leaning) == pytest.approx(2.5 * 2**0.5, rel=0.01)


@pytest.mark.parametrize('seed', [1, 2])
def test_a_displaced_camera_is_found_from_drawn_scenes(made, seed: int) -> None:
    truth = known(made.SIZE, seed, 8.0)
    pairs = [made.draw(10 * seed + index) for index in range(6)]
    pairs = [(made.displace(ir, truth.numpy(), made.SIZE), vis) for ir, vis in pairs]
    found = from_scenes(made.scenes_of(pairs))
    assert found.confidence > 0.9
    assert np.median(corner_errors(found.matrix, truth, made.SIZE)) < 1.0


def test_a_smaller_thermal_view_of_another_size_is_found(made) -> None:
    """The thermal camera sees 70 % of the width, 12 px right of and 8 px below the middle."""
    zoom = 160 / (0.7 * 240)
    truth = torch.tensor(
        [[zoom, 0, -zoom * (48 - 0.5)], [0, zoom, -zoom * (35 - 0.5)], [0, 0, 1]],
        dtype=torch.float64,
    )
    pairs = [made.draw(index) for index in range(6)]
    pairs = [(made.displace(ir, truth.numpy(), (160, 120)), vis) for ir, vis in pairs]
    found = from_scenes(made.scenes_of(pairs))
    assert found.confidence > 0.9
    assert np.median(corner_errors(found.matrix, truth, made.SIZE)) < 2.0


def test_unrelated_images_leave_no_confidence(made) -> None:
    pairs = [(made.draw(index)[0], made.draw(100 + index)[1]) for index in range(8)]
    assert from_scenes(made.scenes_of(pairs)).confidence < LEAST_CONFIDENCE


def test_edges_agree_where_images_lie_on_top_of_each_other_and_nowhere_else(made) -> None:
    scenes = made.scenes_of([made.draw(index) for index in range(3)])
    here = torch.eye(3, dtype=torch.float64)
    aside = here.clone()
    aside[0, 2] = 9
    assert agreement(scenes, here).mean() > 0.3
    assert agreement(scenes, aside).abs().mean() < 0.15


def test_too_few_scenes_are_refused(made) -> None:
    scenes = made.scenes_of([made.draw(index) for index in range(3)])
    with pytest.raises(CalibrationError, match=r'3 pair\(s\) of images are too few'):
        from_scenes(scenes)


def test_two_maps_a_pixel_apart_disagree_by_a_pixel() -> None:
    here = torch.eye(3, dtype=torch.float64)
    aside = here.clone()
    aside[1, 2] = 1
    assert disagreement(here, aside, FULL) == pytest.approx(1.0)


@pytest.mark.skipif(not DATA, reason='IR_VIS_FUSION_DATA is not set')
def test_real_pairs_displaced_by_a_known_homography_come_back_within_two_pixels(made) -> None:
    """Median of the corners at 640x480, over three homographies with corners moved by 12 px."""
    from ir_vis_fusion.calibration.calibrate import as_scenes, read_pairs

    folder = Path(DATA) / 'm3svd_frames'
    scenes = as_scenes(read_pairs(folder / 'ir', folder / 'vi')[::2])
    errors = []
    for seed in range(3):
        truth = known(FULL, seed, 12.0)
        moved = [
            cv2.warpPerspective(
                image.numpy(), truth.numpy(), FULL, borderMode=cv2.BORDER_REPLICATE
            )
            for image in scenes.ir[:, 0]
        ]
        displaced = type(scenes)(torch.from_numpy(np.stack(moved))[:, None], scenes.vis)
        errors += list(corner_errors(refine(displaced, search(displaced)), truth, FULL))
    assert np.median(errors) <= 2.0
