"""The thermal image is laid where its pixels belong, by every mode, and kept until that moves."""

from pathlib import Path
import re

from ir_vis_fusion.config import RegistrationSettings
from ir_vis_fusion.errors import CalibrationError, ConfigError
from ir_vis_fusion.preprocessing.calibration import Calibration, write_calibration
from ir_vis_fusion.preprocessing.geometry import CameraModel, Transform
from ir_vis_fusion.preprocessing.registration import Registration, Rig
from ir_vis_fusion.preprocessing.view import map_pixels, register, View
import numpy as np
import pytest
import torch

CPU = torch.device('cpu')
EYE = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
THERMAL, VISIBLE = (160, 120), (320, 240)
THERMAL_CAMERA = CameraModel(*THERMAL, (200.0, 0, 79.5, 0, 200, 59.5, 0, 0, 1))
VISIBLE_CAMERA = CameraModel(*VISIBLE, (300.0, 0, 159.5, 0, 300, 119.5, 0, 0, 1))
BESIDE = Transform(EYE, (0.1, 0.0, 0.0))
RIG = Rig(THERMAL_CAMERA, VISIBLE_CAMERA, BESIDE)


def places(size: tuple[int, int] = THERMAL) -> torch.Tensor:
    """Return a smooth image whose value says which pixel it is."""
    return torch.arange(size[0]).float() + 1000 * torch.arange(size[1]).float()[:, None]


def by_homography(folder: Path, matrix: tuple[float, ...], device=CPU) -> Registration:
    file = folder / 'rig.yaml'
    write_calibration(file, Calibration(THERMAL, VISIBLE, matrix))
    return Registration(RegistrationSettings(mode='homography', file=str(file)), device)


def test_without_registration_there_is_no_view() -> None:
    registration = Registration(RegistrationSettings(), CPU)
    assert registration.view(THERMAL, VISIBLE, 1.0) is None
    assert registration.state().in_force == 'none'
    assert not registration.state().fault


def test_a_homography_takes_each_thermal_pixel_to_its_place(tmp_path: Path) -> None:
    registration = by_homography(tmp_path, (1.5, 0.0, 40.0, 0.0, 1.5, 30.0, 0.0, 0.0, 1.0))
    view = registration.view(THERMAL, VISIBLE, 1.0)
    warped = view.warp(places())
    # Thermal pixel (100, 60) is seen at 1.5 (100, 60) + (40, 30) = (190, 120).
    assert warped.shape == (240, 320)
    assert warped[120, 190] == pytest.approx(60100, abs=1)
    assert view.mask[120, 190] == 1
    assert view.mask[10, 10] == 0
    assert view.coverage == pytest.approx(160 * 120 * 1.5**2 / (320 * 240), abs=0.01)
    state = registration.state()
    assert (state.in_force, state.coverage, state.fault) == ('homography', view.coverage, '')


def test_images_scaled_as_a_whole_are_laid_at_the_same_place(tmp_path: Path) -> None:
    registration = by_homography(tmp_path, (2.0, 0.0, 0.5, 0.0, 2.0, 0.5, 0.0, 0.0, 1.0))
    warped = registration.view((80, 60), (640, 480), 1.0).warp(places((80, 60)))
    # The images cover each other: 8 visible pixels for each thermal one.
    assert warped[4 + 8 * 30, 4 + 8 * 50] == pytest.approx(30050, abs=100)
    assert registration.view((80, 60), (640, 480), 1.0).mask is None


def test_a_view_is_made_once_until_sizes_or_cameras_change() -> None:
    registration = Registration(RegistrationSettings(mode='plane'), CPU)
    registration.set_rig(RIG)
    first = registration.view(THERMAL, VISIBLE, 5.0)
    registration.set_rig(Rig(THERMAL_CAMERA, VISIBLE_CAMERA, BESIDE))
    assert registration.view(THERMAL, VISIBLE, 5.0) is first
    assert registration.view(THERMAL, VISIBLE, 6.0) is not first
    second = registration.view(THERMAL, VISIBLE, 6.0)
    assert registration.view((80, 60), VISIBLE, 6.0) is not second
    third = registration.view(THERMAL, VISIBLE, 6.0)
    registration.set_rig(Rig(THERMAL_CAMERA, VISIBLE_CAMERA, Transform(EYE, (0.2, 0.0, 0.0))))
    assert registration.view(THERMAL, VISIBLE, 6.0) is not third


@pytest.mark.parametrize('distance_m', [1.0, 4.0])
def test_a_plane_is_registered_with_the_parallax_of_its_distance(distance_m: float) -> None:
    registration = Registration(RegistrationSettings(mode='plane'), CPU)
    registration.set_rig(RIG)
    warped = registration.view(THERMAL, VISIBLE, distance_m).warp(places())
    # On the axis of the visible camera X_t = (-0.1, 0, d): u = 79.5 - 200 * 0.1 / d.
    middle = warped[119:121, 159:161].mean()
    assert middle == pytest.approx(59500 + 79.5 - 20 / distance_m, abs=0.5)


def test_a_far_plane_is_the_homography_without_translation() -> None:
    registration = Registration(RegistrationSettings(mode='plane'), CPU)
    registration.set_rig(RIG)
    warped = registration.view(THERMAL, VISIBLE, 1e5).warp(places())
    assert warped[119:121, 159:161].mean() == pytest.approx(59500 + 79.5, abs=0.1)


def test_depth_registers_near_and_far_things_at_once() -> None:
    registration = Registration(RegistrationSettings(mode='depth'), CPU)
    registration.set_rig(RIG)
    depth = torch.full((240, 320), 4.0)
    depth[100:140, 120:200] = 1.0
    depth[:20] = torch.nan
    view = registration.view(THERMAL, VISIBLE, 2.0, depth)
    warped = view.warp(places())
    assert warped[119:121, 159:161].mean() == pytest.approx(59500 + 79.5 - 20, abs=0.5)
    column = 79.5 + 200 * ((260 - 159.5) / 300) - 20 / 4
    assert warped[119:121, 260].mean() == pytest.approx(59500 + column, abs=0.5)
    # Where the depth is unknown the distance counts.
    column = 79.5 + 200 * ((160 - 159.5) / 300) - 20 / 2
    row = 59.5 + 200 * ((15 - 119.5) / 300)
    assert warped[15, 160] == pytest.approx(1000 * max(row, 0) + column, abs=1)
    assert registration.state().in_force == 'depth'


def test_what_a_near_thing_hides_from_the_thermal_camera_is_left_to_the_visible_one() -> None:
    registration = Registration(RegistrationSettings(mode='depth'), CPU)
    registration.set_rig(RIG)
    depth = torch.full((240, 320), 4.0)
    depth[80:160, 160:240] = 1.0
    mask = registration.view(THERMAL, VISIBLE, 2.0, depth).mask
    # The near thing is displaced by 20 thermal pixels to the left, the ground behind by 5; so
    # left of it 15 thermal pixels (22 visible ones) of ground are behind it.
    assert mask[120, 141:159].max() == 0
    assert mask[120, [90, 200, 245]].min() == 1


def test_depth_without_a_depth_image_registers_at_the_distance_and_says_so() -> None:
    registration = Registration(RegistrationSettings(mode='depth'), CPU)
    registration.set_rig(RIG)
    assert registration.view(THERMAL, VISIBLE, 2.0) is not None
    assert registration.state().in_force == 'plane'
    assert 'no depth image' in registration.state().fault


@pytest.mark.parametrize(
    ('rig', 'said'),
    [
        (Rig(), 'no calibration of the thermal camera; no calibration of the visible'),
        (Rig(THERMAL_CAMERA, VISIBLE_CAMERA), 'no transform between the cameras'),
        (
            Rig(None, VISIBLE_CAMERA, BESIDE, ('thermal/camera_info: K[0] is 0',)),
            r'no calibration of the thermal camera; thermal/camera_info: K\[0\] is 0',
        ),
        (
            Rig(CameraModel(160, 100, THERMAL_CAMERA.matrix), VISIBLE_CAMERA, BESIDE),
            'thermal camera: calibrated for 160x100, but the images are 160x120',
        ),
    ],
)
def test_what_is_not_known_is_named_and_nothing_is_registered(rig: Rig, said: str) -> None:
    registration = Registration(RegistrationSettings(mode='plane'), CPU)
    registration.set_rig(rig)
    assert registration.view(THERMAL, VISIBLE, 2.0) is None
    assert registration.state().in_force == 'none'
    assert re.search(said, registration.state().fault)
    registration.set_rig(RIG)
    assert registration.view(THERMAL, VISIBLE, 2.0) is not None
    assert not registration.state().fault


def test_a_depth_image_of_another_size_is_named() -> None:
    registration = Registration(RegistrationSettings(mode='depth'), CPU)
    registration.set_rig(RIG)
    assert registration.view(THERMAL, VISIBLE, 2.0, torch.ones(10, 20)) is None
    assert 'the depth image is 20x10, the visible one 320x240' in registration.state().fault


def test_what_the_file_says_goes_before_what_was_heard(tmp_path: Path) -> None:
    file = tmp_path / 'rig.yaml'
    write_calibration(file, Calibration(THERMAL, VISIBLE, transform=Transform(EYE, (0.0,) * 3)))
    registration = Registration(RegistrationSettings(mode='plane', file=str(file)), CPU)
    registration.set_rig(RIG)
    warped = registration.view(THERMAL, VISIBLE, 1.0).warp(places())
    assert warped[119:121, 159:161].mean() == pytest.approx(59500 + 79.5, abs=0.1)


def test_a_file_without_homography_is_refused_at_once(tmp_path: Path) -> None:
    file = tmp_path / 'rig.yaml'
    write_calibration(file, Calibration(THERMAL, VISIBLE))
    with pytest.raises(CalibrationError, match='has no homography; make one by `ivf calibrate`'):
        Registration(RegistrationSettings(mode='homography', file=str(file)), CPU)


def test_mode_and_file_must_go_together() -> None:
    with pytest.raises(ConfigError, match='names no file'):
        RegistrationSettings(mode='homography')
    with pytest.raises(ConfigError, match='has no effect with registration.mode none'):
        RegistrationSettings(file='rig.yaml')


def test_a_homography_whose_horizon_is_in_the_image_shows_only_this_side_of_it() -> None:
    matrix = np.array([[1.0, 0, 0], [0, 1, 0], [0, -0.02, 1]])
    columns, rows = map_pixels(matrix, (100, 80))
    assert rows[10, 50] == pytest.approx(10 / 0.8)
    assert rows[60].isnan().all()
    assert columns[49].isfinite().all()


def test_the_mask_rises_smoothly_from_the_edge_of_the_thermal_view() -> None:
    columns, rows = map_pixels(np.array([[1.0, 0, -100], [0, 1, 0], [0, 0, 1]]), (320, 240))
    mask = View(columns, rows, (320, 240)).mask
    assert mask[:, :100].max() == 0
    assert mask[:, 126:].min() == 1
    step = mask.diff(dim=1).abs().max()
    assert step < 0.07
    # It does not fall at the edge of the image itself.
    assert mask[0, 200] == mask[120, 319] == 1


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')
def test_cuda_gives_the_same_picture(tmp_path: Path) -> None:
    matrix = (1.5, 0.1, 40.0, -0.05, 1.5, 30.0, 1e-4, 0.0, 1.0)
    image = torch.rand(THERMAL[::-1])
    views = [by_homography(tmp_path, matrix, d).view(THERMAL, VISIBLE, 1.0) for d in (CPU, 'cuda')]
    here, there = views[0].warp(image), views[1].warp(image.cuda()).cpu()
    assert (here - there).abs().max() < 0.05
    torch.testing.assert_close(views[0].mask, views[1].mask.cpu(), atol=1e-4, rtol=0)


@pytest.mark.parametrize('size', [(240, 320), (50, 71)])
def test_without_a_view_the_image_is_resized_bilinearly(size: tuple[int, int]) -> None:
    image = torch.rand(120, 160, generator=torch.Generator().manual_seed(1))
    options = {'mode': 'bilinear', 'align_corners': False}
    expected = torch.nn.functional.interpolate(image[None, None], size, **options)[0, 0]
    # A hundredth of a grey level.
    torch.testing.assert_close(register(image, size, None), expected, atol=4e-5, rtol=0)
    assert register(image, (120, 160), None) is image
