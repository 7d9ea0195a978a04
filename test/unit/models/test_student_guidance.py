"""Guidance of the student: none by default, none at the start, some once trained."""

from pathlib import Path

from ir_vis_fusion.checkpoint import load_checkpoint, resolve, save_checkpoint
from ir_vis_fusion.models.registry import build, count_macs, count_parameters
from ir_vis_fusion.models.student import Student
import pytest
import torch
from torch import nn, Tensor

SMALL = {'width': 8, 'depth': 2, 'guidance_features': 24}


def frames(height: int, width: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(height * width)
    vis_y, ir = torch.rand(2, batch, 1, height, width, generator=generator)
    return vis_y, ir


def vectors(batch: int, features: int) -> Tensor:
    return torch.randn(batch, features, generator=torch.Generator().manual_seed(batch))


def trained() -> Student:
    """Stand in for a student that has learned to use its guidance."""
    torch.manual_seed(0)
    student = Student(**SMALL).eval()
    nn.init.normal_(student.film[-1].weight)
    return student


def test_the_shipped_weights_load_with_guidance_and_without_change() -> None:
    """Only the FiLM is new, and it starts as identity, to the last bit."""
    shipped = load_checkpoint(resolve('student'))
    plain = shipped.model
    guided = Student(**{**shipped.config, 'guidance_features': 512}).eval()
    result = guided.load_state_dict(plain.state_dict(), strict=False)
    assert not result.unexpected_keys
    assert all(key.startswith('film.') for key in result.missing_keys)
    vis_y, ir = frames(64, 80, batch=2)
    with torch.inference_mode():
        expected = plain(vis_y, ir)
        assert torch.equal(guided(vis_y, ir), expected)
        assert torch.equal(guided(vis_y, ir, vectors(2, 512)), expected)


def test_without_guidance_features_nothing_is_added() -> None:
    assert Student().state_dict().keys() == Student(guidance_features=0).state_dict().keys()
    assert not any(key.startswith('film') for key in Student().state_dict())


def test_the_film_is_small() -> None:
    """512 -> 16 -> gain and bias of four layers of 32 channels."""
    guided, plain = (count_parameters(Student(guidance_features=e)) for e in (512, 0))
    assert guided - plain == (512 * 16 + 16) + (16 * 256 + 256) == 12_560
    assert count_macs(Student(guidance_features=512), 480, 640) - count_macs(
        Student(), 480, 640
    ) == (512 * 16 + 16 * 256)


@pytest.mark.parametrize(('height', 'width'), [(32, 32), (33, 47)])
def test_the_result_has_the_size_and_range_of_the_sources(height: int, width: int) -> None:
    with torch.inference_mode():
        fused = trained()(*frames(height, width, batch=2), vectors(2, 24))
    assert fused.shape == (2, 1, height, width)
    assert fused.min() >= 0.0
    assert fused.max() <= 1.0


def test_each_sample_follows_its_own_vector_whose_length_does_not_count() -> None:
    student, (vis_y, ir), guidance = trained(), frames(32, 40), vectors(2, 24)
    with torch.inference_mode():
        both = student(vis_y.expand(2, -1, -1, -1), ir.expand(2, -1, -1, -1), guidance)
        longer = student(vis_y, ir, 9 * guidance[1:])
    assert (both[0] - both[1]).abs().max() > 0.01
    torch.testing.assert_close(longer, both[1:])


def test_a_row_of_zeros_is_the_plain_student() -> None:
    student = trained()
    nn.init.normal_(student.film[-1].bias)
    vis_y, ir = frames(32, 40, batch=2)
    guidance = torch.cat((vectors(1, 24), torch.zeros(1, 24)))
    with torch.inference_mode():
        fused, plain = student(vis_y, ir, guidance), student(vis_y, ir)
    torch.testing.assert_close(fused[1], plain[1])
    assert (fused[0] - plain[0]).abs().max() > 0.01


def test_it_says_what_guides_it() -> None:
    assert Student().guidance == ()
    assert Student(guidance_features=24).guidance == ('vis_features',)
    assert Student(guidance_features=24, guided_by='text_features').guidance == ('text_features',)
    with pytest.raises(ValueError, match="one of vis_features, text_features, got 'sound'"):
        Student(guidance_features=24, guided_by='sound')


def test_the_modulation_is_a_gain_and_a_bias_before_the_relu() -> None:
    """Gain 2 and bias 1 of one layer, folded into its convolution, give the same."""
    torch.manual_seed(0)
    guided, folded = (Student(8, 4, 1, guidance_features=24).eval() for _ in range(2))
    folded.load_state_dict(guided.state_dict())
    guided.film[-1].bias.data = torch.cat((torch.ones(8), torch.full((8,), 1.0)))
    folded.body[0].weight.data *= 2
    folded.body[0].bias.data = 2 * folded.body[0].bias.data + 1
    vis_y, ir = frames(32, 40)
    with torch.inference_mode():
        torch.testing.assert_close(guided(vis_y, ir, vectors(1, 24)), folded(vis_y, ir))


def test_gradients_reach_the_zeroed_layer_at_once_and_then_every_parameter() -> None:
    vis_y, ir = frames(36, 36)
    fresh = Student(**SMALL)
    fresh(vis_y, ir, vectors(1, 24)).square().mean().backward()
    assert fresh.film[-1].weight.grad.abs().sum() > 0
    student = trained().train()
    guidance = vectors(1, 24).requires_grad_()
    student(vis_y, ir, guidance).square().mean().backward()
    for tensor in (guidance, *student.parameters()):
        assert tensor.grad is not None
        assert tensor.grad.abs().sum() > 0


def test_under_autocast_the_result_is_float32() -> None:
    torch.manual_seed(0)
    network = trained()
    with torch.autocast('cpu', torch.bfloat16):
        fused = network(*frames(32, 40), vectors(1, 24))
    assert fused.dtype == torch.float32
    torch.testing.assert_close(fused, network(*frames(32, 40), vectors(1, 24)), rtol=0, atol=0.02)


def test_a_checkpoint_gives_the_same_network(tmp_path: Path) -> None:
    path, student = tmp_path / 'guided.safetensors', trained()
    save_checkpoint(path, student, 'student', SMALL, {}, {})
    inputs = (*frames(40, 48), vectors(1, 24))
    with torch.inference_mode():
        assert torch.equal(load_checkpoint(path).model(*inputs), student(*inputs))


def test_a_plain_student_takes_no_guidance() -> None:
    with pytest.raises(ValueError, match='without guidance_features takes no guidance'):
        Student()(*frames(32, 32), vectors(1, 24))


def test_guidance_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r'must be \(B, 24\), got \(1, 25\)'):
        build('student', SMALL)(*frames(32, 32), vectors(1, 25))


def test_a_negative_length_is_refused() -> None:
    with pytest.raises(ValueError, match='0 or more'):
        Student(guidance_features=-1)
