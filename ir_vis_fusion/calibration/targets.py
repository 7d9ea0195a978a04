"""The homography between two cameras from a board that both see; the room's one user of OpenCV."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
from ir_vis_fusion.calibration.targetless import confidence_of, disagreement, Found
from ir_vis_fusion.errors import CalibrationError
import numpy as np
import torch

_INLIER_PX = 3.0
_LEAST_INLIERS = 0.5
# Smaller images are enlarged too: in those of thermal cameras corners are few pixels apart.
_LARGE_WIDTH = 1000


@dataclass(frozen=True)
class Target:
    """A board: its pattern, and the number of inner corners or circles along and across."""

    pattern: str
    columns: int
    rows: int


def find_points(image: np.ndarray, target: Target) -> np.ndarray | None:
    """
    Return the points of a target, (rows * columns, 2) float64 pixels, None where it is not seen.

    ``image`` is (H, W) uint8. A heated or cut-out board may be light on dark or dark on light, so
    the inverted image is looked at too.
    """
    enlargements = (1, 2, 3) if image.shape[1] < _LARGE_WIDTH else (1,)
    for enlargement in enlargements:
        large = cv2.resize(
            image, None, fx=enlargement, fy=enlargement, interpolation=cv2.INTER_CUBIC
        )
        stretched = cv2.normalize(large, None, 0, 255, cv2.NORM_MINMAX)
        for candidate in (stretched, 255 - stretched):
            points = _find(candidate, target)
            if points is not None:
                return (points + 0.5) / enlargement - 0.5
    return None


def _find(image: np.ndarray, target: Target) -> np.ndarray | None:
    size = (target.columns, target.rows)
    if target.pattern == 'chessboard':
        flags = cv2.CALIB_CB_NORMALIZE_IMAGE | cv2.CALIB_CB_EXHAUSTIVE
        found, points = cv2.findChessboardCornersSB(image, size, flags=flags)
    else:
        symmetric = target.pattern == 'circles'
        flags = cv2.CALIB_CB_SYMMETRIC_GRID if symmetric else cv2.CALIB_CB_ASYMMETRIC_GRID
        found, points = cv2.findCirclesGrid(image, size, flags=flags | cv2.CALIB_CB_CLUSTERING)
    return points.reshape(-1, 2).astype(np.float64) if found else None


def from_targets(
    seen: Sequence[tuple[np.ndarray, np.ndarray]], target: Target, size: tuple[int, int]
) -> Found:
    """
    Fit one homography to the points of all boards, by RANSAC.

    Parameters
    ----------
    seen
        Points in the thermal and in the visible image of each pair in which both were found.
    target
        The board.
    size
        Width and height of the visible images.

    Raises
    ------
    CalibrationError
        Where no board was found in both images of a pair, or no homography fits.

    """
    if not seen:
        raise CalibrationError(
            f'no pair shows a {target.pattern} of {target.columns}x{target.rows} in both images: '
            'check --size (inner corners, or circles, along x across) and that it is warm enough'
        )
    ordered = [(_alike(thermal, visible, target), visible) for thermal, visible in seen]
    thermal, visible = (np.concatenate(points) for points in zip(*ordered, strict=True))
    matrix, kept = cv2.findHomography(visible, thermal, cv2.RANSAC, _inlier_px(thermal, visible))
    if matrix is None:
        raise CalibrationError('no homography fits the points that were found')
    kept = kept.ravel().astype(bool)
    if kept.mean() < _LEAST_INLIERS:
        raise CalibrationError(
            f'only {kept.sum()} of {len(kept)} points fit one homography: hold the board in one '
            'plane, at the distance at which the cameras are to be registered'
        )
    back = cv2.perspectiveTransform(thermal[None], np.linalg.inv(matrix))[0]
    residual = np.linalg.norm(back - visible, axis=1)[kept]
    matrix = torch.from_numpy(matrix)
    # Every other point of the inliers against the rest.
    halves = [
        cv2.findHomography(visible[kept][start::2], thermal[kept][start::2])[0] for start in (0, 1)
    ]
    apart = float('inf')
    if all(half is not None for half in halves):
        apart = disagreement(*map(torch.from_numpy, halves), size)
    details = {
        'boards': len(seen),
        'points': len(kept),
        'inliers': float(kept.mean()),
        'rms_px': float(np.sqrt((residual**2).mean())),
    }
    return Found(matrix, confidence_of(apart, size[0]), apart, details)


def _inlier_px(thermal: np.ndarray, visible: np.ndarray) -> float:
    """Return the largest distance of an inlier in thermal pixels: 3 visible ones."""
    return _INLIER_PX * np.ptp(thermal, axis=0).max() / np.ptp(visible, axis=0).max()


def _alike(thermal: np.ndarray, visible: np.ndarray, target: Target) -> np.ndarray:
    """
    Return the thermal points in the order of the visible ones.

    A board may be read from either end; cameras that are mounted side by side see it the same
    way up, so of all readings that fit the one is taken that is turned least.
    """
    wanted = _shape(visible)
    orders = list(_readings(thermal, target))
    return min(orders, key=lambda points: float(np.abs(_shape(points) - wanted).sum()))


def _readings(points: np.ndarray, target: Target) -> Iterator[np.ndarray]:
    grid = points.reshape(target.rows, target.columns, 2)
    for turned in (grid, grid[::-1, ::-1]):
        yield turned.reshape(-1, 2)
    if target.rows == target.columns and target.pattern != 'asymmetric_circles':
        for turned in (np.rot90(grid), np.rot90(grid, 3)):
            yield turned.reshape(-1, 2)


def _shape(points: np.ndarray) -> np.ndarray:
    """Return points about their centre, at unit size."""
    centred = points - points.mean(axis=0)
    return centred / np.abs(centred).max()
