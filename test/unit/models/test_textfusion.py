"""TextFusion: shapes, colour, text as modulation, attention of linear cost."""

from pathlib import Path

from ir_vis_fusion.checkpoint import load_checkpoint, save_checkpoint
from ir_vis_fusion.models.registry import build, count_macs
from ir_vis_fusion.models.textfusion import (
    assemble,
    CHROMA_LIMIT,
    CrossAttention,
    enlarge,
    partition,
    recolour,
    TextFusion,
)
import pytest
import torch
from torch import nn, Tensor

SMALL = {'channels': 8, 'blocks': [1, 1, 1], 'text_features': 16, 'text_hidden': 8}


def inputs(height: int = 40, width: int = 48) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(height * width)
    vis = torch.rand(2, 3, height, width, generator=generator)
    ir = torch.rand(2, 1, height, width, generator=generator)
    return vis, ir, torch.randn(2, 16, generator=generator)


def small(modulating: bool = False) -> TextFusion:
    """Build a small network, with FiLM still at identity or as if it had been trained."""
    torch.manual_seed(0)
    model = TextFusion(**SMALL).eval()
    if modulating:
        for film in model.film:
            nn.init.normal_(film.layers[-1].weight, std=0.1)
            nn.init.normal_(film.layers[-1].bias, std=0.1)
    return model


def chroma(rgb: Tensor) -> Tensor:
    """Return Cb and Cr of BT.601 by their textbook matrix, without offset."""
    matrix = torch.tensor([[-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]])
    return torch.einsum('ij,bjhw->bihw', matrix, rgb)


@pytest.mark.parametrize(('height', 'width'), [(32, 32), (33, 47), (64, 80), (71, 129)])
def test_the_result_is_colour_of_the_size_of_the_sources(height: int, width: int) -> None:
    with torch.inference_mode():
        fused = small()(*inputs(height, width))
    assert fused.shape == (2, 3, height, width)
    assert fused.min() >= 0.0
    assert fused.max() <= 1.0


def test_the_full_size_network_takes_its_example_inputs() -> None:
    model = build('textfusion', {}).eval()
    with torch.inference_mode():
        assert model(*model.example_inputs(33, 37)).shape == (1, 3, 33, 37)


def test_gradients_reach_every_parameter_and_both_sources() -> None:
    model = small(modulating=True).train()
    vis, ir, text = inputs()
    vis.requires_grad_()
    ir.requires_grad_()
    model(vis, ir, text).square().mean().backward()
    sources = {'vis': vis, 'ir': ir}
    for name, tensor in (sources | dict(model.named_parameters())).items():
        assert tensor.grad is not None, name
        assert tensor.grad.abs().sum() > 0, name


def test_text_changes_nothing_before_training() -> None:
    model = small()
    vis, ir, text = inputs()
    with torch.inference_mode():
        assert torch.equal(model(vis, ir, text), model(vis, ir))


def test_trained_text_changes_the_result_of_its_sample_only() -> None:
    model = small(modulating=True)
    vis, ir, text = inputs()
    text[1] = 0.0
    with torch.inference_mode():
        with_text, without = model(vis, ir, text), model(vis, ir)
    assert (with_text[0] - without[0]).abs().max() > 1e-3
    assert torch.equal(with_text[1], without[1])


def test_one_text_serves_a_batch_and_its_length_does_not_matter() -> None:
    model = small(modulating=True)
    vis, ir, text = inputs()
    with torch.inference_mode():
        expected = model(vis, ir, text[:1].expand(2, -1))
        torch.testing.assert_close(model(vis, ir, 10.0 * text[:1]), expected)


def test_the_chroma_stays_near_that_of_the_visible_image() -> None:
    """Even with wild weights; in training, where nothing is clamped."""
    model = small().train()
    nn.init.normal_(model.head[-1].weight, std=10.0)
    vis, ir, _ = inputs()
    with torch.inference_mode():
        shift = (chroma(model(vis, ir)) - chroma(vis)).abs()
    assert shift.max() <= CHROMA_LIMIT + 1e-4
    assert shift.max() > 0.9 * CHROMA_LIMIT


def test_recolouring_with_its_own_luma_gives_the_image_back() -> None:
    vis, *_ = inputs()
    luma = torch.einsum('j,bjhw->bhw', torch.tensor([0.299, 0.587, 0.114]), vis)[:, None]
    none = torch.zeros(1, 2, 1, 1)
    torch.testing.assert_close(recolour(vis, luma, none), vis)
    brighter = recolour(vis, luma + 0.25, none)
    torch.testing.assert_close(brighter, vis + 0.25)


def test_enlarging_starts_without_a_grid() -> None:
    """The four pixels that a pixel becomes are alike."""
    large = enlarge(4, 3)(torch.randn(2, 4, 5, 6))
    assert large.shape == (2, 3, 10, 12)
    small = large[..., ::2, ::2]
    assert torch.equal(large, small.repeat_interleave(2, -1).repeat_interleave(2, -2))


def test_windows_hold_neighbours_and_assemble_to_the_map() -> None:
    x = torch.arange(2 * 3 * 16 * 24.0).view(2, 3, 16, 24)
    windows = partition(x, 8)
    assert windows.shape == (2 * 2 * 3, 64, 3)
    assert torch.equal(windows[1], x[0, :, :8, 8:16].flatten(1).T)
    assert torch.equal(assemble(windows, 8, 16, 24), x)


def test_attention_near_by_stays_in_its_window() -> None:
    """Without the pooled tokens a change reaches the 8x8 pixels around it and no others."""
    torch.manual_seed(0)
    attention = CrossAttention(8, 2)
    query, key, value = torch.randn(3, 1, 8, 20, 24)
    before = attention._near(query, key, value)
    value[..., 3, 10] += 1.0
    changed = (attention._near(query, key, value) != before).any(dim=1)[0]
    expected = torch.zeros(20, 24, dtype=torch.bool)
    expected[:8, 8:16] = True
    assert torch.equal(changed, expected)


def test_attention_far_away_reaches_every_pixel() -> None:
    torch.manual_seed(0)
    attention = CrossAttention(8, 2)
    x, y = torch.randn(2, 1, 8, 20, 24)
    before = attention(x, y)
    y[..., 0, 0] += 5.0
    assert (attention(x, y) != before).any(dim=1).all()


def test_the_cost_of_attention_is_linear_in_the_pixels() -> None:
    """
    Three times the pixels add twice the cost of one, beside the 256 tokens' fixed cost.

    A pixel meets 64 others, for scores and for values; 4 C^2 for query, key, value and result.
    Pooling a map of a channel is a product with 16 rows, and one of the result with 16 columns.
    """

    class Both(CrossAttention):
        def example_inputs(self, height: int, width: int) -> tuple[Tensor, Tensor]:
            return torch.zeros(1, 8, height, width), torch.zeros(1, 8, height, width)

    model = Both(8, 2)
    tokens = 2 * 256 * 256 * 8
    for height in (16, 32, 48):
        pooling = 3 * 8 * (16 * height * 24 + 16 * 16 * 24)
        pixels = height * 24 * (2 * 64 * 8 + 4 * 8 * 8)
        assert count_macs(model, height, 24) == tokens + pooling + pixels


def test_a_checkpoint_gives_the_same_network_back(tmp_path: Path) -> None:
    model = small(modulating=True)
    save_checkpoint(tmp_path / 't.safetensors', model, 'textfusion', SMALL, {}, {})
    loaded = load_checkpoint(tmp_path / 't.safetensors').model
    assert isinstance(loaded, TextFusion)
    with torch.inference_mode():
        assert torch.equal(loaded(*inputs()), model(*inputs()))


@pytest.mark.parametrize('change', [{'channels': 0}, {'blocks': [2, 2]}, {'heads': 3}])
def test_a_size_that_does_not_fit_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match='must be'):
        TextFusion(**{**SMALL, **change})
