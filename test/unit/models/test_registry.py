"""Registry: networks by name, and what they cost."""

from ir_vis_fusion.errors import ConfigError
from ir_vis_fusion.models.registry import build, count_macs, count_parameters, MODELS
from ir_vis_fusion.models.student import Student
import pytest


def test_a_network_is_built_from_its_name_and_config() -> None:
    student = build('student', {'width': 16, 'factor': 2, 'depth': 3})
    assert isinstance(student, Student)
    assert student.factor == 2
    assert student.body[0].out_channels == 16


def test_every_name_builds_with_its_defaults() -> None:
    assert all(count_parameters(build(name, {})) > 0 for name in MODELS)


def test_an_unknown_name_is_named_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r"unknown model 'studnet', did you mean 'student'\?"):
        build('studnet', {})


@pytest.mark.parametrize('config', [{'widht': 8}, {'width': 0}, {'width': 'wide'}])
def test_a_config_that_does_not_fit_is_shown(config: dict) -> None:
    with pytest.raises(ConfigError, match="model 'student' cannot be built from") as caught:
        build('student', config)
    assert repr(config) in str(caught.value)


def test_macs_count_every_convolution_once() -> None:
    """Five layers of 32 * 32 * 9 weights on 120 x 160 blocks."""
    assert count_macs(build('student', {}), 480, 640) == 5 * 32 * 32 * 9 * 120 * 160
