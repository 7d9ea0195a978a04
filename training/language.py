"""The language-driven loss of LDFusion: towards what the texts say, in CLIP's space."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ir_vis_fusion.config import ClipSettings, group, setting, Settings
import torch
from torch import Tensor
from training.augmentations import Batch
from training.chance import Chance
from training.clip import ClipLoss, draw_patches, encode_texts, TextSettings
from training.losses import (
    direction_loss,
    perceptual_loss,
    similarity_loss,
    strongest,
)
from training.vgg import load_vgg19


@dataclass(frozen=True)
class LanguageSettings(Settings):
    """
    Weights and cost of the terms, all times scale.

    Those of the paper are 2, 10, 6 and 10, the last for a sum over three layers: 30 here, where
    layers are averaged.
    """

    scale: float = setting(1.0, 'weight of the whole; 0: without CLIP', minimum=0)
    direction: float = setting(2.0, 'weight of the direction of whole crops', minimum=0)
    patch: float = setting(10.0, 'weight of the direction of patches', minimum=0)
    similarity: float = setting(6.0, 'weight of staying near the sources', minimum=0)
    perceptual: float = setting(10.0, 'weight of the stronger features', minimum=0)
    perceptual_by: str = setting(
        'clip', "features of that term: CLIP's tokens or VGG-19's maps", choices=('clip', 'vgg')
    )
    vgg: str = setting('torchvision', 'weights of VGG-19: torchvision, or a .safetensors file')
    after: int = setting(0, 'steps before these terms set in', minimum=0)
    every: int = setting(
        1,
        'steps between two that have these terms, then weighted as much more (clip_norm must '
        'leave room for that)',
        minimum=1,
    )
    crops: int = setting(16, 'crops of a batch that have these terms', minimum=1)
    patches: int = setting(16, 'patches cut from each crop', minimum=1)
    least_bits: float = setting(
        6.0, 'entropy that a patch must have in both sources', unit='bits', minimum=0, maximum=8
    )
    texts: TextSettings = group(TextSettings)
    clip: ClipSettings = group(ClipSettings)


class Perception:
    """
    Features of images (B, 1 or 3, H, W) for perceptual terms: CLIP's tokens or VGG-19's maps.

    Parameters
    ----------
    settings
        Which of them.
    device
        Where they are computed.
    clip
        The tower, where it is loaded already.

    """

    def __init__(
        self, settings: LanguageSettings, device: torch.device, clip: ClipLoss | None = None
    ) -> None:
        self._features: Callable[[Tensor], list[Tensor]]
        if settings.perceptual_by == 'vgg':
            self._features = load_vgg19(settings.vgg, device)
        else:
            self._features = (clip or ClipLoss(settings.clip, device)).tokens

    def __call__(self, images: Tensor) -> list[Tensor]:
        """Return one tensor a layer, as perceptual_loss compares them."""
        return self._features(images)


class LanguageLoss:
    """
    Direction by crop and by patch, similarity, perceptual term, of every ``every``-th step.

    Raises
    ------
    GuidanceError
        Where CLIP cannot be had or the texts cannot be encoded.

    """

    def __init__(self, settings: LanguageSettings, device: torch.device) -> None:
        self._settings = settings
        self._clip = ClipLoss(settings.clip, device)
        self._texts = encode_texts(settings.texts, settings.clip, device)
        self._perception = (
            Perception(settings, device, self._clip) if settings.perceptual else None
        )

    def __call__(
        self, fused: Tensor, batch: Batch, step: int, chance: Chance
    ) -> dict[str, Tensor]:
        """Return the weighted terms of a fused luma (B, 1, S, S) against the clean sources."""
        settings = self._settings
        if step < settings.after or step % settings.every:
            return {}
        crops = slice(settings.crops)
        fused, vis_y, ir = fused[crops], batch.clean_vis_y[crops], batch.clean_ir[crops]
        found, *sources = (
            self._clip.features(fused),
            self._clip.constant(vis_y),
            self._clip.constant(ir),
        )
        terms = {
            'direction': direction_loss(found, *sources, *self._texts),
            'similarity': similarity_loss(found, *sources),
        }
        if settings.patch:
            terms['patch'] = self._patch(fused, vis_y, ir, sources, chance)
        if self._perception:
            terms['perceptual'] = self._perceptual(fused, vis_y, ir)
        weight = settings.scale * settings.every
        return {name: weight * getattr(settings, name) * term for name, term in terms.items()}

    def _patch(
        self, fused: Tensor, vis_y: Tensor, ir: Tensor, sources: list[Tensor], chance: Chance
    ) -> Tensor:
        settings = self._settings
        accepted, patches = draw_patches(
            fused, vis_y, ir, settings.patches, settings.least_bits, chance
        )
        features = torch.zeros(*accepted.shape, sources[0].shape[-1], device=fused.device)
        if len(patches):
            # Rejected ones count as zero in the mean whatever they are: CLIP need not see them.
            features = features.masked_scatter(accepted[..., None], self._clip.features(patches))
        return direction_loss(features, *sources, *self._texts, accepted=accepted)

    def _perceptual(self, fused: Tensor, vis_y: Tensor, ir: Tensor) -> Tensor:
        with torch.no_grad():
            target = strongest(self._perception(vis_y), self._perception(ir))
        return perceptual_loss(self._perception(fused), target)


def shortened(settings: LanguageSettings) -> LanguageSettings:
    """Return settings for a dry run: every step, one crop."""
    return replace(settings, after=0, every=1, crops=1, patches=min(settings.patches, 2))
