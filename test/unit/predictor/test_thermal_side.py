"""Calibrations, side products and what is told of the thermal camera, through the predictor."""

import dataclasses
from pathlib import Path

from ir_vis_fusion.config import (
    FrameSettings,
    HotMaskSettings,
    LiveThermalSettings,
    PredictorSettings,
    RegistrationSettings,
    ThermalSettings,
)
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.types import (
    Frame,
    FramePair,
    FusedFrame,
    Mode,
    PixelEncoding,
    SideProduct,
    ThermalState,
)
import numpy as np
import pytest

HEIGHT, WIDTH = 64, 80
ALL = frozenset(SideProduct)


def scene(seed: int = 0, hot: float = 40.0) -> np.ndarray:
    """Return 20 °C with noise and a hot square, in kelvin."""
    kelvin = 293.15 + np.random.default_rng(seed).normal(0, 0.05, (HEIGHT, WIDTH))
    kelvin[16:32, 20:40] = hot + 273.15
    return kelvin


def make_pair(thermal: np.ndarray, ms: int = 0) -> FramePair:
    visible = np.random.default_rng(9).integers(10, 60, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    kind = PixelEncoding.MONO16 if thermal.dtype == np.uint16 else PixelEncoding.FLOAT32
    stamp_ns = (1_000 + ms) * 1_000_000
    return FramePair(
        Frame(thermal, kind, stamp_ns), Frame(visible, PixelEncoding.RGB8, stamp_ns, 'visible')
    )


def centikelvin(kelvin: np.ndarray) -> np.ndarray:
    return (kelvin * 100).round().astype(np.uint16)


def make(**thermal: object) -> FusionPredictor:
    return FusionPredictor(PredictorSettings(device='cpu', thermal=ThermalSettings(**thermal)))


def shutter(ms: int) -> FramePair:
    return make_pair(np.full((HEIGHT, WIDTH), 30_000, np.uint16), ms)


@pytest.mark.parametrize(
    ('policy', 'mode'),
    [('visible_only', Mode.VISIBLE_ONLY), ('drop', Mode.NONE), ('hold', Mode.FUSED)],
)
def test_each_policy_gives_its_mode_while_the_shutter_is_seen(policy: str, mode: Mode) -> None:
    predictor = make(ffc_policy=policy)
    before = predictor.predict(make_pair(centikelvin(scene())))
    result = predictor.predict(shutter(33), wanted=ALL)
    assert (result.mode, result.thermal_state) == (mode, ThermalState.FLAT)
    expected = before.image if policy == 'hold' else make_pair(scene()).visible.image
    np.testing.assert_array_equal(result.image, expected)
    # What is not measured now is not published as if it were.
    assert result.thermal_registered is result.hot_mask is result.side_by_side is None
    assert predictor.predict(make_pair(centikelvin(scene(1)), 66)).mode is Mode.FUSED
    assert predictor.thermal_report().ffc_events == 1


def test_telemetry_is_passed_on_to_the_front_end() -> None:
    predictor = make()
    predictor.tell_calibrating(True)
    result = predictor.predict(make_pair(centikelvin(scene())))
    assert (result.mode, result.thermal_state) == (Mode.VISIBLE_ONLY, ThermalState.CALIBRATING)


def test_side_products_are_made_where_they_are_wanted_and_only_there() -> None:
    predictor = make()
    for i, product in enumerate(SideProduct):
        result = predictor.predict(
            make_pair(centikelvin(scene(i)), 33 * i), wanted=frozenset({product})
        )
        made = [one for one in SideProduct if getattr(result, one.value) is not None]
        assert made == [product]


@pytest.mark.parametrize('dtype', [np.uint16, np.float32])
def test_the_registered_image_is_in_centikelvin_whatever_the_camera_sends(dtype: type) -> None:
    thermal = scene()
    thermal = centikelvin(thermal) if dtype is np.uint16 else thermal.astype(np.float32)
    result = make().predict(make_pair(thermal), wanted=ALL)
    assert result.thermal_registered.dtype == np.uint16
    np.testing.assert_allclose(result.thermal_registered / 100, scene(), atol=0.011)
    expected = np.where(scene() >= 273.15 + 30.0, 255, 0)
    np.testing.assert_array_equal(result.hot_mask, expected)


def test_the_thermal_image_alone_has_its_temperatures_too() -> None:
    """At night, when the visible image is of no use, they matter most."""
    predictor = make(units='centikelvin')
    thermal = make_pair(centikelvin(scene())).thermal
    result = predictor.thermal_only(thermal, HEIGHT, WIDTH, wanted=ALL)
    np.testing.assert_array_equal(result.thermal_registered, centikelvin(scene()))
    assert result.hot_mask[20, 30] == 255
    assert result.side_by_side is None
    alone = predictor.thermal_only(shutter(33).thermal, HEIGHT, WIDTH, wanted=ALL)
    assert alone.thermal_registered is alone.hot_mask is None


def test_without_units_the_registered_image_holds_counts() -> None:
    counts = centikelvin(scene()) // 4
    result = make(units='counts').predict(make_pair(counts), wanted=ALL)
    np.testing.assert_array_equal(result.thermal_registered, counts)


def test_threshold_and_window_hold_from_the_next_frame() -> None:
    predictor = make(units='centikelvin')
    cold = FrameSettings(hot_mask=HotMaskSettings(threshold_c=50.0))
    assert predictor.predict(make_pair(centikelvin(scene())), cold, ALL).hot_mask.max() == 0
    window = FrameSettings(thermal=LiveThermalSettings(window_low_c=0.0, window_high_c=100.0))
    result = predictor.predict(make_pair(centikelvin(scene(1)), 33), window, ALL)
    # 40 °C in 0 to 100 °C.
    np.testing.assert_array_equal(result.side_by_side[20, 30], [102, 102, 102])


def displaced(tmp_path: Path, shift: int) -> RegistrationSettings:
    """Write a calibration that lays the thermal image ``shift`` columns to the right."""
    path = tmp_path / 'calibration.yaml'
    size = f'{{size: [{WIDTH}, {HEIGHT}]}}'
    matrix = [1, 0, shift, 0, 1, 0, 0, 0, 1]
    path.write_text(f'thermal: {size}\nvisible: {size}\nhomography: {matrix}\n')
    return RegistrationSettings(mode='homography', file=str(path))


def test_side_products_lie_in_the_visible_view_and_are_empty_outside_the_thermal_one(
    tmp_path: Path,
) -> None:
    registration = displaced(tmp_path, 16)
    predictor = FusionPredictor(PredictorSettings(device='cpu', registration=registration))
    result: FusedFrame = predictor.predict(make_pair(centikelvin(scene())), wanted=ALL)
    assert result.thermal_registered[:, :15].max() == 0
    assert result.hot_mask[:, :36].max() == 0
    np.testing.assert_allclose(
        result.thermal_registered[:, 20:] / 100, scene()[:, 4:-16], atol=0.02
    )
    hot = np.argwhere(result.hot_mask)
    assert (hot.min(axis=0).tolist(), hot.max(axis=0).tolist()) == ([16, 36], [31, 55])


def test_cropped_telemetry_is_no_part_of_the_registered_image() -> None:
    lines = np.zeros((2, WIDTH), np.uint16)
    lines[0, :10] = 65_535
    image = np.concatenate([lines, np.resize(centikelvin(scene()), (120, WIDTH))])
    pair = make_pair(centikelvin(scene()))
    pair = dataclasses.replace(pair, thermal=dataclasses.replace(pair.thermal, image=image))
    result = make(units='centikelvin').predict(pair, wanted=ALL)
    assert result.thermal_registered.min() > 29_000
    assert result.thermal_registered.max() < 32_000
