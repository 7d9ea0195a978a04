"""CLIPFusion and its prompts: the 2-D form equals the 3-D one; prompts are unit vectors."""

from pathlib import Path

from ir_vis_fusion.checkpoint import load_checkpoint, save_checkpoint
from ir_vis_fusion.models.clipfusion import CLIPFusion, SliceConv, SlicePReLU
from ir_vis_fusion.models.prompts import KINDS, PromptNetwork
from ir_vis_fusion.models.registry import build, count_macs, count_parameters
import pytest
import torch
from torch import nn, Tensor

SMALL = {'width': 4, 'dilations': [1, 2]}


def frames(height: int, width: int, batch: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(height * width)
    vis_y, ir = torch.rand(2, batch, 1, height, width, generator=generator)
    return vis_y, ir


@pytest.fixture
def network() -> CLIPFusion:
    torch.manual_seed(0)
    return CLIPFusion(**SMALL).eval()


@pytest.mark.parametrize(('height', 'width'), [(32, 32), (33, 47), (64, 80)])
def test_the_result_has_the_size_and_range_of_the_sources(
    network: CLIPFusion, height: int, width: int
) -> None:
    nn.init.normal_(network.head[-1].weight)
    with torch.inference_mode():
        fused = network(*frames(height, width, batch=2))
    assert fused.shape == (2, 1, height, width)
    assert fused.min() >= 0.0
    assert fused.max() <= 1.0
    assert fused.std() > 0.01


def test_it_has_as_many_parameters_as_its_layers_say() -> None:
    """3-D: 1 -> 16, three times 16 -> 16, 16 -> 32; 2-D: 32 -> 32 -> 1; slopes by channel."""
    volume = (16 * 27 + 16) + 3 * (16 * 16 * 27 + 16) + (16 * 32 * 27 + 32)
    plane = (32 * 32 * 9 + 32) + (32 * 9 + 1)
    slopes = 4 * 16 + 2 * 32
    assert count_parameters(build('clipfusion', {})) == volume + plane + slopes == 44_753


def test_the_docstring_gives_its_cost() -> None:
    assert count_macs(CLIPFusion(), 480, 640) == pytest.approx(26.7e9, abs=0.05e9)


def test_gradients_reach_every_parameter_and_both_sources(network: CLIPFusion) -> None:
    vis_y, ir = (frame.requires_grad_() for frame in frames(40, 48))
    network.train()(vis_y, ir).square().mean().backward()
    for tensor in (vis_y, ir, *network.parameters()):
        assert tensor.grad is not None
        assert tensor.grad.abs().sum() > 0


def in_3d(layers: nn.Sequential, volume: Tensor) -> Tensor:
    """Run layers as torch's own 3-D ones."""
    for layer in layers:
        if isinstance(layer, SliceConv):
            volume = nn.Conv3d.forward(layer, volume)
        elif isinstance(layer, SlicePReLU):
            volume = nn.PReLU.forward(layer, volume)
        else:
            volume = layer(volume.squeeze(2) if volume.dim() == 5 else volume)
    return volume


def test_the_network_and_its_2d_copy_equal_the_3d_convolutions() -> None:
    torch.manual_seed(0)
    network = CLIPFusion().eval()
    for name, parameter in network.named_parameters():
        if parameter.dim() == 1 and name.endswith('weight'):
            nn.init.uniform_(parameter, 0.0, 0.5)
    vis_y, ir = frames(37, 45, batch=2)
    with torch.inference_mode():
        volume = in_3d(network.entry, torch.stack((ir, vis_y, ir), 2))
        for block in network.blocks:
            volume = volume + in_3d(block, volume)
        expected = in_3d(network.head, volume).sigmoid()
        torch.testing.assert_close(network(vis_y, ir), expected, rtol=0, atol=1e-5)
        torch.testing.assert_close(network.as_2d()(vis_y, ir), expected, rtol=0, atol=1e-5)


def test_the_2d_copy_is_made_of_ordinary_layers_and_shares_no_weights(
    network: CLIPFusion,
) -> None:
    planar = network.as_2d()
    kinds = {type(module) for module in planar.modules()}
    assert kinds == {type(planar), nn.ModuleList, nn.Sequential, nn.Conv2d, nn.PReLU}
    assert not isinstance(planar, CLIPFusion)
    before = planar(*frames(32, 32))
    for parameter in network.parameters():
        nn.init.zeros_(parameter)
    assert torch.equal(planar(*frames(32, 32)), before)


def test_under_autocast_the_result_is_float32() -> None:
    torch.manual_seed(0)
    network = CLIPFusion(**SMALL)
    with torch.autocast('cpu', torch.bfloat16):
        fused = network(*frames(32, 40))
    assert fused.dtype == torch.float32
    torch.testing.assert_close(fused, network(*frames(32, 40)), rtol=0, atol=0.02)


def test_a_checkpoint_gives_the_same_network(network: CLIPFusion, tmp_path: Path) -> None:
    path = tmp_path / 'clipfusion.safetensors'
    save_checkpoint(path, network, 'clipfusion', SMALL, {}, {})
    vis_y, ir = frames(40, 48)
    with torch.inference_mode():
        assert torch.equal(load_checkpoint(path).model(vis_y, ir), network(vis_y, ir))


@pytest.mark.parametrize('config', [{'width': 0}, {'dilations': [1, 0]}])
def test_a_size_below_one_is_refused(config: dict) -> None:
    with pytest.raises(ValueError, match='must be 1 or more'):
        CLIPFusion(**config)


def embeddings(count: int, features: int) -> Tensor:
    return torch.randn(count, features, generator=torch.Generator().manual_seed(count))


def test_prompts_are_unit_vectors_whatever_their_parameters() -> None:
    prompts = PromptNetwork(32)
    nn.init.normal_(prompts.prompts, std=7.0)
    assert prompts().shape == (len(KINDS), 32)
    assert prompts(embeddings(5, 32)).shape == (5, len(KINDS), 32)
    for vectors in (prompts(), prompts(embeddings(5, 32))):
        torch.testing.assert_close(vectors.norm(dim=-1), torch.ones(vectors.shape[:-1]))


def test_conditioning_moves_all_prompts_by_a_tenth_of_the_offset() -> None:
    """The bias of a zeroed layer is the offset: t = u(p + 0.1 b)."""
    prompts = PromptNetwork(4)
    prompts.prompts.data = 5 * torch.eye(4)[:3]
    nn.init.zeros_(prompts.offset[-1].weight)
    prompts.offset[-1].bias.data = torch.tensor([0.0, 0.0, 0.0, 10.0])
    expected = (torch.eye(4)[:3] + torch.eye(4)[3]) / 2**0.5
    torch.testing.assert_close(prompts(embeddings(2, 4))[1], expected)


def test_without_conditioning_every_image_has_the_same_prompts() -> None:
    prompts = PromptNetwork(16, hidden=0)
    assert count_parameters(prompts) == 3 * 16
    assert torch.equal(prompts(embeddings(5, 16)), prompts())


def test_the_bank_names_the_prompts() -> None:
    prompts = PromptNetwork(16)
    bank = prompts.bank()
    assert tuple(bank) == KINDS
    assert torch.equal(torch.stack(list(bank.values())), prompts())
    assert not bank['fu'].requires_grad


def test_gradients_reach_every_parameter_of_the_prompts() -> None:
    prompts = PromptNetwork(16, 8)
    prompts(embeddings(5, 16))[..., 0].sum().backward()
    for parameter in prompts.parameters():
        assert parameter.grad.abs().sum() > 0
