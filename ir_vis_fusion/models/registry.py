"""
Names of the networks and how each is built.

What is the same for all of them: ``color`` says whether a network takes the visible image as RGB
(B, 3, H, W) and returns RGB, or luma (B, 1, H, W) for luma; the infrared image follows; then come
the features of CLIP that ``guidance`` names, in this order, each (B, E) or (1, E), or None where
there are none: ``vis_features`` and ``ir_features`` of the images, ``text_features`` of a sentence
about them. ``example_inputs(height, width)`` makes all of these for one frame.
"""

from collections.abc import Callable, Mapping
import copy
from typing import Any

from ir_vis_fusion.errors import ConfigError, nearest
from ir_vis_fusion.models.clipfusion import CLIPFusion
from ir_vis_fusion.models.ldfusion import LDFusion
from ir_vis_fusion.models.mgfusion import MGFusion
from ir_vis_fusion.models.student import Student
from ir_vis_fusion.models.textfusion import TextFusion
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

MODELS: dict[str, Callable[..., nn.Module]] = {
    'clipfusion': CLIPFusion,
    'ldfusion': LDFusion,
    'mgfusion': MGFusion,
    'student': Student,
    'textfusion': TextFusion,
}


def build(name: str, config: Mapping[str, Any]) -> nn.Module:
    """
    Build a network with random weights from its name and the arguments of its class.

    Raises
    ------
    ConfigError
        Where the name is unknown or the network does not take this configuration.

    """
    if name not in MODELS:
        hint = nearest(name, MODELS)
        raise ConfigError(f'unknown model {name!r}{hint} (there are: {", ".join(MODELS)})')
    try:
        return MODELS[name](**config)
    except (TypeError, ValueError) as error:
        raise ConfigError(
            f'model {name!r} cannot be built from {dict(config)!r}: {error}'
        ) from None


def count_parameters(model: nn.Module) -> int:
    """Count the trained numbers of a network."""
    return sum(parameter.numel() for parameter in model.parameters())


def count_macs(model: nn.Module, height: int, width: int) -> int:
    """
    Count the multiply-accumulates of one frame: convolutions, linear layers, attention.

    The network runs on the inputs of its own ``example_inputs(height, width)``, on the meta
    device, so that no arithmetic is done and no memory taken.
    """
    shadow = copy.deepcopy(model).to('meta').eval()
    with torch.device('meta'):
        inputs = shadow.example_inputs(height, width)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        shadow(*inputs)
    return counter.get_total_flops() // 2
