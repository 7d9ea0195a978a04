"""One camera's frames: telemetry, calibrations and their policies, units and range together."""

from ir_vis_fusion.config import ThermalSettings
from ir_vis_fusion.preprocessing.front_end import ThermalFrontEnd
from ir_vis_fusion.types import Frame, PixelEncoding, ThermalState
import numpy as np
import pytest
import torch

MS = 1_000_000


def frame(seed, ms, low=29_000, high=30_000):
    """Return noise between two numbers of centikelvin."""
    image = np.random.default_rng(seed).integers(low, high, (64, 80), dtype=np.uint16)
    return Frame(image, PixelEncoding.MONO16, (1_000 + ms) * MS)


def shutter(ms):
    return Frame(np.full((64, 80), 31_000, np.uint16), PixelEncoding.MONO16, (1_000 + ms) * MS)


@pytest.mark.parametrize('policy', ['visible_only', 'drop'])
def test_nothing_is_usable_while_the_shutter_is_seen(policy):
    front_end = ThermalFrontEnd(ThermalSettings(ffc_policy=policy))
    assert front_end.look(frame(0, 0)).usable
    image = front_end.look(shutter(33))
    assert (image.usable, image.state) == (False, ThermalState.FLAT)
    assert front_end.look(frame(1, 66)).usable


def test_hold_uses_the_last_live_image_for_a_limited_time():
    front_end = ThermalFrontEnd(ThermalSettings(ffc_policy='hold', max_hold_s=0.5))
    live = front_end.look(frame(0, 0)).ir.clone()
    for ms in (33, 500):
        image = front_end.look(shutter(ms))
        assert image.usable
        assert torch.equal(image.ir, live)
        image.ir.zero_()
    assert not front_end.look(shutter(501)).usable
    assert front_end.look(frame(1, 600)).usable


def test_hold_holds_nothing_from_before_a_reset_or_of_a_first_shutter():
    front_end = ThermalFrontEnd(ThermalSettings(ffc_policy='hold'))
    assert not front_end.look(shutter(0)).usable
    front_end.look(frame(0, 33))
    front_end.reset()
    assert not front_end.look(shutter(66)).usable


def test_the_range_stands_still_while_telemetry_tells_a_calibration():
    """A warm shutter, seen for long enough to move the range, does not."""
    settings = ThermalSettings(units='centikelvin', attack_s=0.0, decay_s=0.0)
    front_end = ThermalFrontEnd(settings)
    front_end.look(frame(0, 0))
    before = front_end.report()
    assert before.high == pytest.approx(26.8, abs=0.1)
    front_end.tell_calibrating(True)
    image = front_end.look(frame(1, 33, low=31_000, high=34_000))
    assert (image.state, image.usable) == (ThermalState.CALIBRATING, False)
    assert (front_end.report().low, front_end.report().high) == (before.low, before.high)
    front_end.tell_calibrating(False)
    front_end.look(frame(2, 66, low=31_000, high=34_000))
    assert front_end.report().high == pytest.approx(66, abs=1.5)
    assert front_end.report().ffc_events == 1


def test_telemetry_rows_neither_widen_the_range_nor_hide_a_frozen_image():
    """A counter in the telemetry differs from image to image though the picture repeats."""
    front_end = ThermalFrontEnd(ThermalSettings())
    picture = frame(0, 0).image
    for i in range(10):
        lines = np.zeros((2, 80), np.uint16)
        lines[0, :4] = (65_535, i, 1, 65_535)
        image = np.concatenate([lines, np.tile(picture, (2, 1))[:120]])
        result = front_end.look(Frame(image, PixelEncoding.MONO16, (1_000 + i * 50) * MS))
    assert result.state is ThermalState.FROZEN
    assert result.ir.shape == (120, 80)
    report = front_end.report()
    assert report.cropped_rows == 2
    assert 16 < report.low < 18
    assert 25 < report.high < 27


def test_the_report_gives_units_range_and_why():
    front_end = ThermalFrontEnd(ThermalSettings())
    assert front_end.report().units == ''
    for i in range(3):
        front_end.look(frame(i, 33 * i))
    report = front_end.report()
    assert (report.units, report.celsius) == ('centikelvin', True)
    assert report.units_why.startswith('guessed from the median 29')
    # 1 and 99.5 % of numbers spread evenly over 290 ... 300 K.
    assert report.low == pytest.approx(16.95, abs=0.1)
    assert report.high == pytest.approx(26.8, abs=0.1)


def test_counts_are_reported_as_counts():
    front_end = ThermalFrontEnd(ThermalSettings(units='counts'))
    front_end.look(frame(0, 0))
    report = front_end.report()
    assert (report.units, report.celsius) == ('counts', False)
    assert 29_000 < report.low < report.high < 30_000


def test_false_colour_is_reported_while_it_comes():
    front_end = ThermalFrontEnd(ThermalSettings())
    image = frame(0, 0).image.astype(np.uint8)
    front_end.look(Frame(image, PixelEncoding.MONO8, 1, false_color=True))
    assert front_end.report().false_color
    front_end.look(Frame(image.T.copy(), PixelEncoding.MONO8, 2))
    assert not front_end.report().false_color


def test_a_window_in_celsius_makes_the_same_grey_of_the_same_temperature():
    front_end = ThermalFrontEnd(ThermalSettings(units='centikelvin'))
    window = (0.0, 40.0)
    for ms, high in ((0, 29_400), (33, 33_000)):
        thermal = frame(0, ms, high=high)
        thermal.image[5, 5] = 27_315 + 3_000
        assert front_end.look(thermal, window).ir[5, 5].item() == pytest.approx(0.75, abs=1e-4)


@pytest.mark.parametrize(
    ('units', 'factor', 'shift', 'dtype'),
    [
        ('centikelvin', 100.0, 0.0, np.uint16),
        ('decikelvin', 10.0, 0.0, np.uint16),
        ('optris', 10.0, -1_731.5, np.uint16),
        ('fixed10_6', 64.0, 0.0, np.uint16),
        ('kelvin', 1.0, 0.0, np.float32),
        ('celsius', 1.0, -273.15, np.float32),
    ],
)
def test_all_units_give_the_same_temperatures_and_the_same_picture(units, factor, shift, dtype):
    kelvin = np.random.default_rng(0).uniform(290, 310, (64, 80))
    numbers = kelvin * factor + shift
    numbers = (numbers.round() if dtype == np.uint16 else numbers).astype(dtype)
    kind = PixelEncoding.MONO16 if dtype == np.uint16 else PixelEncoding.FLOAT32
    front_end = ThermalFrontEnd(ThermalSettings(units=units))
    image = front_end.look(Frame(numbers, kind, 1), (10.0, 40.0))
    measured, meaning = front_end.measure(image)
    assert meaning.name == 'centikelvin'
    np.testing.assert_allclose(measured.numpy() / 100, kelvin, atol=0.051)
    expected = np.clip((kelvin - 283.15) / 30, 0, 1)
    np.testing.assert_allclose(image.ir.numpy(), expected, atol=0.002)
