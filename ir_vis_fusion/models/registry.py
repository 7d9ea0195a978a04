"""Names of the networks and how each is built."""

from collections.abc import Callable, Mapping
import difflib
from typing import Any

from ir_vis_fusion.errors import ConfigError
from ir_vis_fusion.models.student import Student
import torch
from torch import nn, Tensor

MODELS: dict[str, Callable[..., nn.Module]] = {'student': Student}


def build(name: str, config: Mapping[str, Any]) -> nn.Module:
    """
    Build a network with random weights from its name and the arguments of its class.

    Raises
    ------
    ConfigError
        Where the name is unknown or the network does not take this configuration.

    """
    if name not in MODELS:
        near = difflib.get_close_matches(name, MODELS, n=1, cutoff=0.4)
        hint = f', did you mean {near[0]!r}?' if near else ''
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
    """Count the multiply-accumulates of all convolutions for one frame, by a run on zeros."""
    total = 0

    def add(layer: nn.Conv2d, _: tuple[Tensor, ...], output: Tensor) -> None:
        nonlocal total
        total += layer.weight[0].numel() * output[0].numel()

    layers = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d)]
    hooks = [layer.register_forward_hook(add) for layer in layers]
    try:
        with torch.inference_mode():
            frame = torch.zeros(1, 1, height, width)
            model(frame, frame)
    finally:
        for hook in hooks:
            hook.remove()
    return total
