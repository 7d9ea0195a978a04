"""
The student: a small network that fuses luma and infrared on a CPU at video rate.

Convolutions and ReLU between a pixel-unshuffle and a pixel-shuffle, nothing else: without
normalisation layers a pixel depends only on its neighbourhood, so that video does not flicker
when something bright enters the scene, and every frame size is taken.
"""

from collections.abc import Sequence

from ir_vis_fusion.models.blocks import pad_to_multiple, unit_rms
import torch
from torch import nn, Tensor
from torch.nn import functional

RESIDUAL_LIMIT = 0.25
GUIDANCE_WIDTH = 16
GUIDES = ('vis_features', 'text_features')


class Student(nn.Module):
    """
    Blend of the two images with a bounded residual.

    F = w * ir + (1 - w) * vis_y + 0.25 * tanh(r), where the weight w = sigmoid(.) and the
    residual r come from the network for every pixel at full resolution: the result can leave
    the range of the two sources by 0.25 at most, and a missing source (mid-grey) does not
    destroy it. In eval mode the result is clamped to [0, 1]; in training it is not, because
    the clamp would stop gradients.

    ::

        vis_y, ir (B, 1, H, W) -> pad to a multiple of factor -> pixel-unshuffle
        -> (B, 2 factor^2, H/factor, W/factor) -> depth 3x3 convolutions of `width` channels
        -> one of last_side x last_side
        -> (B, 2 factor^2, H/factor, W/factor) -> pixel-shuffle -> w, r (B, 1, H, W)

    Time of a frame of 640x480 on two CPU cores with AVX512-BF16 (torch 2.14, median of 20, the
    networks in turn), in units of what OpenCV takes to convert its colours, blend and convert
    back, which is 0.4 ms where nothing else runs: by ``backends/student_cpu.py`` in bfloat16 and
    in float32, and by this module as it is. A width that is no multiple of 16 is padded to one.

    =====  ======  =====  ==========  ========  =======  ======
    width  factor  depth  parameters  bfloat16  float32  module
    =====  ======  =====  ==========  ========  =======  ======
    32     4       3          36 992       8.3     13.5    19.4
    32     4       4          46 240       9.6     17.0    23.7
    40     4       4          66 432      13.8     27.9    41.2
    48     4       3          69 296      12.5     23.2    30.1
    48     4       4          90 080      15.5     28.7    36.9
    64     4       3         110 816      18.2     34.0    44.3
    16     2       3           6 968       8.4     14.0    24.4
    24     2       3          13 904      14.9     26.9    54.7
    =====  ======  =====  ==========  ========  =======  ======

    There, a dilation of 2 costs nothing and one of 4 a tenth of its convolution; a last
    convolution of 1x1 takes an eighth off the whole network.

    With `guidance_features` a vector g may guide it, such as CLIP's embedding of an image or a
    text. Each hidden convolution's result is modulated before its ReLU (FiLM, Perez et al.,
    AAAI 2018, eq. 2; in fusion as in Text-IF, CVPR 2024)::

        x -> (1 + gamma) * x + beta,  (gamma, beta) of all layers = MLP(sqrt(E) g / |g|)

    The MLP's last layer starts as zeros, so the network starts as the plain student and is that
    without a vector, or with one of zeros. The modulation is an affine map of each convolution's
    result: for a vector that stays, :meth:`folded` works it into the weights.

    Parameters
    ----------
    width
        Channels of the hidden layers.
    factor
        Side of the pixel blocks that become channels.
    depth
        Number of hidden 3x3 convolutions.
    guidance_features
        Length E of the vector that guides it; 0: the plain student.
    guided_by
        What that vector is: ``vis_features``, CLIP's embedding of the visible image, or
        ``text_features``, that of a text; without meaning for the plain student.
    dilations
        Of each hidden convolution, in blocks; none: all 1. They let a pixel depend on more around
        it.
    last_side
        Side of the last convolution's kernel, 1 or 3.

    """

    color = False

    def __init__(
        self,
        width: int = 32,
        factor: int = 4,
        depth: int = 4,
        guidance_features: int = 0,
        guided_by: str = 'vis_features',
        dilations: Sequence[int] = (),
        last_side: int = 3,
    ) -> None:
        super().__init__()
        if min(width, factor, depth) < 1:
            raise ValueError('width, factor and depth must be 1 or more')
        if guidance_features < 0:
            raise ValueError('guidance_features must be 0 or more')
        if guided_by not in GUIDES:
            raise ValueError(f'guided_by must be one of {", ".join(GUIDES)}, got {guided_by!r}')
        if len(dilations or (1,) * depth) != depth or min(dilations, default=1) < 1:
            raise ValueError(f'dilations must be {depth} numbers from 1 on, got {dilations!r}')
        if last_side not in (1, 3):
            raise ValueError(f'last_side must be 1 or 3, got {last_side!r}')
        self.factor = factor
        self.guidance_features = guidance_features
        self.guidance = (guided_by,) if guidance_features else ()
        channels = 2 * factor**2
        layers: list[nn.Module] = []
        for step in dilations or (1,) * depth:
            inputs = width if layers else channels
            layers += [nn.Conv2d(inputs, width, 3, padding=step, dilation=step), nn.ReLU()]
        last = nn.Conv2d(width, channels, last_side, padding=last_side // 2)
        self.body = nn.Sequential(*layers, last)
        if guidance_features:
            last = nn.Linear(GUIDANCE_WIDTH, 2 * depth * width)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)
            self.film = nn.Sequential(
                nn.Linear(guidance_features, GUIDANCE_WIDTH), nn.GELU(), last
            )

    def forward(self, vis_y: Tensor, ir: Tensor, guidance: Tensor | None = None) -> Tensor:
        """
        Fuse a batch.

        Parameters
        ----------
        vis_y
            Luma of the visible image, (B, 1, H, W) float in [0, 1], H and W any from 32 on.
        ir
            Normalised infrared image of the same shape and range.
        guidance
            (B, E) or (1, E), of any length; a row of zeros, or None for the whole batch: the
            plain student.

        Returns
        -------
        The fused luma, (B, 1, H, W); in [0, 1] in eval mode.

        """
        height, width = vis_y.shape[-2:]
        sources = pad_to_multiple(torch.cat((vis_y, ir), dim=1), self.factor)
        blocks = functional.pixel_unshuffle(sources, self.factor)
        maps = self.body(blocks) if guidance is None else self._guided(blocks, guidance)
        # Under autocast the last step in float32: bfloat16 has 8 bits below 1.
        maps = functional.pixel_shuffle(maps.to(vis_y.dtype), self.factor)
        weight, residual = maps.chunk(2, 1)
        weight = weight[..., :height, :width].sigmoid()
        residual = residual[..., :height, :width].tanh()
        fused = torch.lerp(vis_y, ir, weight) + RESIDUAL_LIMIT * residual
        return fused if self.training else fused.clamp(0.0, 1.0)

    def example_inputs(self, height: int, width: int) -> tuple[Tensor, ...]:
        """Make inputs of one frame, by which the network's cost is counted."""
        frame = torch.zeros(1, 1, height, width)
        if not self.guidance_features:
            return frame, frame
        return frame, frame, torch.ones(1, self.guidance_features)

    def folded(self, guidance: Tensor | None = None) -> list[tuple[Tensor, Tensor]]:
        """
        Return weight and bias of each convolution, with the modulation by a vector worked in.

        With W and b for each, (1 + gamma) (W x + b) + beta is a convolution again.
        """
        layers = [(layer.weight, layer.bias) for layer in self.body[::2]]
        if guidance is None:
            return layers
        for index, (gamma, beta) in enumerate(self._modulations(guidance[:1])):
            weight, bias = layers[index]
            scale = 1 + gamma[0]
            layers[index] = (weight * scale[..., None], bias * scale.flatten() + beta.flatten())
        return layers

    def _guided(self, blocks: Tensor, guidance: Tensor) -> Tensor:
        hidden, last = self.body[:-1], self.body[-1]
        for convolution, activation, (gamma, beta) in zip(
            hidden[::2], hidden[1::2], self._modulations(guidance), strict=True
        ):
            blocks = activation(torch.addcmul(beta, convolution(blocks), 1 + gamma))
        return last(blocks)

    def _modulations(self, guidance: Tensor) -> list[tuple[Tensor, Tensor]]:
        """Return gamma and beta, (B, width, 1, 1), of each hidden convolution."""
        if guidance.dim() != 2 or guidance.shape[1] != self.guidance_features:
            raise ValueError(
                f'guidance must be (B, {self.guidance_features}), got {tuple(guidance.shape)}'
                if self.guidance_features
                else 'a student without guidance_features takes no guidance'
            )
        modulation = self.film(unit_rms(guidance)) * guidance.any(dim=1, keepdim=True)
        each = modulation[..., None, None].chunk(len(self.body) // 2, 1)
        return [one.chunk(2, 1) for one in each]
