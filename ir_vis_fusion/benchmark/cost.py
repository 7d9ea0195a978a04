"""What a network has to do for one frame, counted without doing it."""

import copy
from typing import Any

from ir_vis_fusion.models.registry import count_macs
import torch
from torch import nn, Tensor
from torch.utils._python_dispatch import TorchDispatchMode

_LAYERS = {'convolution', 'addmm', 'mm', 'bmm', 'baddbmm', '_scaled_dot_product_flash_attention'}


def cost(model: nn.Module, height: int, width: int) -> tuple[int, int]:
    """
    Return the multiply-accumulates and the bytes moved of one frame.

    Bytes are those that layers with weights, and products of maps, read and write in float32;
    what lies between them can be done on the way. In a type of half the size they are half.
    """
    shadow = copy.deepcopy(model).to('meta').eval()
    with torch.device('meta'):
        inputs = shadow.example_inputs(height, width)
    with torch.no_grad(), _Bytes() as counter:
        shadow(*inputs)
    return count_macs(model, height, width), counter.total


class _Bytes(TorchDispatchMode):
    """Adds up the sizes of what the layers take and give."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ in _LAYERS:
            given = result if isinstance(result, tuple) else (result,)
            self.total += sum(x.nbytes for x in (*args, *given) if isinstance(x, Tensor))
        return result
