"""CLIPFusion: 3-D convolutions over the stack of infrared, visible, infrared."""

from collections.abc import Sequence
import copy

import torch
from torch import nn, Tensor
from torch.nn import functional

SLICES = 3


class PlanarCLIPFusion(nn.Module):
    """
    The network as 2-D layers on slices that lie side by side among the channels.

    What :meth:`CLIPFusion.as_2d` gives, for exporters and runtimes without 3-D convolutions.
    """

    guidance: tuple[str, ...] = ()
    color = False

    def __init__(self, entry: nn.Module, blocks: Sequence[nn.Module], head: nn.Module) -> None:
        super().__init__()
        self.entry = entry
        self.blocks = nn.ModuleList(blocks)
        self.head = head

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
        volume = self.entry(torch.cat((ir, vis_y, ir), 1))
        for block in self.blocks:
            volume = volume + block(volume)
        # Under autocast the last step in float32: bfloat16 has 8 bits below 1.
        return self.head(volume).to(vis_y.dtype).sigmoid()

    @staticmethod
    def example_inputs(height: int, width: int) -> tuple[Tensor, ...]:
        """Make inputs of one frame, by which the network's cost is counted."""
        frame = torch.zeros(1, 1, height, width)
        return frame, frame


class CLIPFusion(PlanarCLIPFusion):
    """
    The 3-D convolution fusion network of CLIPFusion, with weights that fit its abstract.

    "CLIPFusion", Displays 89:103042, 2025: infrared and visible mix along an extra dimension.
    The abstract fixes no more; layers, widths and dilations are ours. CLIP and the learned
    prompts (:class:`ir_vis_fusion.models.prompts.PromptNetwork`) are in its loss alone: at run
    time it needs neither.

    ::

        [ir, vis_y, ir] (B, 1, 3, H, W) -> Conv3d(1, width), PReLU
        -> for each dilation: x + PReLU(Conv3d(width, width))
        -> Conv3d(width, 2 width) without padding in depth, PReLU (B, 2 width, H, W)
        -> conv 3x3, PReLU -> conv 3x3 -> sigmoid (B, 1, H, W)

    All kernels are 3x3x3; dilation is in the image only, since in a depth of three a tap two
    slices away is padding for every slice but the outer ones. 44 753 parameters, 26.7 GMAC at
    640x480.

    Weights are those of 3-D layers; the arithmetic is the 2-D convolution that each equals:
    16 channels of three slices take 21 ms instead of 190 at 320x240 on two CPU cores.

    Parameters
    ----------
    width
        Channels of each slice.
    dilations
        Dilation of each residual layer.

    """

    def __init__(self, width: int = 16, dilations: Sequence[int] = (1, 2, 1)) -> None:
        if min(width, *dilations) < 1:
            raise ValueError('width and dilations must be 1 or more')
        super().__init__(
            nn.Sequential(SliceConv(1, width), SlicePReLU(width)),
            [
                nn.Sequential(SliceConv(width, width, dilation), SlicePReLU(width))
                for dilation in dilations
            ],
            nn.Sequential(
                SliceConv(width, 2 * width, merge=True),
                nn.PReLU(2 * width),
                nn.Conv2d(2 * width, 2 * width, 3, padding=1),
                nn.PReLU(2 * width),
                nn.Conv2d(2 * width, 1, 3, padding=1),
            ),
        )

    def as_2d(self) -> PlanarCLIPFusion:
        """Copy the network into ordinary 2-D layers; the result is the same."""
        entry, *blocks = (_planar(part) for part in (self.entry, *self.blocks))
        planar = PlanarCLIPFusion(entry, blocks, _planar(self.head))
        return planar.train(self.training)


class SliceConv(nn.Conv3d):
    """
    A 3x3x3 convolution over three slices, computed as the 2-D convolution it equals.

    Takes (B, 3 C, H, W) with channel 3 c + d for slice d of channel c, as
    ``volume.flatten(1, 2)`` lays out (B, C, 3, H, W). Zero padding in depth, or with `merge`
    none, which leaves one slice; zero padding in the image.
    """

    def __init__(self, wide: int, narrow: int, dilation: int = 1, merge: bool = False) -> None:
        super().__init__(
            wide,
            narrow,
            3,
            padding=(0 if merge else 1, dilation, dilation),
            dilation=(1, dilation, dilation),
        )
        self.merge = merge

    def forward(self, image: Tensor) -> Tensor:
        """Take (B, 3 C, H, W), return (B, 3 C', H, W) or with `merge` (B, C', H, W)."""
        weight, bias = self.planar_weights()
        return functional.conv2d(
            image, weight, bias, padding=self.padding[1:], dilation=self.dilation[1:]
        )

    def as_2d(self) -> nn.Conv2d:
        """Copy the weights into the equal 2-D layer."""
        weight, bias = self.planar_weights()
        layer = nn.Conv2d(
            weight.shape[1],
            weight.shape[0],
            3,
            padding=self.padding[-1],
            dilation=self.dilation[-1],
        )
        layer.to(weight).load_state_dict({'weight': weight, 'bias': bias})
        return layer

    def planar_weights(self) -> tuple[Tensor, Tensor]:
        """Return weight (3 C' or C', 3 C, 3, 3) and bias of the equal 2-D convolution."""
        if self.merge:
            return self.weight.flatten(1, 2), self.bias
        # Slice d sees slice s through tap s - d + 1, and zeros where there is no such tap.
        taps = functional.pad(self.weight, (0, 0, 0, 0, 1, 1))
        by_slice = [taps[:, :, 2 - d : 5 - d].flatten(1, 2) for d in range(SLICES)]
        return torch.stack(by_slice, 1).flatten(0, 1), self.bias.repeat_interleave(SLICES)


class SlicePReLU(nn.PReLU):
    """PReLU whose slope is the same in the three slices of a channel."""

    def forward(self, image: Tensor) -> Tensor:
        """Take and return (B, 3 C, H, W)."""
        return functional.prelu(image, self.weight.repeat_interleave(SLICES))

    def as_2d(self) -> nn.PReLU:
        """Copy the slopes into the equal 2-D layer."""
        weight = self.weight.repeat_interleave(SLICES)
        layer = nn.PReLU(len(weight))
        layer.to(weight).load_state_dict({'weight': weight})
        return layer


@torch.no_grad()
def _planar(layers: nn.Sequential) -> nn.Sequential:
    slices = (SliceConv, SlicePReLU)
    return nn.Sequential(
        *(layer.as_2d() if isinstance(layer, slices) else copy.deepcopy(layer) for layer in layers)
    )
