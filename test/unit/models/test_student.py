"""Student: any frame size, bounded result, gradients everywhere, local."""

from ir_vis_fusion.models.student import RESIDUAL_LIMIT, statistics, Student
import numpy as np
import pytest
import torch
from torch import nn, Tensor


def frames(height: int, width: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(height * width)
    vis_y, ir = torch.rand(2, batch, 1, height, width, generator=generator)
    return vis_y, ir


@pytest.fixture
def student() -> Student:
    torch.manual_seed(0)
    return Student().eval()


@pytest.mark.parametrize(('height', 'width'), [(32, 32), (33, 47), (35, 34), (480, 640)])
def test_the_result_has_the_size_of_the_sources(student: Student, height: int, width: int) -> None:
    vis_y, ir = frames(height, width, batch=2)
    with torch.inference_mode():
        fused = student(vis_y, ir)
    assert fused.shape == (2, 1, height, width)
    assert fused.dtype == torch.float32


@pytest.mark.parametrize('factor', [1, 2, 4])
def test_every_factor_takes_odd_sizes(factor: int) -> None:
    assert Student(8, factor, 1)(*frames(37, 39)).shape == (1, 1, 37, 39)


def test_it_has_as_many_parameters_as_the_card_says(student: Student) -> None:
    """32 -> 32, three times 32 -> 32, 32 -> 32: five 3x3 layers of 32*32*9 + 32."""
    count = sum(parameter.numel() for parameter in student.parameters())
    assert count == 5 * (32 * 32 * 9 + 32) == 46240


def test_it_holds_convolutions_and_activations_only(student: Student) -> None:
    kinds = {type(module) for module in student.modules()}
    assert kinds == {Student, nn.Sequential, nn.Conv2d, nn.ReLU}


def test_the_result_stays_within_the_sources_and_the_residual() -> None:
    torch.manual_seed(0)
    student = Student()
    for parameter in student.parameters():
        nn.init.normal_(parameter)
    vis_y, ir = frames(64, 64)
    fused = student(vis_y, ir)
    assert (fused <= torch.maximum(vis_y, ir) + RESIDUAL_LIMIT + 1e-6).all()
    assert (fused >= torch.minimum(vis_y, ir) - RESIDUAL_LIMIT - 1e-6).all()
    assert fused.max() > 1.0
    clamped = student.eval()(vis_y, ir)
    assert clamped.min() >= 0.0
    assert clamped.max() <= 1.0


def test_zero_weights_give_the_mean_of_the_sources(student: Student) -> None:
    """sigmoid(0) = 1/2 and tanh(0) = 0."""
    nn.init.zeros_(student.body[-1].weight)
    nn.init.zeros_(student.body[-1].bias)
    vis_y, ir = frames(40, 40)
    torch.testing.assert_close(student(vis_y, ir), (vis_y + ir) / 2)


def test_gradients_reach_every_parameter_and_both_sources(student: Student) -> None:
    vis_y, ir = (frame.requires_grad_() for frame in frames(36, 36))
    student.train()(vis_y, ir).square().mean().backward()
    for tensor in (vis_y, ir, *student.parameters()):
        assert tensor.grad is not None
        assert tensor.grad.abs().sum() > 0


def test_a_change_far_away_does_not_change_a_pixel(student: Student) -> None:
    """Five 3x3 layers on blocks of four reach 5 * 4 pixels and the block's rest."""
    vis_y, ir = frames(64, 128)
    changed = ir.clone()
    changed[..., 64:] = 1.0
    with torch.inference_mode():
        before, after = student(vis_y, ir), student(vis_y, changed)
    assert torch.equal(before[..., :40], after[..., :40])
    assert not torch.equal(before[..., 64:], after[..., 64:])


def test_dilations_let_it_see_farther_and_the_last_layer_may_see_no_farther() -> None:
    """1 + 2 + 4 + 1 and nothing: eight blocks of four pixels and the block's rest."""
    torch.manual_seed(0)
    student = Student(dilations=[1, 2, 4, 1], last_side=1).eval()
    assert sum(one.numel() for one in student.parameters()) == 4 * (32 * 32 * 9 + 32) + 32 * 33
    vis_y, ir = frames(64, 160)
    changed = ir.clone()
    changed[..., 80:] = 1.0
    with torch.inference_mode():
        before, after = student(vis_y, ir), student(vis_y, changed)
    assert torch.equal(before[..., :48], after[..., :48])
    assert not torch.equal(before[..., 48:56], after[..., 48:56])


def test_a_first_layer_of_1x1_sees_its_block_only() -> None:
    torch.manual_seed(0)
    student = Student(depth=1, first_side=1, last_side=1).eval()
    assert sum(one.numel() for one in student.parameters()) == 2 * 32 * 33
    vis_y, ir = frames(32, 48)
    with torch.inference_mode():
        before = student(vis_y, ir)
        for column in (15, 16, 19, 20):
            changed = ir.clone()
            changed[..., column] = 1 - changed[..., column]
            same = torch.equal(student(vis_y, changed)[..., 16:20], before[..., 16:20])
            assert same == (column in (15, 20))


def test_statistics_are_means_and_deviations_of_every_fourth_row() -> None:
    vis_y, ir = frames(37, 53, batch=2)
    for found, v, i in zip(statistics(vis_y, ir), vis_y.numpy(), ir.numpy(), strict=True):
        v, i = v[0, ::4].astype(float), i[0, ::4].astype(float)
        expected = [v.mean(), i.mean(), abs(i - v).mean(), v.std(), i.std(), (i - v).std()]
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_context_starts_without_effect_and_then_lets_the_whole_frame_count() -> None:
    """A perceptron of 6 -> 32 -> 4 x 32 for the four hidden layers."""
    torch.manual_seed(0)
    plain = Student(dilations=[1, 2, 4, 1], last_side=1).eval()
    student = Student(dilations=[1, 2, 4, 1], last_side=1, context=32).eval()
    missing = student.load_state_dict(plain.state_dict(), strict=False).missing_keys
    added = sum(student.get_parameter(name).numel() for name in missing)
    assert added == 7 * 32 + 33 * 128
    vis_y, ir = frames(64, 160)
    changed = ir.clone()
    changed[..., 80:] = 1.0
    with torch.inference_mode():
        assert torch.equal(student(vis_y, ir), plain(vis_y, ir))
        nn.init.normal_(student.context[-1].weight, std=0.1)
        before, after = student(vis_y, ir), student(vis_y, changed)
        assert not torch.equal(before[..., :48], after[..., :48])
        # Nothing but the six numbers reaches that far.
        mirrored = torch.cat((ir[..., :80], ir[..., 80:].flip(-1)), -1)
        same = student(torch.cat((vis_y[..., :80], vis_y[..., 80:].flip(-1)), -1), mirrored)
        torch.testing.assert_close(before[..., :48], same[..., :48], atol=1e-5, rtol=0)


def test_each_pair_of_a_batch_has_its_own_context() -> None:
    torch.manual_seed(1)
    student = Student(context=8).eval()
    nn.init.normal_(student.context[-1].weight)
    vis_y, ir = frames(40, 40, batch=2)
    ir[1] *= 0.2
    with torch.inference_mode():
        both = student(vis_y, ir)
        for index in range(2):
            alone = student(vis_y[index : index + 1], ir[index : index + 1])
            torch.testing.assert_close(both[index], alone[0])


@pytest.mark.parametrize(
    ('config', 'fault'),
    [
        ({'context': -1}, 'guidance_features and context must be 0 or more'),
        ({'dilations': [1, 2]}, r'dilations must be 4 numbers from 1 on, got \[1, 2\]'),
        ({'dilations': [1, 2, 0, 1]}, 'from 1 on'),
        ({'last_side': 2}, 'last_side must be 1 or 3, got 2'),
        ({'first_side': 0}, 'first_side must be 1 or 3, got 0'),
    ],
)
def test_layers_that_cannot_be_are_refused(config: dict, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        Student(**config)


@pytest.mark.parametrize('name', ['width', 'factor', 'depth'])
def test_a_size_below_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match='must be 1 or more'):
        Student(**{name: 0})
