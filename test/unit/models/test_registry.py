"""Registry: networks by name, and what they cost."""

import inspect

from ir_vis_fusion.errors import ConfigError
from ir_vis_fusion.models.registry import build, count_macs, count_parameters, MODELS
from ir_vis_fusion.models.student import Student
import pytest
import torch
from torch import nn, Tensor
from torch.nn import functional


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


def test_macs_count_every_kind_of_layer() -> None:
    """
    Of a 6x5 map with 4 channels.

    3x3 convolution in two groups: 30 * 4 * 2 * 9; 3-D, valid in depth: 30 * 2 * 27; transposed
    2x2 with stride 2: 30 * 4 * 1 * 4; linear: 30 * 4 * 7; attention of 30 tokens: 2 * 30^2 * 4.
    """

    class Mixed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.grouped = nn.Conv2d(4, 4, 3, padding=1, groups=2)
            self.deep = nn.Conv3d(1, 1, 3, padding=(0, 1, 1))
            self.transposed = nn.ConvTranspose2d(4, 1, 2, stride=2)
            self.linear = nn.Linear(4, 7)

        def example_inputs(self, height: int, width: int) -> tuple[Tensor, ...]:
            return (torch.zeros(1, 4, height, width),)

        def forward(self, x: Tensor) -> None:
            self.transposed(self.grouped(x))
            self.deep(x[:, None])
            tokens = x.flatten(2).mT
            self.linear(tokens)
            functional.scaled_dot_product_attention(tokens, tokens, tokens)

    model = Mixed()
    assert count_macs(model, 6, 5) == 30 * (4 * 2 * 9 + 2 * 27 + 4 * 4 + 4 * 7 + 2 * 30 * 4)
    assert model.linear.weight.device.type == 'cpu'


@pytest.mark.parametrize('name', list(MODELS))
def test_every_network_makes_its_own_example_inputs(name: str) -> None:
    model = build(name, {})
    assert count_macs(model, 64, 80) > count_macs(model, 32, 40) > 0


@pytest.mark.parametrize('name', list(MODELS))
def test_a_network_takes_images_and_the_features_that_it_names(name: str) -> None:
    model = build(name, {})
    vis, ir, *features = model.example_inputs(32, 40)
    assert vis.shape == (1, 3 if model.color else 1, 32, 40)
    assert ir.shape == (1, 1, 32, 40)
    assert len(features) == len(model.guidance)
    parameters = list(inspect.signature(model.forward).parameters.values())[2:]
    if model.guidance and name != 'student':
        assert tuple(parameter.name for parameter in parameters) == model.guidance
    assert all(parameter.default is None for parameter in parameters)
