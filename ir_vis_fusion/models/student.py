"""
The student: a small network that fuses luma and infrared on a CPU at video rate.

Convolutions and ReLU between a pixel-unshuffle and a pixel-shuffle: a pixel depends on its
neighbourhood, and every frame size is taken. Of the rest of the frame it may know six numbers,
which shift its layers smoothly; there are no normalisation layers, with which all of a video
flickers when something bright enters the scene.
"""

from collections.abc import Sequence

from ir_vis_fusion.models.blocks import pad_to_multiple, unit_rms
import torch
from torch import nn, Tensor
from torch.nn import functional

RESIDUAL_LIMIT = 0.25
GUIDANCE_WIDTH = 16
GUIDES = ('vis_features', 'text_features')
# Statistics of a frame are those of every fourth row: near enough, and a quarter of the time.
STATISTICS_ROWS = 4
# What they are like, and how far they are from that, on the pairs that are trained on.
_USUAL = (0.35, 0.35, 0.25, 0.15, 0.15, 0.2)
_SPREAD = (0.25, 0.25, 0.25, 0.125, 0.125, 0.125)


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
        -> (B, 2 factor^2, H/factor, W/factor) -> depth convolutions of `width` channels, the
        first of first_side x first_side, the others 3x3 -> one of last_side x last_side
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

    There, a dilation of 2 costs nothing and one of 4 a tenth of its convolution; a first or a last
    convolution of 1x1 takes an eighth off the whole network each.

    With `context`, :func:`statistics` of the whole frame shift what the hidden convolutions give,
    before their ReLU::

        x -> x + s,  (s of all layers) = MLP(statistics)

    What is light or dark in a picture is so by comparison with the rest of it, which the
    neighbourhood does not show. A shift is a bias, so it costs no pass over the image. The MLP's
    last layer starts as zeros.

    With `guidance_features` a vector g may guide it, such as CLIP's embedding of an image or a
    text. Each hidden convolution's result is modulated before its ReLU (FiLM, Perez et al.,
    AAAI 2018, eq. 2; in fusion as in Text-IF, CVPR 2024)::

        x -> (1 + gamma) * x + beta,  (gamma, beta) of all layers = MLP(sqrt(E) g / |g|)

    The MLP's last layer starts as zeros, so the network starts as the plain student and is that
    without a vector, or with one of zeros. The modulation is an affine map of each convolution's
    result: for a vector that stays, :meth:`folded` works it into the weights. The shifts by the
    context come after it.

    Parameters
    ----------
    width
        Channels of the hidden layers.
    factor
        Side of the pixel blocks that become channels.
    depth
        Number of hidden convolutions.
    guidance_features
        Length E of the vector that guides it; 0: the plain student.
    guided_by
        What that vector is: ``vis_features``, CLIP's embedding of the visible image, or
        ``text_features``, that of a text; without meaning for the plain student.
    dilations
        Of each hidden convolution, in blocks; none: all 1. They let a pixel depend on more around
        it.
    first_side, last_side
        Sides of the first and of the last convolution's kernel, 1 or 3. A first one of 1 sees its
        block of pixels only.
    context
        Width of the MLP that takes the statistics of the frame; 0: none.

    """

    color = False
    # A training may add these to a network that was trained without.
    idle_at_first = ('film', 'context')

    def __init__(
        self,
        width: int = 32,
        factor: int = 4,
        depth: int = 4,
        guidance_features: int = 0,
        guided_by: str = 'vis_features',
        dilations: Sequence[int] = (),
        last_side: int = 3,
        context: int = 0,
        first_side: int = 3,
    ) -> None:
        super().__init__()
        if min(width, factor, depth) < 1:
            raise ValueError('width, factor and depth must be 1 or more')
        if min(guidance_features, context) < 0:
            raise ValueError('guidance_features and context must be 0 or more')
        if guided_by not in GUIDES:
            raise ValueError(f'guided_by must be one of {", ".join(GUIDES)}, got {guided_by!r}')
        if len(dilations or (1,) * depth) != depth or min(dilations, default=1) < 1:
            raise ValueError(f'dilations must be {depth} numbers from 1 on, got {dilations!r}')
        for name, side in (('first_side', first_side), ('last_side', last_side)):
            if side not in (1, 3):
                raise ValueError(f'{name} must be 1 or 3, got {side!r}')
        self.factor = factor
        self.guidance_features = guidance_features
        self.guidance = (guided_by,) if guidance_features else ()
        channels = 2 * factor**2
        layers: list[nn.Module] = []
        for step in dilations or (1,) * depth:
            inputs, side = (width, 3) if layers else (channels, first_side)
            around = step * (side // 2)
            layers += [nn.Conv2d(inputs, width, side, padding=around, dilation=step), nn.ReLU()]
        last = nn.Conv2d(width, channels, last_side, padding=last_side // 2)
        self.body = nn.Sequential(*layers, last)
        if guidance_features:
            self.film = _perceptron(
                guidance_features, GUIDANCE_WIDTH, 2 * depth * width, nn.GELU()
            )
        self.has_context = context > 0
        if context:
            self.context = _perceptron(len(_USUAL), context, depth * width, nn.ReLU())
            self.register_buffer('usual', torch.tensor(_USUAL), persistent=False)
            self.register_buffer('spread', torch.tensor(_SPREAD), persistent=False)

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
        maps = self._maps(blocks, self.shifts(vis_y, ir), self._modulations(guidance))
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

    def shifts(self, vis_y: Tensor, ir: Tensor) -> list[Tensor]:
        """Return what a frame's context adds to each hidden layer, (B, width) each; none: []."""
        if not self.has_context:
            return []
        return self.shifts_by(statistics(vis_y, ir))

    def shifts_by(self, numbers: Tensor) -> list[Tensor]:
        """Do it by :func:`statistics` (B, 6)."""
        together = self.context((numbers - self.usual) / self.spread)
        return list(together.chunk(len(self.body) // 2, 1))

    def folded(self, guidance: Tensor | None = None) -> list[tuple[Tensor, Tensor]]:
        """
        Return weight and bias of each convolution, with the modulation by a vector worked in.

        With W and b for each, (1 + gamma) (W x + b) + beta is a convolution again.
        """
        layers = [(layer.weight, layer.bias) for layer in self.body[::2]]
        for index, (gamma, beta) in enumerate(self._modulations(guidance)):
            weight, bias = layers[index]
            scale = 1 + gamma[0]
            layers[index] = (weight * scale[..., None], bias * scale.flatten() + beta.flatten())
        return layers

    @torch.no_grad()
    def round_weights(self) -> None:
        """
        Round the convolutions' weights to numbers that bfloat16 holds.

        Then arithmetic in bfloat16 has the very same weights as in float32, and differs by what
        lies between the layers alone: of the one that ships 0.7 % of RoadScene's pixels were off
        by more than a level, and three in a million are. The first convolution takes bytes where
        that is done (:mod:`ir_vis_fusion.backends.student_cpu`), so its weights are 255 times
        such numbers.
        """
        scales = [255.0] + [1.0] * (len(self.body) // 2)
        for layer, scale in zip(self.body[::2], scales, strict=True):
            layer.weight.copy_((layer.weight / scale).bfloat16().float() * scale)

    def _maps(
        self, blocks: Tensor, shifts: list[Tensor], modulations: list[tuple[Tensor, Tensor]]
    ) -> Tensor:
        hidden = self.body[:-1:2]
        for index, convolution in enumerate(hidden):
            blocks = convolution(blocks)
            if modulations:
                gamma, beta = modulations[index]
                blocks = torch.addcmul(beta, blocks, 1 + gamma)
            if shifts:
                blocks = blocks + shifts[index][..., None, None]
            blocks = blocks.relu()
        return self.body[-1](blocks)

    def _modulations(self, guidance: Tensor | None) -> list[tuple[Tensor, Tensor]]:
        """Return gamma and beta, (B, width, 1, 1), of each hidden convolution; none: []."""
        if guidance is None:
            return []
        if guidance.dim() != 2 or guidance.shape[1] != self.guidance_features:
            raise ValueError(
                f'guidance must be (B, {self.guidance_features}), got {tuple(guidance.shape)}'
                if self.guidance_features
                else 'a student without guidance_features takes no guidance'
            )
        modulation = self.film(unit_rms(guidance)) * guidance.any(dim=1, keepdim=True)
        each = modulation[..., None, None].chunk(len(self.body) // 2, 1)
        return [one.chunk(2, 1) for one in each]


def statistics(vis_y: Tensor, ir: Tensor) -> Tensor:
    """
    Return six numbers of a pair of frames, (B, 6) float32.

    Means of luma V, infrared I and abs(I - V); standard deviations of V, I and I - V, which hold
    the correlation of both.

    Parameters
    ----------
    vis_y, ir
        (B, 1, H, W) float in [0, 1].

    """
    vis_y, ir = (one[..., ::STATISTICS_ROWS, :].float() for one in (vis_y, ir))
    change = ir - vis_y
    planes = torch.cat((vis_y, ir, change), 1)
    means = planes.mean((2, 3))
    variances = ((planes - means[..., None, None]) ** 2).mean((2, 3))
    # At zero the root has no slope.
    spreads = variances.clamp(min=1e-9).sqrt()
    return torch.cat((means[:, :2], change.abs().mean((2, 3)), spreads), 1)


def _perceptron(inputs: int, width: int, outputs: int, activation: nn.Module) -> nn.Sequential:
    """Make one that gives zeros at first."""
    last = nn.Linear(width, outputs)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(inputs, width), activation, last)
