"""What is fused is the registered thermal image; outside its view the picture is visible."""

from pathlib import Path

from ir_vis_fusion.config import (
    FrameSettings,
    LiveRegistrationSettings,
    PredictorSettings,
    RegistrationSettings,
)
from ir_vis_fusion.errors import CalibrationError
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.preprocessing.calibration import Calibration, write_calibration
from ir_vis_fusion.preprocessing.geometry import CameraModel, Transform
from ir_vis_fusion.preprocessing.registration import Rig
from ir_vis_fusion.types import Frame, FramePair, PixelEncoding
import numpy as np
import pytest

MODELS = ('student', 'textfusion')
EYE = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0)
SIZE = (160, 120)
CAMERA = CameraModel(*SIZE, (160.0, 0, 79.5, 0, 160, 59.5, 0, 0, 1))


def pair_of(
    thermal: np.ndarray, visible: np.ndarray, depth: np.ndarray | None = None
) -> FramePair:
    visible = np.repeat(visible[..., None], 3, axis=2)
    return FramePair(
        Frame(thermal, PixelEncoding.MONO8),
        Frame(visible, PixelEncoding.RGB8),
        depth=depth,
    )


def scene(square: tuple[int, int] = (40, 60), thermal_level: int = 60) -> FramePair:
    """Return a dark visible image and a thermal one with a hot square, 120x160."""
    thermal = np.full((120, 160), thermal_level, np.uint8)
    thermal[square[0] : square[0] + 20, square[1] : square[1] + 20] = 240
    ramp = np.linspace(20, 60, 160, dtype=np.float32)[None] + np.zeros((120, 1), np.float32)
    return pair_of(thermal, ramp.astype(np.uint8))


def by_homography(
    folder: Path, matrix: tuple[float, ...], model: str = 'student'
) -> FusionPredictor:
    file = folder / 'rig.yaml'
    write_calibration(file, Calibration(SIZE, SIZE, matrix))
    registration = RegistrationSettings(mode='homography', file=str(file))
    return FusionPredictor(PredictorSettings(model=model, device='cpu', registration=registration))


def centre_of_heat(image: np.ndarray) -> tuple[float, float]:
    rows, columns = np.nonzero(image.mean(axis=2) > 150)
    return rows.mean(), columns.mean()


def test_a_hot_square_appears_where_the_homography_puts_it(tmp_path: Path) -> None:
    predictor = by_homography(tmp_path, (0.8, 0.0, 30.0, 0.0, 0.8, 10.0, 0.0, 0.0, 1.0))
    fused = predictor.predict(scene()).image
    # The centre (69.5, 49.5) goes to 0.8 (69.5, 49.5) + (30, 10).
    assert centre_of_heat(fused) == pytest.approx((49.6, 85.6), abs=1.0)
    assert predictor.registration_state().in_force == 'homography'


@pytest.mark.parametrize('model', MODELS)
def test_outside_the_thermal_view_the_picture_is_the_visible_one(
    model: str, tmp_path: Path
) -> None:
    predictor = by_homography(tmp_path, (0.5, 0.0, 50.0, 0.0, 0.5, 30.0, 0.0, 0.0, 1.0), model)
    pair = scene()
    fused = predictor.predict(pair).image
    outside = np.ones((120, 160), bool)
    outside[29:91, 49:131] = False
    assert outside.mean() > 0.7
    np.testing.assert_array_equal(fused[outside], pair.visible.image[outside])
    assert np.abs(fused[60, 90].astype(int) - pair.visible.image[60, 90]).max() > 5


@pytest.mark.parametrize('level', [0, 128, 255])
def test_no_border_is_seen_where_the_thermal_view_ends(level: int, tmp_path: Path) -> None:
    """Whatever the contrast to the thermal image, no pixel takes more than 4 % of it."""
    file = tmp_path / 'rig.yaml'
    matrix = (1.0, 0.0, 150.0, 0.0, 1.0, 100.0, 0.0, 0.0, 1.0)
    write_calibration(file, Calibration((400, 300), (640, 480), matrix))
    predictor = FusionPredictor(
        PredictorSettings(
            device='cpu',
            registration=RegistrationSettings(mode='homography', file=str(file)),
        )
    )
    thermal = np.full((300, 400), level, np.uint8)
    thermal[140:160, 190:210] = 130
    visible = np.full((480, 640), 40, np.uint8)
    fused = predictor.predict(pair_of(thermal, visible)).image.astype(float).mean(axis=2)
    contrast = abs(fused[200, 300] - 40)
    assert fused[50, 50] == 40
    steps = np.abs(np.diff(fused[250, :300])), np.abs(np.diff(fused[:230, 300]))
    assert max(step.max() for step in steps) <= max(0.04 * contrast, 2)
    if level == 255:
        assert contrast > 100


def test_the_distance_is_followed_while_it_runs() -> None:
    registration = RegistrationSettings(mode='plane')
    predictor = FusionPredictor(PredictorSettings(device='cpu', registration=registration))
    predictor.set_rig(Rig(CAMERA, CAMERA, Transform(EYE, (0.2, 0.0, 0.0))))
    seen = {}
    for distance_m in (2.0, 8.0):
        live = FrameSettings(registration=LiveRegistrationSettings(distance_m=distance_m))
        seen[distance_m] = centre_of_heat(predictor.predict(scene(), live).image)[1]
    # The thermal camera is 0.2 m to the right: its image goes by 160 * 0.2 / d to the right.
    assert seen[2.0] == pytest.approx(69.5 + 16, abs=1.0)
    assert seen[8.0] == pytest.approx(69.5 + 4, abs=1.0)


@pytest.mark.parametrize('unit', [np.float32(1.0), np.uint16(1000)])
def test_a_depth_image_in_metres_or_millimetres_registers_each_pixel(unit: np.generic) -> None:
    registration = RegistrationSettings(mode='depth')
    predictor = FusionPredictor(PredictorSettings(device='cpu', registration=registration))
    predictor.set_rig(Rig(CAMERA, CAMERA, Transform(EYE, (0.2, 0.0, 0.0))))
    depth = np.full((120, 160), 2, unit.dtype) * unit
    pair = scene()
    pair = FramePair(pair.thermal, pair.visible, depth=depth)
    assert centre_of_heat(predictor.predict(pair).image)[1] == pytest.approx(85.5, abs=1.0)
    assert predictor.registration_state().in_force == 'depth'


def test_unknown_cameras_leave_the_images_unregistered_and_are_named() -> None:
    registration = RegistrationSettings(mode='plane')
    predictor = FusionPredictor(PredictorSettings(device='cpu', registration=registration))
    plain = FusionPredictor(PredictorSettings(device='cpu')).predict(scene()).image
    np.testing.assert_array_equal(predictor.predict(scene()).image, plain)
    state = predictor.registration_state()
    assert state.in_force == 'none'
    assert 'no calibration of the thermal camera' in state.fault


def test_a_missing_calibration_file_is_an_error_at_the_start() -> None:
    registration = RegistrationSettings(mode='homography', file='/nowhere.yaml')
    with pytest.raises(CalibrationError, match=r'/nowhere\.yaml: no such file'):
        FusionPredictor(PredictorSettings(device='cpu', registration=registration))
