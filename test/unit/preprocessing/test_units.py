"""What thermal numbers mean, as makers state it, and what auto takes them for."""

import math

from ir_vis_fusion.config import ThermalSettings
from ir_vis_fusion.errors import ConfigError
from ir_vis_fusion.preprocessing.units import guess, UnitsFinder
import numpy as np
import pytest
import torch


def scene(median, spread=1.0, dtype=torch.uint16):
    """Return noise around a median."""
    noise = np.random.default_rng(0).normal(median, spread, (48, 64))
    return torch.from_numpy(noise.astype(np.float32)).to(dtype)


@pytest.mark.parametrize(
    ('units', 'value', 'celsius'),
    [
        ('centikelvin', 29_815, 25.0),
        ('decikelvin', 2_981.5, 25.0),
        ('celsius', 25.0, 25.0),
        ('kelvin', 298.15, 25.0),
        ('optris', 1_250, 25.0),
        ('fixed10_6', 19_200, 26.85),
    ],
)
def test_a_number_of_each_unit_is_the_temperature_its_maker_says(units, value, celsius):
    found = UnitsFinder(ThermalSettings(units=units)).find(scene(value))
    assert found.kelvin(value) - 273.15 == pytest.approx(celsius)
    assert found.value(celsius + 273.15) == pytest.approx(value)


def test_counts_are_no_temperature():
    found = UnitsFinder(ThermalSettings(units='counts')).find(scene(30_000))
    assert found.kelvin(30_000) is None
    assert found.value(300.0) is None


def test_scale_and_offset_stand_in_place_of_units():
    """Seek's SDK: 64 counts a degree, 40 degrees too high."""
    settings = ThermalSettings(units='centikelvin', scale=1 / 64, offset=233.15)
    found = UnitsFinder(settings).find(scene(4_000))
    assert found.kelvin(64 * 65) - 273.15 == pytest.approx(25.0)


def test_an_offset_without_scale_is_refused():
    with pytest.raises(ConfigError, match=r'thermal.offset \(-40\) has no effect without'):
        ThermalSettings(offset=-40.0)


@pytest.mark.parametrize(
    ('median', 'dtype', 'units'),
    [
        (27_000, torch.uint16, 'centikelvin'),
        (33_000, torch.uint16, 'centikelvin'),
        (26_900, torch.uint16, 'counts'),
        (33_100, torch.uint16, 'counts'),
        (2_600, torch.uint16, 'decikelvin'),
        (3_400, torch.uint16, 'decikelvin'),
        (1_250, torch.uint16, 'counts'),
        (8_000, torch.uint16, 'counts'),
        (21.0, torch.float32, 'celsius'),
        (-30.0, torch.float32, 'celsius'),
        (294.0, torch.float32, 'kelvin'),
        (29_400.0, torch.float32, 'centikelvin'),
        (8_000.0, torch.float32, 'counts'),
        (120, torch.uint8, 'counts'),
    ],
)
def test_auto_decides_by_type_and_median(median, dtype, units):
    assert guess(scene(median, 0.1, dtype)).name == units


def test_a_guess_says_what_it_was_made_from():
    assert guess(scene(29_512, 0.0)).why == 'guessed from the median 29512'


def test_auto_decides_once_when_three_images_agree():
    finder = UnitsFinder(ThermalSettings())
    assert finder.find(scene(0)).name == 'counts'
    for _ in range(2):
        assert finder.find(scene(29_500)).name == 'centikelvin'
        assert finder.decided is None
    finder.find(scene(29_500))
    assert finder.decided.name == 'centikelvin'
    assert finder.find(scene(500)).name == 'centikelvin'


def test_black_images_of_a_camera_that_starts_decide_nothing():
    finder = UnitsFinder(ThermalSettings())
    for _ in range(5):
        assert finder.find(scene(0, 0.0), is_evidence=False).name == 'counts'
    for _ in range(3):
        finder.find(scene(29_500))
    assert finder.decided.name == 'centikelvin'


def test_units_that_are_set_hold_from_the_first_image_and_not_for_8_bit_ones():
    finder = UnitsFinder(ThermalSettings(units='decikelvin'))
    assert finder.find(scene(120, dtype=torch.uint8)).name == 'counts'
    assert finder.decided is None
    assert finder.find(scene(500)).name == 'decikelvin'
    assert finder.decided.why == 'set by thermal.units'


def test_pixels_that_are_not_finite_are_no_evidence():
    image = scene(21.0, dtype=torch.float32)
    image[:, 16:] = math.nan
    assert guess(image).name == 'celsius'
    assert guess(torch.full((48, 64), math.nan)).why == 'no finite pixels'
