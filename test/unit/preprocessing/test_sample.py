"""Percentiles by nearest rank: by hand and against NumPy's."""

import math

from ir_vis_fusion.preprocessing.sample import Sample, thin_out
import numpy as np
import pytest

SHARES = (0.0, 1.0, 50.0, 99.5, 100.0)


def found(pixels):
    return list(Sample(np.asarray(pixels)).percentiles(*SHARES))


def test_nearest_ranks_of_a_hundred_and_one_levels_are_the_percents():
    sample = np.arange(200, 301, dtype=np.float32)[::-1]
    # Half a rank goes to the even one: 99.5 to 100.
    assert found(sample) == [200, 201, 250, 300, 300]


def test_they_are_those_of_numpy():
    sample = np.random.default_rng(0).integers(28000, 31000, 9001).astype(np.float32)
    expected = np.percentile(sample, SHARES, method='nearest')
    assert found(sample) == expected.tolist()


def test_levels_are_whole_and_what_lies_outside_is_at_the_end():
    assert found(np.float32([-5.0, -5.0, 7.6, 70000.0, 70000.0])) == [0, 0, 8, 65535, 65535]


def test_what_is_not_finite_does_not_count():
    sample = np.float32([math.nan, math.inf, -math.inf, 3.0, 4.0, 5.0])
    assert found(sample) == [3, 3, 4, 5, 5]
    assert np.isnan(found(sample[:3])).all()


def test_counting_leaves_the_image_alone():
    image = np.arange(100, 400, dtype=np.uint16).reshape(15, 20)
    sample = Sample(thin_out(image))
    assert sample.percentiles(0, 100) == sample.percentiles(0, 100) == (100, 399)
    assert (image[0, 0], image[-1, -1]) == (100, 399)


@pytest.mark.parametrize('size', [(1, 1), (64, 80), (480, 640), (1024, 1280), (1, 40_000)])
def test_a_sample_is_a_grid_within_the_image_of_about_the_wanted_size(size):
    """A step that is rounded, and a grid that begins half a step inside."""
    image = np.arange(size[0] * size[1]).reshape(size)
    pixels = thin_out(image)
    assert min(image.size, 4_000) <= pixels.size <= 20_250
    steps = {int(step) for step in np.diff(pixels[0])}
    assert len(steps) <= 1


def test_percentiles_of_a_sample_are_those_of_the_image_within_a_percent_of_its_span():
    """Smooth areas with noise; half of the step below the dead band of the range, 4 %."""
    random = np.random.default_rng(3)
    rows, columns = np.mgrid[:480, :640]
    scene = (
        30_000 + 900 * np.sin(columns / 90) * np.cos(rows / 70) + random.normal(0, 20, (480, 640))
    )
    image = scene.astype(np.uint16)
    of_all = np.percentile(image, SHARES[1:-1])
    found = Sample(thin_out(image)).percentiles(*SHARES[1:-1])
    assert np.abs(found - of_all).max() < 0.01 * (of_all[-1] - of_all[0])
