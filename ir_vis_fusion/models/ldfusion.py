"""LDFusion: content and style of each source apart, joined by an AdaIN decoder."""

from collections.abc import Sequence

import torch
from torch import nn, Tensor
from torch.nn import functional

STRIDE = 8
EPSILON = 1e-5


class LDFusion(nn.Module):
    """
    Two content encoders, two style encoders and one decoder, on luma only.

    Wang et al., "LDFusion: Infrared and Visible Image Fusion with Language-Driven Loss in CLIP
    Embedding Space", ACM MM 2025 (arXiv 2402.16267), the network of the public code of November
    2025, which follows MUNIT (Huang et al., ECCV 2018, section 5.1). CLIP is in its loss alone:
    at run time it needs none.

    ::

        vis_y, ir (B, 1, H, W) -> reflect to a multiple of 8
        -> content of each (B, 8 width, H/8, W/8), style of each (B, style)
        -> joined content (B, 16 width, H/8, W/8)
        -> residual blocks whose AdaIN layers are set by an MLP of both styles
        -> 3 x twice the size, half the channels -> (tanh + 1) / 2 (B, 1, H, W)

    Where it differs from the public code:

    - Centred. There, three 5x5 transposed convolutions without padding and a crop of the
      top-left corner leave the network to learn a shift of 10.5 pixels. Padding 2 and output
      padding 1 would leave 3.5 of them, because a 4x4 convolution of stride 2 sees pixels around
      2j + 1/2 and a 5x5 transposed one paints around 2j. Here the decoder mirrors the encoder:
      4x4, stride 2, padding 1. Each output pixel is then painted by as many taps as any other
      (no chequerboard). 9 taps less in three layers, 387 072 weights, and no biases where an
      instance norm takes them away again, 2 528, leave 5 387 377 parameters of 5 776 977 and
      32.9 GMAC of 37.6 at 640x480.
    - (tanh + 1) / 2 where the code clamps tanh to [0, 1], which stops the gradient of every
      dark pixel.
    - All convolutions reflect at the border; there, those of stride 2 see zeros.

    Statistics of the whole image enter twice a block (instance norm, "layer norm"), so a frame
    must not be cut into tiles, and something bright that enters a video changes all of it.

    Parameters
    ----------
    width
        Channels of the first layer; the others are multiples of it.
    blocks
        Residual blocks of each content encoder and of the decoder.
    style
        Length of the style vector of each source.
    hidden
        Width of the MLP from the styles to the AdaIN layers.

    """

    guidance: tuple[str, ...] = ()
    color = False

    def __init__(
        self, width: int = 16, blocks: int = 2, style: int = 8, hidden: int = 256
    ) -> None:
        super().__init__()
        if min(width, blocks, style, hidden) < 1:
            raise ValueError('width, blocks, style and hidden must be 1 or more')
        self.content_vis = _content_encoder(width, blocks)
        self.content_ir = _content_encoder(width, blocks)
        self.style_vis = _style_encoder(width, style)
        self.style_ir = _style_encoder(width, style)
        channels = 16 * width
        self.mlp = nn.Sequential(
            nn.Linear(2 * style, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, blocks * 2 * 2 * channels),
        )
        self.blocks = nn.ModuleList(AdaptiveBlock(channels) for _ in range(blocks))
        steps: list[nn.Module] = []
        for wide in (channels, channels // 2, channels // 4):
            steps += [
                nn.ConvTranspose2d(wide, wide // 2, 4, stride=2, padding=1),
                SampleNorm(wide // 2),
                nn.ReLU(),
            ]
        self.paint = nn.Sequential(*steps, _conv(channels // 8, 1, 7))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
                nn.init.normal_(module.weight, std=0.02)

    def forward(self, vis_y: Tensor, ir: Tensor) -> Tensor:
        """
        Fuse a batch.

        Parameters
        ----------
        vis_y
            Luma of the visible image, (B, 1, H, W) float in [0, 1], H and W any from 32 on.
        ir
            Normalised infrared image of the same shape and range.

        Returns
        -------
        The fused luma, (B, 1, H, W) in [0, 1].

        """
        height, width = vis_y.shape[-2:]
        vis_y, ir = _pad(vis_y), _pad(ir)
        content = torch.cat((self.content_vis(vis_y), self.content_ir(ir)), 1)
        styles = torch.cat((self.style_vis(vis_y), self.style_ir(ir)), 1).flatten(1)
        for block, moments in zip(
            self.blocks, self.mlp(styles).chunk(len(self.blocks), 1), strict=True
        ):
            content = block(content, moments.chunk(4, 1))
        # Under autocast the last step in float32: bfloat16 has 8 bits below 1.
        painted = self.paint(content)[..., :height, :width].to(vis_y.dtype)
        return (painted.tanh() + 1) / 2

    @staticmethod
    def example_inputs(height: int, width: int) -> tuple[Tensor, ...]:
        """Make inputs of one frame, by which the network's cost is counted."""
        frame = torch.zeros(1, 1, height, width)
        return frame, frame


class AdaptiveBlock(nn.Module):
    """A residual block of two convolutions, each followed by AdaIN."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels, 3, bias=False)
        self.second = _conv(channels, channels, 3, bias=False)

    def forward(self, content: Tensor, moments: Sequence[Tensor]) -> Tensor:
        """Take (B, C, H, W) and bias, scale, bias, scale of the two layers, each (B, C)."""
        bias, scale, second_bias, second_scale = moments
        hidden = adain(self.first(content), bias, scale).relu()
        return content + adain(self.second(hidden), second_bias, second_scale)


class SampleNorm(nn.Module):
    """
    The "layer norm" of MUNIT: over channels and pixels of each sample, gain by channel.

    (x - mean) / (std + 1e-5) with the unbiased standard deviation of the whole (C, H, W), then
    gain, which starts as U(0, 1), and bias, which starts as 0.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.rand(channels, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels, 1, 1))

    def forward(self, image: Tensor) -> Tensor:
        """Take and return (B, C, H, W)."""
        std, mean = torch.std_mean(image, dim=(1, 2, 3), keepdim=True)
        return (image - mean) / (std + EPSILON) * self.gain + self.bias


def adain(content: Tensor, bias: Tensor, scale: Tensor) -> Tensor:
    """
    Give each channel of each sample the wanted mean and standard deviation.

    Adaptive instance normalisation (Huang and Belongie, ICCV 2017, eq. 8).

    Parameters
    ----------
    content
        (B, C, H, W).
    bias, scale
        Mean and standard deviation wanted, (B, C).

    """
    plain = functional.instance_norm(content, eps=EPSILON)
    return plain * scale[..., None, None] + bias[..., None, None]


class _ResidualBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            _conv(channels, channels, 3, bias=False),
            nn.InstanceNorm2d(channels),
            nn.ReLU(),
            _conv(channels, channels, 3, bias=False),
            nn.InstanceNorm2d(channels),
        )

    def forward(self, content: Tensor) -> Tensor:
        return content + self.body(content)


def _conv(wide: int, narrow: int, size: int, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(wide, narrow, size, padding=size // 2, padding_mode='reflect', bias=bias)


def _halve(wide: int, narrow: int, bias: bool = True) -> nn.Conv2d:
    return nn.Conv2d(wide, narrow, 4, stride=2, padding=1, padding_mode='reflect', bias=bias)


def _content_encoder(width: int, blocks: int) -> nn.Sequential:
    layers: list[nn.Module] = [_conv(1, width, 7, bias=False), nn.InstanceNorm2d(width), nn.ReLU()]
    for wide in (width, 2 * width, 4 * width):
        layers += [_halve(wide, 2 * wide, bias=False), nn.InstanceNorm2d(2 * wide), nn.ReLU()]
    return nn.Sequential(*layers, *(_ResidualBlock(8 * width) for _ in range(blocks)))


def _style_encoder(width: int, style: int) -> nn.Sequential:
    layers: list[nn.Module] = [_conv(1, width, 7), nn.ReLU()]
    for wide, narrow in ((width, 2 * width), (2 * width, 4 * width), (4 * width, 4 * width)):
        layers += [_halve(wide, narrow), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Conv2d(4 * width, style, 1))


def _pad(image: Tensor) -> Tensor:
    bottom, right = -image.shape[-2] % STRIDE, -image.shape[-1] % STRIDE
    return functional.pad(image, (0, right, 0, bottom), mode='reflect')
