"""LDFusion: any size, its counted parameters, AdaIN's statistics, no shift."""

from pathlib import Path

from ir_vis_fusion.checkpoint import load_checkpoint, save_checkpoint
from ir_vis_fusion.models.ldfusion import adain, LDFusion, SampleNorm
from ir_vis_fusion.models.registry import build, count_macs, count_parameters
import pytest
import torch
from torch import nn, Tensor

SMALL = {'width': 4, 'hidden': 16}


def frames(height: int, width: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(height * width)
    vis_y, ir = torch.rand(2, batch, 1, height, width, generator=generator)
    return vis_y, ir


@pytest.fixture
def network() -> LDFusion:
    torch.manual_seed(0)
    return LDFusion(**SMALL).eval()


@pytest.mark.parametrize(('height', 'width'), [(32, 32), (33, 47), (64, 80), (63, 41)])
def test_the_result_has_the_size_and_range_of_the_sources(
    network: LDFusion, height: int, width: int
) -> None:
    nn.init.normal_(network.paint[-1].weight)
    with torch.inference_mode():
        fused = network(*frames(height, width, batch=2))
    assert fused.shape == (2, 1, height, width)
    assert fused.min() >= 0.0
    assert fused.max() <= 1.0
    assert fused.std() > 0.1


def test_it_has_the_parameters_of_the_public_code_but_for_taps_and_biases() -> None:
    """25 - 16 taps of three layers; biases of 2 x (4 + 4) layers and of 4 AdaIN layers."""
    taps = 9 * (256 * 128 + 128 * 64 + 64 * 32)
    biases = 2 * (16 + 32 + 64 + 128 + 4 * 128) + 4 * 256
    expected = 5_776_977 - taps - biases
    assert count_parameters(build('ldfusion', {})) == expected == 5_387_377


def test_the_docstring_gives_its_cost() -> None:
    assert count_macs(LDFusion(), 480, 640) == pytest.approx(32.9e9, abs=0.05e9)


def test_gradients_reach_every_parameter_and_both_sources() -> None:
    torch.manual_seed(0)
    network = LDFusion(**SMALL)
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.kaiming_normal_(module.weight)
    vis_y, ir = (frame.requires_grad_() for frame in frames(64, 80, batch=2))
    network(vis_y, ir).square().mean().backward()
    for name, tensor in [('vis_y', vis_y), ('ir', ir), *network.named_parameters()]:
        assert tensor.grad is not None, name
        assert tensor.grad.abs().max() > 1e-6, name


def test_adain_sets_mean_and_deviation_of_each_channel() -> None:
    generator = torch.Generator().manual_seed(0)
    content = 3 + 2 * torch.randn(2, 4, 16, 16, generator=generator)
    bias, scale = torch.rand(2, 2, 4, generator=generator)
    std, mean = torch.std_mean(adain(content, bias, scale), dim=(2, 3), correction=0)
    torch.testing.assert_close(mean, bias)
    torch.testing.assert_close(std, scale, rtol=1e-4, atol=1e-4)


def test_the_layer_norm_runs_over_channels_and_pixels_of_a_sample() -> None:
    """Of 0, 2, 4, 6: mean 3, unbiased deviation sqrt(20 / 3)."""
    norm = SampleNorm(2)
    nn.init.constant_(norm.gain, 2.0)
    nn.init.constant_(norm.bias, 1.0)
    image = torch.tensor([0.0, 2.0, 4.0, 6.0]).reshape(1, 2, 1, 2)
    expected = (image - 3) / (20 / 3) ** 0.5 * 2 + 1
    torch.testing.assert_close(norm(image), expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(norm(torch.cat((image, 9 * image)))[:1], norm(image))


def test_a_mirrored_pair_gives_the_mirrored_result() -> None:
    """With kernels that are their own mirror image: a network with a shift would fail."""
    torch.manual_seed(0)
    network = LDFusion(**SMALL).double()
    for parameter in network.parameters():
        if parameter.dim() == 4:
            parameter.data = parameter.data + parameter.data.flip(2, 3)
    vis_y, ir = (frame.double() for frame in frames(64, 80))
    with torch.inference_mode():
        straight = network(vis_y, ir)
        mirrored = network(vis_y.flip(2, 3), ir.flip(2, 3))
    assert straight.std() > 1e-4
    torch.testing.assert_close(mirrored.flip(2, 3), straight)


def test_under_autocast_the_result_is_float32() -> None:
    torch.manual_seed(0)
    network = LDFusion(**SMALL)
    with torch.autocast('cpu', torch.bfloat16):
        fused = network(*frames(32, 40))
    assert fused.dtype == torch.float32
    torch.testing.assert_close(fused, network(*frames(32, 40)), rtol=0, atol=0.02)


def test_a_checkpoint_gives_the_same_network(network: LDFusion, tmp_path: Path) -> None:
    path = tmp_path / 'ldfusion.safetensors'
    save_checkpoint(path, network, 'ldfusion', SMALL, {}, {})
    vis_y, ir = frames(40, 48)
    with torch.inference_mode():
        assert torch.equal(load_checkpoint(path).model(vis_y, ir), network(vis_y, ir))


@pytest.mark.parametrize('name', ['width', 'blocks', 'style', 'hidden'])
def test_a_size_below_one_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match='must be 1 or more'):
        LDFusion(**{name: 0})
