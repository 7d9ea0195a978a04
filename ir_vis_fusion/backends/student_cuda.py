"""
The student on CUDA: the same function as :class:`ir_vis_fusion.models.student.Student`, faster.

As torch runs it, most of its time goes to what is not a convolution: padding, shuffles, types and
layouts, biases, activations, a pass over the image for each. Here one kernel makes the blocks,
each convolution adds its bias and cuts with it, and one kernel makes the image of the last maps.
"""

import copy

from ir_vis_fusion.backends.cuda_graph import GraphCache, record
from ir_vis_fusion.backends.interface import describe
from ir_vis_fusion.checkpoint import Checkpoint
from ir_vis_fusion.models.student import RESIDUAL_LIMIT, Student
import torch
from torch import nn, Tensor
from torch.nn import functional

# Something small is fused at once, to find out whether all of it works here.
_PROBE = (64, 64)


class StudentOnCuda:
    """
    Run a student in float16, channels last, as one graph for each size of frame.

    Parameters
    ----------
    checkpoint
        Of a student that :meth:`takes`.
    device
        A CUDA device; on the CPU the same is done without a graph, where Triton interprets.

    Raises
    ------
    Exception
        Of any kind, where Triton, its compiler or cuDNN's fused convolution is missing.

    """

    images = torch.float32

    def __init__(self, checkpoint: Checkpoint, device: torch.device) -> None:
        from ir_vis_fusion.backends import student_kernels

        self._kernels = student_kernels
        self.network = describe(checkpoint)
        self._student = copy.deepcopy(checkpoint.model).requires_grad_(False).to(device)
        self._guidance: Tensor | None = None
        # The graphs read these, so another vector's weights are copied into them.
        self._layers = [
            (weight.half().contiguous(memory_format=torch.channels_last), bias.clone())
            for weight, bias in self._student.folded()
        ]
        self._graphs = GraphCache(lambda vis, ir: record(self.compute, (vis, ir)))
        self._run = self._graphs if device.type == 'cuda' else self.compute
        self(*torch.zeros(2, 1, 1, *_PROBE, device=device))

    @staticmethod
    def takes(model: nn.Module) -> bool:
        """Say whether this is a student."""
        return isinstance(model, Student)

    @torch.inference_mode()
    def __call__(self, vis: Tensor, ir: Tensor, guidance: Tensor | None = None) -> Tensor:
        """
        Fuse one pair; see :class:`ir_vis_fusion.backends.interface.Backend`.

        A tensor that has guided the last frame is taken to be the same vector still: to look at
        its numbers would be to wait for the device.
        """
        if guidance is not self._guidance:
            self._follow(guidance)
        return self._run(vis, ir)

    def _follow(self, guidance: Tensor | None) -> None:
        """Fold the modulation by another vector into the weights."""
        folded = self._student.folded(guidance)
        for kept, new in zip(self._layers, folded, strict=True):
            for place, one in zip(kept, new, strict=True):
                place.copy_(one)
        self._guidance = guidance

    def compute(self, vis: Tensor, ir: Tensor) -> Tensor:
        """Do it without a graph, guided as the last frame was."""
        shifts = self._student.shifts(vis, ir)
        vis, ir = vis[0, 0].contiguous(), ir[0, 0].contiguous()
        maps = self._kernels.to_blocks(vis, ir, self._student.factor)
        *hidden, last = zip(self._student.body[::2], self._layers, strict=True)
        for index, (layer, (weight, bias)) in enumerate(hidden):
            bias = bias + shifts[index][0] if shifts else bias
            maps = _convolve_and_cut(layer, maps, weight, bias.half())
        layer, (weight, bias) = last
        # Its bias is added later, in float32.
        maps = functional.conv2d(
            maps, weight, None, layer.stride, layer.padding, layer.dilation
        ).contiguous(memory_format=torch.channels_last)
        return self._kernels.blend(vis, ir, maps, bias, RESIDUAL_LIMIT)[None, None]


def _convolve_and_cut(layer: nn.Conv2d, maps: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return the ReLU of a convolution with the form of ``layer``."""
    form = layer.stride, layer.padding, layer.dilation
    if maps.is_cuda:
        return torch.cudnn_convolution_relu(maps, weight, bias, *form, 1)
    return functional.conv2d(maps, weight, bias, *form).relu_()
