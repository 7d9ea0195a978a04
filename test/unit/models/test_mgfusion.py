"""MGFusion: shapes, ablations, how CLIP's features enter."""

from pathlib import Path

from ir_vis_fusion.checkpoint import load_checkpoint, save_checkpoint
from ir_vis_fusion.models.mgfusion import FeatureMean, GatedFusion, Injection, MGFusion
from ir_vis_fusion.models.registry import build
import pytest
import torch
from torch import nn, Tensor

SMALL = {
    'channels': 8,
    'encoder_blocks': 1,
    'decoder_blocks': 1,
    'heads': 2,
    'clip_features': 16,
}
ABLATIONS = [(True, True), (True, False), (False, True), (False, False)]


def inputs(height: int = 32, width: int = 40, features: int = 16) -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(height * width)
    vis_y, ir = torch.rand(2, 2, 1, height, width, generator=generator)
    vis_features, ir_features = torch.randn(2, 2, features, generator=generator)
    return vis_y, ir, vis_features, ir_features


def small(**changes: bool) -> MGFusion:
    torch.manual_seed(0)
    return MGFusion(**SMALL, **changes).eval()


@pytest.mark.parametrize(('cii', 'cff'), ABLATIONS)
@pytest.mark.parametrize(('height', 'width'), [(32, 32), (35, 47), (64, 80)])
def test_the_result_has_the_size_of_the_sources_and_lies_in_range(
    cii: bool, cff: bool, height: int, width: int
) -> None:
    with torch.inference_mode():
        fused = small(cii=cii, cff=cff)(*inputs(height, width))
    assert fused.shape == (2, 1, height, width)
    assert fused.min() >= 0.0
    assert fused.max() <= 1.0


def test_the_full_size_network_takes_its_example_inputs() -> None:
    model = build('mgfusion', {}).eval()
    with torch.inference_mode():
        assert model(*model.example_inputs(33, 37)).shape == (1, 1, 33, 37)


@pytest.mark.parametrize(('cii', 'cff'), ABLATIONS)
def test_gradients_reach_every_parameter_and_both_sources(cii: bool, cff: bool) -> None:
    model = small(cii=cii, cff=cff).train()
    vis_y, ir, *features = inputs()
    vis_y.requires_grad_()
    ir.requires_grad_()
    model(vis_y, ir, *features).square().mean().backward()
    sources = {'vis_y': vis_y, 'ir': ir}
    for name, tensor in (sources | dict(model.named_parameters())).items():
        assert tensor.grad is not None, name
        assert tensor.grad.abs().sum() > 0, name


def test_without_both_ablated_parts_no_features_are_needed() -> None:
    model = small(cii=False, cff=False)
    vis_y, ir, *features = inputs()
    assert model.guidance == ()
    assert not any('mean' in name for name, _ in model.named_buffers() if 'running' not in name)
    with torch.inference_mode():
        assert torch.equal(model(vis_y, ir), model(vis_y, ir, *features))


@pytest.mark.parametrize(('cii', 'cff'), ABLATIONS[:3])
def test_the_mean_of_the_training_stands_in_for_missing_features(cii: bool, cff: bool) -> None:
    model = small(cii=cii, cff=cff)
    vis_y, ir, *features = inputs()
    model.train()(vis_y, ir, *features)
    model.eval()
    vis_mean, ir_mean = (nn.functional.normalize(x, dim=1).mean(0, keepdim=True) for x in features)
    assert model.guidance == ('vis_features', 'ir_features')
    with torch.inference_mode():
        expected = model(vis_y, ir, vis_mean, ir_mean)
        torch.testing.assert_close(model(vis_y, ir), expected)
        torch.testing.assert_close(model(vis_y, ir, ir_features=ir_mean), expected)


def test_the_mean_copies_the_first_batch_and_moves_by_a_hundredth() -> None:
    """Unit vectors: (1, 0) and (0, 1) have the mean 1/2; then 0.99 * 1/2 + 0.01 * (1, 0)."""
    mean = FeatureMean(2)
    assert mean(None).tolist() == [[0.0, 0.0]]
    mean(torch.tensor([[3.0, 0.0], [0.0, 0.1]]))
    torch.testing.assert_close(mean.mean, torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(mean(None), torch.tensor([[1.0, 1.0]]))
    mean(torch.tensor([[5.0, 0.0]]))
    torch.testing.assert_close(mean.mean, torch.tensor([0.505, 0.495]))
    mean(None)
    mean.eval()(torch.tensor([[0.0, 1.0]]))
    torch.testing.assert_close(mean.mean, torch.tensor([0.505, 0.495]))


@pytest.mark.parametrize(('cii', 'cff'), ABLATIONS[:3])
@pytest.mark.parametrize('index', [2, 3])
def test_the_features_of_either_image_change_the_result(cii: bool, cff: bool, index: int) -> None:
    model, given = small(cii=cii, cff=cff), list(inputs())
    with torch.inference_mode():
        before = model(*given)
        given[index] = given[index].roll(1, dims=1)
        assert not torch.allclose(before, model(*given))


def test_the_length_of_the_embeddings_does_not_matter() -> None:
    model = small()
    vis_y, ir, vis_features, ir_features = inputs()
    with torch.inference_mode():
        expected = model(vis_y, ir, vis_features, ir_features)
        scaled = model(vis_y, ir, 10.0 * vis_features, 0.1 * ir_features)
    torch.testing.assert_close(scaled, expected)


def test_one_embedding_serves_a_batch() -> None:
    model = small()
    vis_y, ir, *features = inputs()
    one = [x[:1] for x in features]
    with torch.inference_mode():
        expected = model(vis_y, ir, *(x.expand(2, -1) for x in one))
        torch.testing.assert_close(model(vis_y, ir, *one), expected)


def test_injection_starts_from_the_mean_of_both_embeddings() -> None:
    """sigmoid(0) = 1/2: exchanging the embeddings changes nothing."""
    torch.manual_seed(0)
    injection = Injection(8, 16)
    x = torch.rand(2, 8, 5, 5)
    *_, vis_features, ir_features = inputs()
    torch.testing.assert_close(
        injection(x, vis_features, ir_features), injection(x, ir_features, vis_features)
    )


def test_injection_adds_the_gated_adapter_output_to_every_pixel() -> None:
    """With A = (1, 2) and SEP = 0: x + sigmoid(0) * (1, 2)."""
    injection = Injection(2, 16)
    nn.init.zeros_(injection.adapter[-1].weight)
    injection.adapter[-1].bias.data = torch.tensor([1.0, 2.0])
    nn.init.zeros_(injection.gate[-1].weight)
    nn.init.zeros_(injection.gate[-1].bias)
    x = torch.rand(2, 2, 5, 5)
    *_, vis_features, ir_features = inputs()
    expected = x + torch.tensor([0.5, 1.0]).view(1, 2, 1, 1)
    torch.testing.assert_close(injection(x, vis_features, ir_features), expected)


def test_fusion_starts_near_a_plain_concatenation() -> None:
    torch.manual_seed(0)
    fusion = GatedFusion(32, 512)
    features = torch.randn(64, 512)
    for adapter in (fusion.vis_adapter, fusion.ir_adapter):
        assert (adapter(features) - 1.0).abs().max() < 0.3


def test_fusion_joins_infrared_first_and_adds_the_gated_map() -> None:
    """With IRA = 2, VIA = 3 and SAWP = 0: 1.5 * [2 ir, 3 vis]."""
    fusion = GatedFusion(2, 16)
    for adapter, value in ((fusion.ir_adapter, 2.0), (fusion.vis_adapter, 3.0)):
        nn.init.zeros_(adapter[-1].weight)
        nn.init.constant_(adapter[-1].bias, value)
    nn.init.zeros_(fusion.gate[-1].weight)
    nn.init.zeros_(fusion.gate[-1].bias)
    vis_map, ir_map = torch.rand(2, 2, 2, 5, 5)
    *_, vis_features, ir_features = inputs()
    joined = fusion(vis_map, ir_map, vis_features, ir_features)
    torch.testing.assert_close(joined, torch.cat((3.0 * ir_map, 4.5 * vis_map), dim=1))


def test_the_gate_of_the_fusion_sees_edges_only() -> None:
    """On even maps Sobel is zero, so that every pixel gets the same gate, of SAWP's biases."""
    torch.manual_seed(0)
    fusion = GatedFusion(2, 16)
    *_, vis_features, ir_features = inputs()
    level = [torch.full((2, 2, 9, 9), value) for value in (0.2, 0.7)]
    joined = fusion(*level, vis_features, ir_features)
    brighter = fusion(*(2.0 * x for x in level), vis_features, ir_features)
    torch.testing.assert_close(brighter[..., 4, 4], 2.0 * joined[..., 4, 4])


@pytest.mark.parametrize(('cii', 'cff'), ABLATIONS)
def test_a_checkpoint_gives_the_same_network_back(tmp_path: Path, cii: bool, cff: bool) -> None:
    model, config = small(cii=cii, cff=cff), {**SMALL, 'cii': cii, 'cff': cff}
    model.train()(*inputs())
    model.eval()
    save_checkpoint(tmp_path / 'm.safetensors', model, 'mgfusion', config, {}, {})
    loaded = load_checkpoint(tmp_path / 'm.safetensors').model
    assert isinstance(loaded, MGFusion)
    with torch.inference_mode():
        assert torch.equal(loaded(*inputs()), model(*inputs()))
        assert torch.equal(loaded(*inputs()[:2]), model(*inputs()[:2]))


@pytest.mark.parametrize('change', [{'channels': 0}, {'heads': 3}, {'clip_features': 3}])
def test_a_size_that_does_not_fit_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match='must be'):
        MGFusion(**{**SMALL, **change})
