"""
The student on a CPU: the same function as :class:`ir_vis_fusion.models.student.Student`, faster.

What it costs beside its convolutions is memory traffic, so the images stay bytes until the first
convolution takes them; that reads interleaved rows at a stride, which makes a pixel-unshuffle
unnecessary. On the way out four neighbours of a row are moved as one word, and every step but the
convolutions writes into memory that is kept. The convolutions run in bfloat16 where the CPU
multiplies that, at nine tenths of what its cores can multiply at all: their time is that of their
multiplications, in steps of 16 channels.

Tried on two cores of a Zen 4, in units of the time of the shipped student's five convolutions at
640x480: torch's own layers 1.1 in bfloat16, 2.2 in float32 and 2.8 channels-first; ONNX Runtime
1.32 1.8 in float32; OpenVINO 2026.4 1.7 in bfloat16, and 1.1 at 1280x1024. Eight bits
(``onednn::qconv2d_pointwise``, a range for each channel) took 0.6, but 0.3 to 4 % of the pixels of
three sets of pictures were off by more than a level, by 14 at most. Simulated with ranges from
other pictures of these sets it is 0.03 to 0.7 %, by 11 at most, and hardly less where only the
three layers in the middle have eight bits; in bfloat16, with weights that are such numbers
(:meth:`Student.round_weights`), three pixels in a million, by 3 at most. Slower as well: bands of
rows, one thread each, in place of two threads for each operation (1.1, and 1.4 at 320x240); the
sigmoid within the last convolution (the same time, and less exact).
"""

from ir_vis_fusion.backends.device import has_fused_convolution, multiplies_bfloat16
from ir_vis_fusion.backends.interface import describe
from ir_vis_fusion.checkpoint import Checkpoint
from ir_vis_fusion.models.blocks import pad_to_multiple
from ir_vis_fusion.models.student import RESIDUAL_LIMIT, STATISTICS_ROWS, Student
from ir_vis_fusion.preprocessing.levels import byte_statistics, interleave, round_sum
import numpy as np
import torch
from torch import nn, Tensor
from torch.nn import functional

# A type for the neighbours of a row that stay together, by their bytes.
_WORDS = {4: torch.int32, 8: torch.int64, 16: torch.complex128}


class StudentOnCpu:
    """
    Run a student on bytes: luma and infrared (1, 1, H, W) uint8 in, fused luma uint8 out.

    Parameters
    ----------
    checkpoint
        Of a student that :meth:`takes`.
    exact
        Convolutions in float32, even where bfloat16 is twice as fast.

    """

    images = torch.uint8
    compute = None

    def __init__(self, checkpoint: Checkpoint, exact: bool = False) -> None:
        self.network = describe(checkpoint)
        self._student: Student = checkpoint.model
        self._dtype = torch.bfloat16 if not exact and multiplies_bfloat16() else torch.float32
        self._guidance: Tensor | None = None
        self._layers, self._biases = self._prepare(None)
        self._memory: _Memory | None = None

    @staticmethod
    def takes(model: nn.Module) -> bool:
        """Say whether this is a student of words as blocks and without gaps in its first layer."""
        if not isinstance(model, Student) or model.factor not in (2, 4):
            return False
        return model.body[0].dilation == (1, 1)

    @torch.inference_mode()
    def __call__(self, vis: Tensor, ir: Tensor, guidance: Tensor | None = None) -> Tensor:
        """Fuse one pair; see :class:`ir_vis_fusion.backends.interface.Backend`."""
        self._follow(guidance)
        height, width = vis.shape[-2:]
        images = vis[0, 0], ir[0, 0]
        vis, ir = (pad_to_multiple(image, self._student.factor)[0, 0] for image in (vis, ir))
        if self._memory is None or self._memory.size != vis.shape:
            self._memory = _Memory(vis.shape, self._student.factor, self._dtype)
        maps = self._memory.to_rows(vis, ir)
        # Between two operations of all threads, for these wait a tenth of a millisecond awake.
        biases = self._biases(*images)
        for layer, bias in zip(self._layers, biases, strict=True):
            maps = layer(maps, bias)
        weight, residual = self._memory.to_planes(maps)
        fused = self._memory.lerp(vis, ir, weight)
        # 0.25 tanh(r) of 255 levels, as the sigmoid of 2 r.
        levels = 255 * RESIDUAL_LIMIT
        return round_sum(fused, residual, 2 * levels, -levels)[None, None, :height, :width]

    def _follow(self, guidance: Tensor | None) -> None:
        """Fold the modulation into the weights when another vector guides."""
        last = self._guidance
        if guidance is last or (None not in (guidance, last) and torch.equal(guidance, last)):
            return
        self._layers, self._biases = self._prepare(guidance)
        self._guidance = guidance

    def _prepare(self, guidance: Tensor | None) -> tuple[list['_Layer'], '_Biases']:
        """Make the layers from the weights, for bytes in and two sigmoids out."""
        layers = self._student.folded(guidance)
        first, last = layers[0], layers[-1]
        layers[0] = (_on_rows(first[0] / 255, self._student.factor), first[1])
        factors = torch.ones(last[0].shape[0])
        factors[len(factors) // 2 :] = 2
        layers[-1] = (last[0] * factors[:, None, None, None], last[1] * factors)
        forms = self._student.body[::2]
        convolutions = [
            _Layer(weight, self._dtype, form.dilation[0], relu=form is not forms[-1])
            for (weight, _), form in zip(layers, forms, strict=True)
        ]
        return convolutions, _Biases([bias for _, bias in layers], self._student)


def _on_rows(weight: Tensor, factor: int) -> Tensor:
    """
    Turn weights for blocks into those that work on rows of interleaved pixels.

    ::

        (N, [image, row, column], 3, 3) -> (N, [column, image], [3, row], 3)

    What was a pixel-unshuffle is the stride of ``factor`` rows then: nothing is moved for it.
    """
    parts = weight.unflatten(1, (2, factor, factor))
    return parts.permute(0, 3, 1, 4, 2, 5).flatten(3, 4).flatten(1, 2)


class _Layer:
    """
    A convolution of channels-last maps, with ReLU or without.

    (N, C, s k, s) weights go down by k rows at a time.
    """

    def __init__(self, weight: Tensor, dtype: torch.dtype, dilation: int, relu: bool) -> None:
        self._relu = relu
        self._fused = has_fused_convolution()
        side = weight.shape[3]
        step, around = weight.shape[2] // side, dilation * (side // 2)
        self._stride, self._padding = [step, 1], [step * around, around]
        self._dilation = [dilation, dilation]
        weight = weight.detach().to(dtype).contiguous(memory_format=torch.channels_last)
        self._weight = weight
        if self._fused:
            self._weight = torch.ops.mkldnn._reorder_convolution_weight(
                weight,
                self._padding,
                self._stride,
                self._dilation,
                1,
                [1, weight.shape[1], 128, 128],
            )

    def __call__(self, maps: Tensor, bias: Tensor) -> Tensor:
        """Take a float32 bias, which is added before anything is rounded where it is fused."""
        if self._fused:
            return torch.ops.mkldnn._convolution_pointwise(
                maps, self._weight, bias, self._padding, self._stride, self._dilation, 1,
                'relu' if self._relu else 'none', [], '',
            )  # fmt: skip
        maps = functional.conv2d(
            maps, self._weight, bias.to(maps.dtype), self._stride, self._padding, self._dilation
        )
        return maps.relu_() if self._relu else maps


class _Biases:
    """
    What the convolutions add, for the frames of a moment: with their context, if that counts.

    In NumPy, for a fifth of the time that torch takes for so few numbers.
    """

    def __init__(self, biases: list[Tensor], student: Student) -> None:
        self._plain = [bias.detach() for bias in biases]
        self._has_context = student.has_context
        if not student.has_context:
            return
        first, _, last = student.context
        # Statistics of bytes are taken as they are.
        scale = 1 / (255 * student.spread)
        self._first = (first.weight * scale).detach().numpy()
        self._start = (
            (first.bias - first.weight @ (student.usual / student.spread)).detach().numpy()
        )
        self._last = last.weight.detach().numpy()
        self._hidden = (last.bias + torch.cat(biases[:-1])).detach().numpy()
        self._count = len(biases) - 1

    def __call__(self, vis: Tensor, ir: Tensor) -> list[Tensor]:
        """Return one for each convolution, for images (H, W) uint8."""
        if not self._has_context:
            return self._plain
        rows = (image[::STATISTICS_ROWS] for image in (vis, ir))
        numbers = np.array(byte_statistics(*rows), np.float32)
        inner = np.maximum(self._first @ numbers + self._start, 0)
        together = torch.from_numpy(self._last @ inner + self._hidden)
        return [*together.chunk(self._count), self._plain[-1]]


class _Memory:
    """Memory that is kept for frames of one size (H, W), and the ways in and out of the maps."""

    def __init__(self, size: torch.Size, factor: int, dtype: torch.dtype) -> None:
        height, width = size
        self.size = size
        self._words = _WORDS[factor * dtype.itemsize]
        self._shape = (height // factor, factor, width // factor)
        self._bytes = torch.empty(height, width, 2, dtype=torch.uint8)
        self._rows = torch.empty(1, height, width // factor, 2 * factor, dtype=dtype)
        self._maps = torch.empty(2, *size, dtype=dtype)
        self._planes = torch.empty(2, *size)
        self._floats = torch.empty(2, *size)

    def to_rows(self, vis: Tensor, ir: Tensor) -> Tensor:
        """Turn two images (H, W) uint8 into (1, 2 factor, H, W / factor) of [0, 255]."""
        interleave(vis, ir, self._bytes)
        self._rows.copy_(self._bytes.view(self._rows.shape))
        return self._rows.permute(0, 3, 1, 2)

    def to_planes(self, maps: Tensor) -> Tensor:
        """Undo it for the network's two maps, and return their sigmoid (2, H, W) float32."""
        rows, factor, columns = self._shape
        words = maps.permute(0, 2, 3, 1).view(self._words).view(rows, columns, 2, factor)
        whole = self._maps.view(self._words).view(2, rows, factor, columns)
        whole.copy_(words.permute(2, 0, 3, 1))
        return self._planes.copy_(self._maps).sigmoid_()

    def lerp(self, first: Tensor, second: Tensor, weight: Tensor) -> Tensor:
        """Blend two images (H, W) uint8 as float32 in [0, 255]."""
        floats = self._floats
        floats[0].copy_(first)
        floats[1].copy_(second)
        return torch.lerp(floats[0], floats[1], weight, out=floats[1])
