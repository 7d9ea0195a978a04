"""Shared parts: the Restormer block, Sobel, FiLM, padding."""

from ir_vis_fusion.models.blocks import (
    BiasFreeLayerNorm,
    Film,
    GatedFeedForward,
    pad_to_multiple,
    RestormerBlock,
    SobelMagnitude,
    TransposedAttention,
    unit_rms,
)
import pytest
import torch
from torch import nn, Tensor
from torch.nn import functional


def noise(*shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


def test_the_layer_norm_divides_by_the_deviation_and_keeps_the_mean() -> None:
    """Channels 1 and 3 have mean 2 and standard deviation 1; the weight doubles the second."""
    norm = BiasFreeLayerNorm(2)
    nn.init.constant_(norm.weight[1], 2.0)
    result = norm(torch.tensor([1.0, 3.0]).view(1, 2, 1, 1))
    torch.testing.assert_close(result.flatten(), torch.tensor([1.0, 6.0]), rtol=1e-5, atol=0)


def test_attention_over_one_channel_passes_the_value() -> None:
    """The softmax of a 1x1 attention map is 1."""
    attention = TransposedAttention(1, 1)
    x = noise(1, 1, 5, 7)
    value = attention.qkv(x)[:, 2:]
    torch.testing.assert_close(attention(x), attention.project(value))


def test_attention_weighs_channels_by_their_correlation() -> None:
    """Written out for each head and channel pair, from Restormer eq. (1)."""
    torch.manual_seed(0)
    attention = TransposedAttention(4, 2)
    nn.init.constant_(attention.temperature, 3.0)
    x = noise(1, 4, 6, 5)
    query, key, value = attention.qkv(x)[0].flatten(1).chunk(3)
    mixed = torch.empty(4, 30)
    for head in ([0, 1], [2, 3]):
        for row in head:
            scores = [3.0 * functional.cosine_similarity(query[row], key[c], 0) for c in head]
            weights = torch.stack(scores).softmax(0)
            mixed[row] = weights[0] * value[head[0]] + weights[1] * value[head[1]]
    torch.testing.assert_close(attention(x), attention.project(mixed.view(1, 4, 6, 5)))


def test_channels_that_heads_do_not_divide_are_refused() -> None:
    with pytest.raises(ValueError, match=r'channels \(6\) must be a multiple of heads \(4\)'):
        TransposedAttention(6, 4)


def test_the_feed_forward_network_gates_with_gelu() -> None:
    """With all weights such that both paths are x: GELU(x) * x."""
    network = GatedFeedForward(1, 1.0)
    for layer in network.expand:
        nn.init.zeros_(layer.weight)
        layer.weight.data[..., layer.kernel_size[0] // 2, layer.kernel_size[1] // 2] = 1.0
    nn.init.ones_(network.project.weight)
    x = noise(1, 1, 4, 4)
    torch.testing.assert_close(network(x), functional.gelu(x) * x)


def test_a_restormer_block_has_the_parameters_of_its_equations() -> None:
    """Two norms; MDTA 4C^2 + 27C + heads; GDFN 3hC + 18h with h = int(2.66 * 32) = 85."""
    count = sum(parameter.numel() for parameter in RestormerBlock(32, 4).parameters())
    attention = 4 * 32**2 + 27 * 32 + 4
    feed_forward = 3 * 85 * 32 + 18 * 85
    assert count == 2 * 32 + attention + feed_forward == 14718


def test_a_restormer_block_starts_from_its_input() -> None:
    """With both projections at zero only the two skips are left."""
    block = RestormerBlock(8, 2)
    nn.init.zeros_(block.attention[1].project.weight)
    nn.init.zeros_(block.feed_forward[1].project.weight)
    x = noise(2, 8, 5, 6)
    assert torch.equal(block(x), x)


def test_sobel_of_a_ramp_is_its_slope() -> None:
    """Weights 1, 2, 1 over two columns: 8 a unit of slope; half at a replicated border."""
    ramp = torch.arange(5.0).expand(1, 1, 4, 5)
    expected = torch.tensor([4.0, 8.0, 8.0, 8.0, 4.0]).expand(1, 1, 4, 5)
    both = torch.cat((ramp, -2 * ramp), dim=1)
    result = SobelMagnitude()(both)
    assert torch.equal(result, torch.cat((expected, 2 * expected), dim=1))
    assert torch.equal(SobelMagnitude()(both.mT), result.mT)


def test_film_starts_as_identity() -> None:
    x = noise(2, 3, 4, 5)
    assert torch.equal(Film(16, 8, 3)(x, noise(2, 16)), x)


def test_film_scales_and_shifts_each_channel() -> None:
    """Gamma is (1, 0), beta (2, -1): 2x + 2 and x - 1."""
    film = Film(16, 8, 2)
    film.layers[-1].bias.data = torch.tensor([1.0, 0.0, 2.0, -1.0])
    x = noise(1, 2, 4, 5)
    expected = torch.cat((2 * x[:, :1] + 2, x[:, 1:] - 1), dim=1)
    torch.testing.assert_close(film(x, noise(1, 16)), expected)


def test_film_leaves_a_sample_without_features_alone() -> None:
    film = Film(16, 8, 2)
    nn.init.normal_(film.layers[-1].weight)
    nn.init.normal_(film.layers[-1].bias)
    x, features = noise(2, 2, 4, 5), noise(2, 16)
    features[1] = 0.0
    modulated = film(x, features)
    assert not torch.allclose(modulated[0], x[0])
    assert torch.equal(modulated[1], x[1])


@pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
def test_embeddings_of_any_length_get_components_of_size_one(dtype: torch.dtype) -> None:
    features = torch.tensor([[3.0, 4.0, 0.0, 0.0], [0.3, 0.4, 0.0, 0.0], [0.0] * 4]).to(dtype)
    expected = torch.tensor([[1.2, 1.6, 0.0, 0.0], [1.2, 1.6, 0.0, 0.0], [0.0] * 4]).to(dtype)
    torch.testing.assert_close(unit_rms(features), expected)


def test_padding_replicates_the_last_row_and_column() -> None:
    image = torch.arange(6.0).view(1, 1, 2, 3)
    expected = [[0.0, 1, 2, 2], [3, 4, 5, 5], [3, 4, 5, 5], [3, 4, 5, 5]]
    assert torch.equal(pad_to_multiple(image, 4)[0, 0], torch.tensor(expected))
    assert pad_to_multiple(image, 1) is image
