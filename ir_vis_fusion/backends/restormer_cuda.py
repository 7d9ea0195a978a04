"""
Restormer blocks on CUDA: the same function as :mod:`ir_vis_fusion.models.blocks`, faster.

At full resolution such a block is bound by memory: as torch runs it under autocast, its maps are
read and written some forty times, half of these in float32. Here they are float16, channels last,
and read and written about fifteen times: every 1x1 convolution is a product of matrices, the
residual is added within it, and what lies between is one kernel each. The attention map, its
softmax and the convolution behind it are one small matrix.
"""

from collections.abc import Callable

from ir_vis_fusion.errors import warn_of_slowness
from ir_vis_fusion.models.blocks import RestormerBlock, SobelMagnitude
import torch
from torch import nn, Tensor
from torch.nn import functional

# Of the numbers that a GPU multiplies at once; hidden channels are filled up with zeros.
_MULTIPLE = 16


def exchange_blocks(model: nn.Module, device: torch.device) -> None:
    """
    Put what is faster in the place of a network's blocks, where it works on this device.

    The network then gives what it gave in float16.
    """
    for parent in list(model.modules()):
        for name, child in parent.named_children():
            faster = _faster(child, device)
            if faster is not None:
                setattr(parent, name, faster)


class RestormerOnCuda(nn.Module):
    """Run one block, of 16, 32, 64 or 128 channels, on maps (1, C, H, W)."""

    def __init__(self, block: RestormerBlock) -> None:
        super().__init__()
        from ir_vis_fusion.backends import restormer_kernels

        self._kernels = restormer_kernels
        norm, attention = block.attention
        pointwise, depthwise = attention.qkv
        self.norm = _kept(norm.weight.flatten().float())
        self.qkv = _kept(_matrix(pointwise).half())
        self.qkv_around = _kept(_taps(depthwise))
        self.temperature = _kept(attention.temperature.flatten().float())
        self.project = _kept(_matrix(attention.project).float())
        norm, feed_forward = block.feed_forward
        pointwise, depthwise = feed_forward.expand
        hidden = feed_forward.project.in_channels
        more = -hidden % _MULTIPLE
        # Each of the two halves is filled up.
        expand = functional.pad(_matrix(pointwise).unflatten(0, (2, hidden)), (0, 0, 0, more))
        around = functional.pad(_taps(depthwise).unflatten(1, (2, hidden)), (0, more))
        self.gate_norm = _kept(norm.weight.flatten().float())
        self.expand = _kept(expand.flatten(0, 1).half())
        self.expand_around = _kept(around.flatten(1, 2))
        self.gate_project = _kept(functional.pad(_matrix(feed_forward.project), (0, more)).half())

    def forward(self, x: Tensor) -> Tensor:
        """Transform a map, (1, C, H, W), into one of the same shape, float16, channels last."""
        size, kernels = x.shape[-2:], self._kernels
        channels = x.shape[1]
        maps = _rows(x)
        mixed = kernels.depthwise(
            kernels.normalize(maps, self.norm) @ self.qkv.T, self.qkv_around, size
        )
        mixing = kernels.attention(mixed, self.temperature, self.project)
        maps = torch.addmm(maps, mixed[:, 2 * channels :], mixing.T)
        expanded = kernels.normalize(maps, self.gate_norm) @ self.expand.T
        gated = kernels.gate(expanded, self.expand_around, size)
        return _image(torch.addmm(maps, gated, self.gate_project.T), size)


class SobelOnCuda(nn.Module):
    """Do what SobelMagnitude does on one map (1, C, H, W); float16, channels last."""

    def __init__(self, sobel: SobelMagnitude) -> None:
        super().__init__()
        from ir_vis_fusion.backends import restormer_kernels

        self._kernels = restormer_kernels

    def forward(self, x: Tensor) -> Tensor:
        """Return the magnitude of each channel."""
        size = x.shape[-2:]
        return _image(self._kernels.edges(_rows(x), size), size)


_FASTER: dict[type[nn.Module], Callable[[nn.Module], nn.Module]] = {
    RestormerBlock: RestormerOnCuda,
    SobelMagnitude: SobelOnCuda,
}


def _faster(module: nn.Module, device: torch.device) -> nn.Module | None:
    """Return what does the same faster, None where there is nothing or it does not work."""
    channels = 16
    if type(module) not in _FASTER:
        return None
    if isinstance(module, RestormerBlock):
        channels = module.attention[1].project.in_channels
        if channels not in (16, 32, 64, 128):
            return None
    try:
        faster = _FASTER[type(module)](module)
        # Whatever is missing, a compiler say, is missed now.
        example = torch.zeros(1, channels, 8, 8, device=device)
        with torch.inference_mode(), torch.cuda.device_of(example):
            faster(example)
    except Exception as error:  # noqa: BLE001 - torch does the same
        warn_of_slowness(f'kernels of {type(module).__name__}', error)
        return None
    return faster


def _kept(weights: Tensor) -> nn.Parameter:
    return nn.Parameter(weights.detach().contiguous(), requires_grad=False)


def _matrix(layer: nn.Conv2d) -> Tensor:
    """Return the weights of a 1x1 convolution, (N, C)."""
    return layer.weight.detach().flatten(1)


def _taps(layer: nn.Conv2d) -> Tensor:
    """Return the weights of a depthwise 3x3 convolution, (9, C) float32."""
    return layer.weight.detach().float().flatten(1).T


def _rows(x: Tensor) -> Tensor:
    """Return a map (1, C, H, W) as (H W, C) float16, contiguous."""
    return x.half().permute(0, 2, 3, 1).contiguous().flatten(0, 2)


def _image(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return maps.view(1, *size, -1).permute(0, 3, 1, 2)
