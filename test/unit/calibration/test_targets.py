"""Boards are found in both views, light or dark, and one homography is fitted to all."""

import cv2
from ir_vis_fusion.calibration.homographies import transform
from ir_vis_fusion.calibration.targets import find_points, from_targets, Target
from ir_vis_fusion.errors import CalibrationError
import numpy as np
import pytest
import torch

SIZE = (640, 480)
THERMAL_SIZE = (320, 240)
CHESSBOARD = Target('chessboard', 7, 5)
# From visible to thermal pixels.
TRUTH = np.array([[0.62, 0.01, -25.0], [-0.012, 0.61, -18.0], [1e-5, -2e-5, 1.0]])


def draw(target: Target) -> np.ndarray:
    """Return a board with a light margin, uint8."""
    if target.pattern == 'asymmetric_circles':
        image = np.full(((target.rows + 3) * 30, (2 * target.columns + 3) * 30), 230, np.uint8)
        for row in range(target.rows):
            for column in range(target.columns):
                centre = ((2 * column + row % 2 + 2) * 30, (row + 2) * 30)
                cv2.circle(image, centre, 12, 20, -1)
        return image
    cell = 40
    image = np.full(((target.rows + 3) * cell, (target.columns + 3) * cell), 230, np.uint8)
    if target.pattern == 'chessboard':
        for row in range(target.rows + 1):
            for column in range(row % 2, target.columns + 1, 2):
                image[(row + 1) * cell : (row + 2) * cell, (column + 1) * cell :][:, :cell] = 20
        return image
    for row in range(target.rows):
        for column in range(target.columns):
            centre = ((column + 2) * cell, (row + 2) * cell)
            cv2.circle(image, centre, 13, 20, -1)
    return image


def views(target: Target, place: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a board as both cameras see it: smaller, blurred and inverted in the thermal one."""
    board = draw(target)
    height, width = board.shape
    corners = np.float32([[0, 0], [width, 0], [width, height], [0, height]])
    left, top = 60 + 45 * place, 70 + 20 * place
    seen = np.float32([[0, 0], [260, 8 * place], [250, 200], [5, 190]]) + (left, top)
    seen = seen.astype(np.float32)
    to_visible = cv2.getPerspectiveTransform(corners, seen)
    visible = cv2.warpPerspective(board, to_visible, SIZE, borderValue=230, flags=cv2.INTER_AREA)
    sharp = cv2.warpPerspective(
        board, TRUTH @ to_visible, THERMAL_SIZE, borderValue=230, flags=cv2.INTER_AREA
    )
    thermal = 255 - cv2.GaussianBlur(sharp, None, 0.8)
    noise = np.random.default_rng(place).normal(0, 2, thermal.shape)
    return np.clip(thermal + noise, 0, 255).astype(np.uint8), visible


@pytest.mark.parametrize(
    'target',
    [CHESSBOARD, Target('circles', 6, 5), Target('asymmetric_circles', 4, 9)],
    ids=lambda target: target.pattern,
)
def test_boards_in_both_views_give_the_homography(target: Target) -> None:
    seen = []
    for place in range(4):
        points = [find_points(image, target) for image in views(target, place)]
        assert all(one is not None for one in points)
        seen.append(tuple(points))
    found = from_targets(seen, target, SIZE)
    # Of the part of the image in which boards were shown. Corners of the thermal image, blurred
    # and 12 px apart, are found within 0.5 px of it, 0.8 px of the visible one.
    places = torch.tensor([[120.0, 120], [420, 120], [420, 290], [120, 290]], dtype=torch.float64)
    back = transform(torch.from_numpy(np.linalg.inv(TRUTH)) @ found.matrix, places)
    assert (back - places).norm(dim=-1).max() < 2.0
    assert found.confidence > 0.9
    assert found.details['inliers'] > 0.9


def test_a_board_that_is_read_from_the_other_end_is_turned_round() -> None:
    seen = []
    for place in range(3):
        thermal, visible = (find_points(image, CHESSBOARD) for image in views(CHESSBOARD, place))
        seen.append((thermal[::-1] if place == 1 else thermal, visible))
    assert from_targets(seen, CHESSBOARD, SIZE).details['inliers'] > 0.9


def test_no_board_is_seen_where_there_is_none() -> None:
    image = np.random.default_rng(0).integers(0, 255, (240, 320), dtype=np.uint8)
    assert find_points(image, CHESSBOARD) is None
    with pytest.raises(CalibrationError, match='no pair shows a chessboard of 7x5'):
        from_targets([], CHESSBOARD, SIZE)


def test_points_of_no_common_plane_are_refused() -> None:
    random = np.random.default_rng(1)
    seen = [(random.uniform(0, 200, (35, 2)), random.uniform(0, 400, (35, 2))) for _ in range(4)]
    with pytest.raises(CalibrationError, match='points fit one homography'):
        from_targets(seen, CHESSBOARD, SIZE)
