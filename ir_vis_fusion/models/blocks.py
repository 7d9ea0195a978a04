"""
Parts that several fusion networks are built from.

The Restormer block is written from the equations of Zamir et al., "Restormer: Efficient
Transformer for High-Resolution Image Restoration", CVPR 2022, section 3. Everything here takes
maps (B, C, H, W) of any height and width; feature vectors are (B, E), or (1, E) for a batch
that shares one.
"""

import torch
from torch import nn, Tensor
from torch.nn import functional


class BiasFreeLayerNorm(nn.Module):
    """
    Divide each pixel's channels by their standard deviation and scale them.

    The "BiasFree" variant of Restormer: y = w * x / sqrt(var(x) + 1e-5) over the C channels of
    a pixel; no mean is taken off and no bias added.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise a map, (B, C, H, W)."""
        variance = x.var(dim=1, keepdim=True, unbiased=False)
        return x * torch.rsqrt(variance + 1e-5) * self.weight


class TransposedAttention(nn.Module):
    """
    Attention between channels instead of pixels: MDTA, Restormer eq. (1).

    X' = W_p (V softmax(K Q / alpha)): Q, K, V come from a 1x1 and a depthwise 3x3 convolution,
    the attention map is (C/heads, C/heads) for each head, so that the cost is linear in the
    number of pixels. As in the authors' code, Q and K are L2-normalised over the pixels and
    the learned temperature of each head multiplies (1 / alpha), starting at 1. The sum with X
    is left to :class:`RestormerBlock`.
    """

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        if min(channels, heads) < 1 or channels % heads:
            raise ValueError(f'channels ({channels}) must be a multiple of heads ({heads})')
        self.heads = heads
        self.temperature = nn.Parameter(torch.ones(heads, 1, 1))
        self.qkv = nn.Sequential(
            nn.Conv2d(channels, 3 * channels, 1, bias=False),
            nn.Conv2d(3 * channels, 3 * channels, 3, padding=1, groups=3 * channels, bias=False),
        )
        self.project = nn.Conv2d(channels, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix the channels of a map, (B, C, H, W)."""
        batch, channels, height, width = x.shape
        shape = (batch, 3, self.heads, channels // self.heads, height * width)
        query, key, value = self.qkv(x).reshape(shape).unbind(1)
        query, key = functional.normalize(query, dim=-1), functional.normalize(key, dim=-1)
        attention = (query @ key.transpose(-2, -1) * self.temperature).softmax(dim=-1)
        return self.project((attention @ value).reshape(batch, channels, height, width))


class GatedFeedForward(nn.Module):
    """
    Feed-forward network with a gate: GDFN, Restormer eq. (2).

    X' = W_o (GELU(D_1 W_1 X) * D_2 W_2 X) with 1x1 convolutions W and depthwise 3x3
    convolutions D; int(expansion * C) hidden channels in either path. The sum with X is left
    to :class:`RestormerBlock`.
    """

    def __init__(self, channels: int, expansion: float) -> None:
        super().__init__()
        hidden = int(channels * expansion)
        self.expand = nn.Sequential(
            nn.Conv2d(channels, 2 * hidden, 1, bias=False),
            nn.Conv2d(2 * hidden, 2 * hidden, 3, padding=1, groups=2 * hidden, bias=False),
        )
        self.project = nn.Conv2d(hidden, channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Transform each pixel with its neighbours, (B, C, H, W)."""
        gate, content = self.expand(x).chunk(2, dim=1)
        return self.project(functional.gelu(gate) * content)


class RestormerBlock(nn.Module):
    """
    One Restormer block: X + MDTA(norm(X)), then X + GDFN(norm(X)).

    Parameters
    ----------
    channels
        C of the map (B, C, H, W); kept.
    heads
        Heads of the attention; divides the channels.
    expansion
        Hidden channels of the feed-forward network over C.

    """

    def __init__(self, channels: int, heads: int, expansion: float = 2.66) -> None:
        super().__init__()
        self.attention = nn.Sequential(
            BiasFreeLayerNorm(channels), TransposedAttention(channels, heads)
        )
        self.feed_forward = nn.Sequential(
            BiasFreeLayerNorm(channels), GatedFeedForward(channels, expansion)
        )

    def forward(self, x: Tensor) -> Tensor:
        """Transform a map, (B, C, H, W), into one of the same shape."""
        x = x + self.attention(x)
        return x + self.feed_forward(x)


class SobelMagnitude(nn.Module):
    """|gx| + |gy| of each channel by the 3x3 Sobel operator, the border replicated."""

    def __init__(self) -> None:
        super().__init__()
        across = torch.tensor([[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]])
        kernels = torch.stack((across, across.T)).unsqueeze(1)
        self.register_buffer('kernels', kernels, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the magnitude of a map, (B, C, H, W): eight times the slope per pixel."""
        channels = x.shape[1]
        padded = functional.pad(x, (1, 1, 1, 1), mode='replicate')
        kernels = self.kernels.repeat(channels, 1, 1, 1)
        both = functional.conv2d(padded, kernels, groups=channels)
        return both.abs().unflatten(1, (channels, 2)).sum(dim=2)


class Film(nn.Module):
    """
    Modulate a map by a feature vector: (1 + gamma) * x + beta (FiLM, Perez et al., AAAI 2018).

    gamma and beta, one each a channel, come from two linear layers with a LeakyReLU between.
    The last layer starts at zero, so that an untrained network ignores the vector. A row of
    zeros means that this sample has none: its map stays as it is, whatever was learned.

    Parameters
    ----------
    features
        Length E of the vector.
    hidden
        Width of the hidden layer.
    channels
        C of the map.

    """

    def __init__(self, features: int, hidden: int, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(features, hidden), nn.LeakyReLU(0.1), nn.Linear(hidden, 2 * channels)
        )
        nn.init.zeros_(self.layers[-1].weight)
        nn.init.zeros_(self.layers[-1].bias)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """Modulate a map, (B, C, H, W), by vectors of any length, (B, E) or (1, E)."""
        modulation = self.layers(unit_rms(features)) * features.any(dim=1, keepdim=True)
        gamma, beta = modulation[..., None, None].chunk(2, dim=1)
        return (1.0 + gamma) * x + beta


def unit_rms(features: Tensor) -> Tensor:
    """
    Scale vectors, (B, E), so that their components are of size one; zeros stay zeros.

    CLIP's embeddings come as unit vectors, with components near 0.04, or raw, near 0.4: behind
    this, a network takes either and sees numbers of the size that its layers are made for.
    """
    return functional.normalize(features, dim=1, eps=1e-6) * features.shape[1] ** 0.5


def pad_to_multiple(image: Tensor, factor: int) -> Tensor:
    """Replicate the last row and column of (B, C, H, W) until the factor divides H and W."""
    bottom, right = -image.shape[-2] % factor, -image.shape[-1] % factor
    if not (bottom or right):
        return image
    return functional.pad(image, (0, right, 0, bottom), mode='replicate')
