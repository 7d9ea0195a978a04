"""Rays and pixels agree with OpenCV; reprojection with the plane-induced homography."""

import math

import cv2
from ir_vis_fusion.errors import CalibrationError
from ir_vis_fusion.preprocessing.geometry import CameraModel, Reprojection, Transform
import numpy as np
import pytest
import torch

K = (500.0, 0.0, 318.0, 0.0, 510.0, 243.0, 0.0, 0.0, 1.0)
LENSES = {
    'none': ('plumb_bob', ()),
    'plumb_bob': ('plumb_bob', (-0.28, 0.09, 0.001, -0.0015, -0.01)),
    'four coefficients': ('plumb_bob', (0.1, -0.05, -0.002, 0.001)),
    'rational': ('rational_polynomial', (0.3, 0.1, 0.0008, -0.0006, 0.01, 0.5, 0.15, 0.02)),
    'equidistant': ('equidistant', (-0.02, 0.004, -0.001, 0.0002)),
}


def camera(lens: str, width: int = 640, height: int = 480) -> CameraModel:
    return CameraModel(width, height, K, *LENSES[lens])


@pytest.mark.parametrize('lens', LENSES)
def test_rays_are_projected_where_opencv_projects_them(lens: str) -> None:
    x, y = torch.meshgrid(
        torch.linspace(-0.6, 0.6, 7, dtype=torch.float64),
        torch.linspace(-0.45, 0.45, 7, dtype=torch.float64),
        indexing='ij',
    )
    model = camera(lens)
    columns, rows, trusted = model.project(x, y)
    assert trusted.all()
    points = torch.stack([x, y, torch.ones_like(x)], -1).reshape(-1, 1, 3).numpy()
    matrix, d = np.array(K).reshape(3, 3), np.array(model.distortion or (0.0,) * 4)
    zero = np.zeros(3)
    if model.distortion_model == 'equidistant':
        expected, _ = cv2.fisheye.projectPoints(points, zero, zero, matrix, d)
    else:
        expected, _ = cv2.projectPoints(points, zero, zero, matrix, d)
    ours = torch.stack([columns, rows], -1).reshape(-1, 2).numpy()
    np.testing.assert_allclose(ours, expected.reshape(-1, 2), atol=1e-6)


@pytest.mark.parametrize('lens', LENSES)
def test_the_rays_of_all_pixels_come_back_to_their_pixels(lens: str) -> None:
    model = camera(lens)
    columns, rows, trusted = model.project(*model.rays())
    assert trusted.all()
    assert (rows - torch.arange(480.0)[:, None]).abs().max() < 0.01
    assert (columns - torch.arange(640.0)).abs().max() < 0.01


def test_rays_that_a_strong_barrel_would_fold_into_the_image_are_not_trusted() -> None:
    model = camera('plumb_bob')
    x = torch.tensor([0.3, 1.1, 3.0], dtype=torch.float64)
    _, _, trusted = model.project(x, torch.zeros_like(x))
    # r (1 - 0.28 r2 + 0.09 r4 - 0.01 r6) has its first maximum between 1.1 and 3.
    assert trusted.tolist() == [True, True, False]


def test_a_camera_of_half_the_size_sees_the_same_rays() -> None:
    full = camera('none')
    half = full.at(320, 240)
    x, y = torch.tensor([0.2]), torch.tensor([-0.1])
    columns, rows, _ = full.project(x, y)
    half_columns, half_rows, _ = half.project(x, y)
    torch.testing.assert_close(half_columns, (columns + 0.5) / 2 - 0.5)
    torch.testing.assert_close(half_rows, (rows + 0.5) / 2 - 0.5)


@pytest.mark.parametrize(
    ('change', 'said'),
    [
        ({'matrix': (0.0,) * 9}, r'K\[0\] is 0 .* not calibrated'),
        ({'matrix': K[:8]}, 'K must be 9 finite numbers'),
        ({'matrix': (math.nan, *K[1:])}, 'K must be 9 finite numbers'),
        ({'width': 0}, 'image size must be > 0, got 0x480'),
        ({'distortion': (0.1, 0.2)}, 'must have 0 or 4 or 5 coefficients, got 2'),
        ({'distortion': (math.inf,) * 4}, 'D must be finite'),
        ({'distortion_model': 'fov', 'distortion': (0.9,)}, "'fov' is unknown, expected one of"),
        (
            {'distortion_model': 'rational_polynomial', 'distortion': (*[0.1] * 11, 0.2)},
            'thin prism',
        ),
    ],
)
def test_what_is_no_camera_is_refused_by_name(change: dict, said: str) -> None:
    facts = {'width': 640, 'height': 480, 'matrix': K} | change
    with pytest.raises(CalibrationError, match=said):
        CameraModel(**facts)


def test_another_shape_of_image_is_refused() -> None:
    with pytest.raises(CalibrationError, match='calibrated for 640x480, but the images are 640x4'):
        camera('none').at(640, 400)


def test_what_is_no_rotation_is_refused() -> None:
    with pytest.raises(CalibrationError, match='R must be a rotation'):
        Transform((1.0, 0.2, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0), (0.0, 0.0, 0.0))


def test_without_distortion_a_plane_is_seen_by_the_plane_induced_homography() -> None:
    """H = K_v (R - t n'/d) K_t^-1 for the plane n'X + d = 0 of the thermal camera's frame."""
    rotation, _ = cv2.Rodrigues(np.array([0.02, -0.03, 0.05]))
    t, distance = np.array([0.12, -0.01, 0.02]), 4.0
    thermal, visible = CameraModel(320, 240, (300, 0, 160, 0, 305, 118, 0, 0, 1)), camera('none')
    transform = Transform(tuple(rotation.ravel()), tuple(t))
    columns, rows, depth = Reprojection(
        thermal, visible, transform, torch.device('cpu')
    ).coordinates(distance)
    # The plane z = 4 of the visible camera, seen from the thermal one, where
    # e'(R X + t) = 4 with e = (0, 0, 1): n = -R'e and d = 4 - e't.
    n, d = -rotation.T @ [0, 0, 1], distance - t[2]
    k_t, k_v = np.array(thermal.matrix).reshape(3, 3), np.array(K).reshape(3, 3)
    homography = k_v @ (rotation - np.outer(t, n) / d) @ np.linalg.inv(k_t)
    for row, column in ((100, 150), (240, 320), (400, 500)):
        place = [columns[row, column].item(), rows[row, column].item(), 1.0]
        seen = homography @ place
        np.testing.assert_allclose(seen[:2] / seen[2], (column, row), atol=2e-3)
    assert (depth - distance).abs().max() < 0.5


def test_points_behind_the_thermal_camera_are_nowhere() -> None:
    eye = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
    ahead = Transform(eye, (0.0, 0.0, 2.0))
    seen = Reprojection(camera('none'), camera('none'), ahead, torch.device('cpu'))
    assert all(one.isnan().all() for one in seen.coordinates(1.5))
    assert not seen.coordinates(3.0)[0].isnan().any()
