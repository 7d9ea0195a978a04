"""
The shipped student's quality on eight small pairs that need no data folder.

They and the expected figures are written by ``make_pairs.py`` beside this file.
"""

import json
from pathlib import Path
import runpy

import pytest

MAKE_PAIRS = runpy.run_path(str(Path(__file__).with_name('make_pairs.py')))
# Rounding of other CPUs moves a figure by far less, a training with other losses by far more.
TOLERANCE = {'qabf': 0.02, 'vif': 0.02, 'ssim': 0.02, 'scd': 0.02, 'sd': 0.5, 'nabf': 0.005}
PAIRS = sorted(MAKE_PAIRS['CUTS'])
Rows = dict[str, dict[str, float]]


@pytest.fixture(scope='module')
def measured() -> Rows:
    return MAKE_PAIRS['figures']()


@pytest.fixture(scope='module')
def expected() -> Rows:
    return json.loads(MAKE_PAIRS['EXPECTED'].read_text())


def test_all_eight_pairs_are_measured(measured: Rows, expected: Rows) -> None:
    assert sorted(measured) == sorted(expected) == PAIRS
    assert len(PAIRS) == 8


@pytest.mark.parametrize('pair', PAIRS)
def test_quality_on_a_synthetic_pair_is_as_it_was(
    measured: Rows, expected: Rows, pair: str
) -> None:
    """After a new training: ``make_pairs.py figures``."""
    far = {
        name: (value, expected[pair][name])
        for name, value in measured[pair].items()
        if abs(value - expected[pair][name]) > TOLERANCE[name]
    }
    assert far == {}
