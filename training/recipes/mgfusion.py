"""
MGFusion: CLIP's image features injected into a Restormer network.

Read from :class:`Recipe` on; the loop is ``training/loop.py``, the configuration
``training/configs/mgfusion.yaml``, the network and its paper ``ir_vis_fusion/models/mgfusion.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ir_vis_fusion.config import flatten, group, setting, Settings
import torch
from torch import nn, Tensor
from training import loop, recipe
from training.augmentations import Batch
from training.chance import Chance
from training.datasets import ImagePair
from training.features import FeatureCache, FeatureSettings
from training.fidelity import fidelity, FidelitySettings


@dataclass(frozen=True)
class ModelSettings(Settings):
    """The arguments of MGFusion."""

    channels: int = setting(32, 'channels of either encoder', minimum=1)
    encoder_blocks: int = setting(2, 'Restormer blocks of each encoder', minimum=1)
    decoder_blocks: int = setting(4, 'Restormer blocks of the decoder', minimum=1)
    heads: int = setting(4, 'attention heads', minimum=1)
    clip_features: int = setting(512, "length of CLIP's embeddings", minimum=4)
    cii: bool = setting(True, 'inject the features (the ablation of the paper: false)')
    cff: bool = setting(True, 'weigh and gate by the features (the same)')


@dataclass(frozen=True)
class RecipeSettings(recipe.RunSettings):
    """All that a run is made of."""

    model: ModelSettings = group(ModelSettings)
    fidelity: FidelitySettings = group(FidelitySettings)
    features: FeatureSettings = group(FeatureSettings)


class Recipe(recipe.Recipe):
    """
    Train MGFusion on crops with CLIP's features of the whole images.

    The paper shows CLIP the crop; we show it the frame, as on the robot, which also lets the
    features be cached.
    """

    def __init__(self, settings: RecipeSettings) -> None:
        super().__init__(settings, 'mgfusion', flatten(settings.model))
        self._cache: FeatureCache | None = None
        self._features: dict[str, tuple[Tensor, Tensor]] = {}

    def start(self, device: torch.device, pairs: list[ImagePair]) -> list[ImagePair]:
        """Have the features of all pairs ready."""
        if self.network.guidance:
            self._cache = FeatureCache(self.settings.features, device)
            self._features = self._cache.of_pairs(
                pairs, self.settings.model.clip_features, keep=not self.dry_run
            )
        return super().start(device, pairs)

    def losses(
        self,
        network: nn.Module,
        batch: Batch,
        step: int,  # noqa: ARG002
        chance: Chance,  # noqa: ARG002
    ) -> dict[str, Tensor]:
        """Fuse and compare with the clean sources."""
        features: tuple[Tensor, ...] = ()
        if self.network.guidance:
            rows = [self._features[name] for name in batch.names]
            features = tuple(torch.stack(one).to(self.device) for one in zip(*rows, strict=True))
        fused = network(batch.vis_y, batch.ir, *features)
        return fidelity(self.settings.fidelity, fused, batch)

    def tower(self) -> Callable[[Tensor], Tensor] | None:
        """Return the cache: validation sees the features that it holds."""
        return self._cache

    def facts_of_clip(self) -> dict[str, Any]:
        """Name the CLIP that made the features."""
        return {'name': self.settings.features.clip.name} if self.network.guidance else {}


def train(settings: RecipeSettings, command: str, dry_run: bool = False) -> None:
    """Train by the shared loop."""
    loop.train(Recipe, settings, command, dry_run)
