"""
MGFusion: a Restormer fusion network that is guided by CLIP's embeddings of both images.

"MGFusion: a multimodal large language model-guided information perception for infrared and
visible image fusion", Frontiers in Neurorobotics 18:1521603, 2024
(doi 10.3389/fnbot.2024.1521603). No text is used, and CLIP itself is not part of the network.
"""

from ir_vis_fusion.models.blocks import RestormerBlock, SobelMagnitude, unit_rms
import torch
from torch import nn, Tensor
from torch.nn import functional

MOMENTUM = 0.01


class MGFusion(nn.Module):
    """
    Encode both images, inject and gate by CLIP's image features, decode to one luma.

    ::

        vis_y -> VIE -> F_v -+-> CII -+-> CFF -> F_f -> FD -> fused
        ir    -> IRE -> F_i -+-> CII -+

    IRE, VIE: two 3x3 conv-BatchNorm-LeakyReLU layers and Restormer blocks, (B, C, H, W) at full
    resolution. CII, CFF: :class:`Injection`, :class:`GatedFusion`. FD: Restormer blocks at 2C,
    conv-BatchNorm-LeakyReLU to C, 3x3 convolution to one channel, (tanh + 1) / 2.

    Where we differ from the paper, or chose because it does not say: sizes, activation slope;
    the result is mapped from (-1, 1) to (0, 1); each image has its own CII weights; CLIP's
    features are brought to components of size one (:func:`blocks.unit_rms`), so that raw and
    unit embeddings give the same result; where there are none, as on a robot without CLIP, the
    mean of those seen in training stands in (:class:`FeatureMean`).

    Parameters
    ----------
    channels
        C of either encoder; a multiple of heads.
    encoder_blocks, decoder_blocks
        Restormer blocks of each encoder and of the decoder.
    heads
        Attention heads of every Restormer block.
    clip_features
        Length E of CLIP's image embeddings; 4 or more.
    cii, cff
        The paper's ablations: without cii the encoded maps pass unchanged, without cff they
        are only concatenated. Without both, the network takes no CLIP features at all.

    """

    color = False

    def __init__(
        self,
        channels: int = 32,
        encoder_blocks: int = 2,
        decoder_blocks: int = 4,
        heads: int = 4,
        clip_features: int = 512,
        cii: bool = True,
        cff: bool = True,
    ) -> None:
        super().__init__()
        if min(channels, encoder_blocks, decoder_blocks, heads) < 1 or clip_features < 4:
            raise ValueError('sizes must be 1 or more, clip_features 4 or more')
        self.clip_features = clip_features
        self.guidance = ('vis_features', 'ir_features') if cii or cff else ()
        self.vis_encoder = _encoder(channels, encoder_blocks, heads)
        self.ir_encoder = _encoder(channels, encoder_blocks, heads)
        self.vis_injection = Injection(channels, clip_features) if cii else None
        self.ir_injection = Injection(channels, clip_features) if cii else None
        self.fusion = GatedFusion(channels, clip_features) if cff else None
        self.vis_mean = FeatureMean(clip_features) if self.guidance else None
        self.ir_mean = FeatureMean(clip_features) if self.guidance else None
        self.decoder = nn.Sequential(
            *(RestormerBlock(2 * channels, heads) for _ in range(decoder_blocks)),
            *_convolution(2 * channels, channels),
            nn.Conv2d(channels, 1, 3, padding=1),
        )

    def forward(
        self,
        vis_y: Tensor,
        ir: Tensor,
        vis_features: Tensor | None = None,
        ir_features: Tensor | None = None,
    ) -> Tensor:
        """
        Fuse a batch.

        Parameters
        ----------
        vis_y
            Luma of the visible image, (B, 1, H, W) float in [0, 1], H and W any from 32 on.
        ir
            Normalised infrared image of the same shape and range.
        vis_features, ir_features
            CLIP's image embeddings of the visible (RGB) and the infrared image, (B, E) or
            (1, E), of any length; None, or a row of zeros: the mean of the training's. Ignored
            where both ablations are off.

        Returns
        -------
        The fused luma, (B, 1, H, W) in (0, 1).

        """
        vis_map, ir_map = self.vis_encoder(vis_y), self.ir_encoder(ir)
        if not self.guidance:
            return self._decode(torch.cat((ir_map, vis_map), dim=1))
        vis_features, ir_features = self.vis_mean(vis_features), self.ir_mean(ir_features)
        if self.vis_injection is not None:
            vis_map = self.vis_injection(vis_map, vis_features, ir_features)
            ir_map = self.ir_injection(ir_map, vis_features, ir_features)
        if self.fusion is None:
            return self._decode(torch.cat((ir_map, vis_map), dim=1))
        return self._decode(self.fusion(vis_map, ir_map, vis_features, ir_features))

    def example_inputs(self, height: int, width: int) -> tuple[Tensor, ...]:
        """Make inputs of one frame, by which the network's cost is counted."""
        frame = torch.zeros(1, 1, height, width)
        features = torch.zeros(1, self.clip_features)
        return frame, frame, features, features

    def _decode(self, fused: Tensor) -> Tensor:
        return (self.decoder(fused).tanh() + 1.0) / 2.0


class FeatureMean(nn.Module):
    """
    Bring features, (B, E), to unit RMS; where there are none, give the mean of those learnt.

    None stands for a whole batch without, a row of zeros for one sample.

    The mean is that of unit vectors: the first batch's, which each later batch in training moves
    by a hundredth. It is all zeros before.
    """

    def __init__(self, features: int) -> None:
        super().__init__()
        self.register_buffer('mean', torch.zeros(features))

    def forward(self, features: Tensor | None) -> Tensor:
        """Take features of any length, (B, E) or (1, E), or None."""
        if features is None:
            return unit_rms(self.mean[None])
        if self.training:
            self._learn(features)
        return unit_rms(torch.where(features.any(dim=1, keepdim=True), features, self.mean))

    @torch.no_grad()
    def _learn(self, features: Tensor) -> None:
        now = functional.normalize(features.to(self.mean), dim=1).mean(dim=0)
        # On the device: no transfer is waited for in a training step.
        share = torch.where(self.mean.any(), MOMENTUM, 1.0)
        self.mean.lerp_(now, share.to(now))


class Injection(nn.Module):
    """
    CII: add what CLIP sees in both images to the map of one, where it helps.

    F' = F + sigmoid(SEP(F)) * A(W_i * Phi_i + (1 - W_i) * Phi_v), the adapter's vector spread
    over all pixels. W_i is learned for each of the E components (through a sigmoid, starting
    at 1/2); A is two linear layers, E to E/4 to C, with GELU between; SEP is two 3x3
    convolutions with ReLU between.
    """

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.ir_weight = nn.Parameter(torch.zeros(features))
        self.adapter = _adapter(features, channels)
        self.gate = _gate(channels)

    def forward(self, x: Tensor, vis_features: Tensor, ir_features: Tensor) -> Tensor:
        """Inject both embeddings, (B, E) of unit RMS, into a map, (B, C, H, W)."""
        features = torch.lerp(vis_features, ir_features, self.ir_weight.sigmoid())
        return x + self.gate(x).sigmoid() * self.adapter(features)[..., None, None]


class GatedFusion(nn.Module):
    """
    CFF: weigh the channels of either map by its image's embedding, then stress the edges.

    F_f = [IRA(Phi_i) * F_i, VIA(Phi_v) * F_v] and F_f + sigmoid(SAWP(Sobel(F_f))) * F_f, with
    the adapters IRA and VIA like A of :class:`Injection` and SAWP like SEP. The adapters'
    last layers start at bias 1 and small weights, so that training starts near a plain
    concatenation instead of multiplying the maps by noise around zero.
    """

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.vis_adapter = _adapter(features, channels)
        self.ir_adapter = _adapter(features, channels)
        for adapter in (self.vis_adapter, self.ir_adapter):
            nn.init.normal_(adapter[-1].weight, std=0.01)
            nn.init.ones_(adapter[-1].bias)
        self.gate = nn.Sequential(SobelMagnitude(), *_gate(2 * channels))

    def forward(
        self, vis_map: Tensor, ir_map: Tensor, vis_features: Tensor, ir_features: Tensor
    ) -> Tensor:
        """Join two maps, (B, C, H, W), to one of 2C channels, infrared first."""
        fused = torch.cat(
            (
                self.ir_adapter(ir_features)[..., None, None] * ir_map,
                self.vis_adapter(vis_features)[..., None, None] * vis_map,
            ),
            dim=1,
        )
        return fused + self.gate(fused).sigmoid() * fused


def _encoder(channels: int, blocks: int, heads: int) -> nn.Sequential:
    return nn.Sequential(
        *_convolution(1, channels),
        *_convolution(channels, channels),
        *(RestormerBlock(channels, heads) for _ in range(blocks)),
    )


def _convolution(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return (
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.LeakyReLU(0.2),
    )


def _adapter(features: int, channels: int) -> nn.Sequential:
    hidden = features // 4
    return nn.Sequential(nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, channels))


def _gate(channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(channels, channels, 3, padding=1),
    )
