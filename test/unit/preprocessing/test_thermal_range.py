"""Percentiles by nearest rank: by hand and against NumPy's."""

import math

from ir_vis_fusion.preprocessing.thermal_range import by_histogram
import numpy as np
import torch

SHARES = (0.0, 1.0, 50.0, 99.5, 100.0)


def found(sample):
    return np.asarray(by_histogram(sample, SHARES)).tolist()


def test_nearest_ranks_of_a_hundred_and_one_levels_are_the_percents():
    sample = torch.arange(200.0, 301.0).flip(0)
    # Half a rank goes to the even one: 99.5 to 100.
    assert found(sample) == [200, 201, 250, 300, 300]


def test_they_are_those_of_numpy():
    sample = np.random.default_rng(0).integers(28000, 31000, 9001).astype(np.float32)
    expected = np.percentile(sample, SHARES, method='nearest')
    assert found(torch.from_numpy(sample)) == expected.tolist()


def test_levels_are_whole_and_what_lies_outside_is_at_the_end():
    assert found(torch.tensor([-5.0, -5.0, 7.6, 70000.0, 70000.0])) == [0, 0, 8, 65535, 65535]


def test_what_is_not_finite_does_not_count():
    sample = torch.tensor([math.nan, math.inf, -math.inf, 3.0, 4.0, 5.0])
    assert found(sample) == [3, 3, 4, 5, 5]
    assert np.isnan(found(sample[:3])).all()
