"""
TextFusion: cross-attention fusion in colour, modulated by CLIP's description of the scene.

Read from :class:`Recipe` on; the loop is ``training/loop.py``, the configuration
``training/configs/textfusion.yaml``, the network and its paper
``ir_vis_fusion/models/textfusion.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ir_vis_fusion.config import flatten, group, GuidanceSettings, setting, Settings
from ir_vis_fusion.errors import ConfigError
import torch
from torch import nn, Tensor
from training import loop, recipe
from training.augmentations import Batch, rgb_luma
from training.chance import Chance
from training.datasets import ImagePair
from training.features import FeatureCache, FeatureSettings, of_batch
from training.fidelity import fidelity, FidelitySettings
from training.losses import chroma_loss, selective_intensity_loss

LEVELS = 3


@dataclass(frozen=True)
class ModelSettings(Settings):
    """The arguments of TextFusion."""

    channels: int = setting(32, 'channels at half scale', minimum=1)
    blocks: int = setting(2, 'Restormer blocks of each level', minimum=1)
    heads: int = setting(1, 'attention heads at half scale', minimum=1)
    text_features: int = setting(512, "length of CLIP's embeddings", minimum=1)
    text_hidden: int = setting(1024, 'width of the hidden layer of each FiLM', minimum=1)


@dataclass(frozen=True)
class LossSettings(Settings):
    """Weights of the terms of colour; those of luma are in ``fidelity``."""

    chroma: float = setting(12.0, 'weight of the colours of the visible image', minimum=0)
    selective: float = setting(
        0.0, "weight of Text-IF's own intensity, in RGB; at odds with the colours", minimum=0
    )


@dataclass(frozen=True)
class RecipeSettings(recipe.RunSettings):
    """All that a run is made of."""

    text_dropout: float = setting(
        0.2, 'share of crops without a text; 1: a network without texts', minimum=0, maximum=1
    )
    bank: str = setting(
        '', 'FILE[#TENSOR] of an embedding bank: the names that scenes are described with'
    )
    model: ModelSettings = group(ModelSettings)
    fidelity: FidelitySettings = group(FidelitySettings)
    loss: LossSettings = group(LossSettings)
    features: FeatureSettings = group(FeatureSettings)


class Recipe(recipe.Recipe):
    """
    Train TextFusion with descriptions composed from an embedding bank.

    CLIP looks at the visible image of every pair; the text vectors of the names that fit best,
    averaged by their probabilities, are the description. A share of the crops has none, so
    that the network works without.
    """

    def __init__(self, settings: RecipeSettings) -> None:
        config = flatten(settings.model) | {'blocks': [settings.model.blocks] * LEVELS}
        if settings.text_dropout < 1 and not settings.bank:
            raise ConfigError(
                'textfusion needs the names that scenes are described with: set bank=FILE, '
                'which `ivf prompts encode` writes, or text_dropout=1 for a network without texts'
            )
        super().__init__(settings, 'textfusion', config)
        self._cache: FeatureCache | None = None
        self._texts: dict[str, Tensor] = {}

    def start(self, device: torch.device, pairs: list[ImagePair]) -> list[ImagePair]:
        """Describe all pairs."""
        settings = self.settings
        if settings.text_dropout < 1:
            self._cache = FeatureCache(settings.features, device)
            self._texts = self._cache.descriptions(
                pairs, settings.bank, settings.model.text_features, keep=not self.dry_run
            )
        return super().start(device, pairs)

    def losses(
        self,
        network: nn.Module,
        batch: Batch,
        step: int,  # noqa: ARG002
        chance: Chance,
    ) -> dict[str, Tensor]:
        """Fuse in colour and compare with the clean sources."""
        fused = network(batch.vis, batch.ir, self._features(batch, chance))
        weights = self.settings.loss
        losses = fidelity(self.settings.fidelity, rgb_luma(fused), batch)
        losses['chroma'] = weights.chroma * chroma_loss(fused, batch.clean_vis)
        if weights.selective:
            term = selective_intensity_loss(fused, batch.clean_ir, batch.clean_vis)
            losses['selective'] = weights.selective * term
        return losses

    def _features(self, batch: Batch, chance: Chance) -> Tensor | None:
        """Return the text features of a batch, zeros where a crop goes without."""
        if not self._texts:
            return None
        return of_batch(self._texts, batch.names, self.settings.text_dropout, chance)

    def guidance(self) -> GuidanceSettings:
        """Describe in validation as in training."""
        if not self._texts:
            return GuidanceSettings()
        return GuidanceSettings(clip=self.settings.features.clip, bank=self.settings.bank)

    def tower(self) -> Callable[[Tensor], Tensor] | None:
        """Return the cache: validation sees the features that it holds."""
        return self._cache

    def facts_of_clip(self) -> dict[str, Any]:
        """Name the CLIP that the descriptions come from."""
        return {'name': self.settings.features.clip.name} if self._texts else {}


def train(settings: RecipeSettings, command: str, dry_run: bool = False) -> None:
    """Train by the shared loop."""
    loop.train(Recipe, settings, command, dry_run)
