"""
LDFusion: a loss that moves the fused image in CLIP's space as texts say, with an anchor.

Read from :class:`Recipe` on; the loop is ``training/loop.py``, the configuration
``training/configs/ldfusion.yaml``, the network and its paper ``ir_vis_fusion/models/ldfusion.py``.
"""

from dataclasses import dataclass, replace

from ir_vis_fusion.config import flatten, group, setting, Settings
import torch
from torch import nn, Tensor
from training import loop, recipe
from training.augmentations import Batch
from training.chance import Chance
from training.datasets import ImagePair
from training.fidelity import fidelity, FidelitySettings
from training.language import LanguageLoss, LanguageSettings, shortened


@dataclass(frozen=True)
class ModelSettings(Settings):
    """The arguments of LDFusion."""

    width: int = setting(16, 'channels of the first layer', minimum=1)
    blocks: int = setting(2, 'residual blocks of each content encoder and the decoder', minimum=1)
    style: int = setting(8, 'length of the style vectors', minimum=1)
    hidden: int = setting(256, 'width of the MLP from the styles', minimum=1)


@dataclass(frozen=True)
class RecipeSettings(recipe.RunSettings):
    """All that a run is made of."""

    model: ModelSettings = group(ModelSettings)
    fidelity: FidelitySettings = group(FidelitySettings)
    language: LanguageSettings = group(LanguageSettings)


class Recipe(recipe.Recipe):
    """
    Train LDFusion on its language-driven loss plus an anchor in the images themselves.

    The paper has no such anchor, and its results leave the sources far behind: brighter than
    both, with halos. ``fidelity.*=0`` is the paper's loss.
    """

    def __init__(self, settings: RecipeSettings) -> None:
        super().__init__(settings, 'ldfusion', flatten(settings.model))
        self._language: LanguageLoss | None = None

    @classmethod
    def shortened(cls, settings: RecipeSettings) -> RecipeSettings:
        """Show CLIP one crop in each of two small steps."""
        settings = super().shortened(settings)
        return replace(settings, language=shortened(settings.language))

    def start(self, device: torch.device, pairs: list[ImagePair]) -> list[ImagePair]:
        """Load CLIP and the texts, if they have a weight."""
        if self.settings.language.scale:
            self._language = LanguageLoss(self.settings.language, device)
        return super().start(device, pairs)

    def losses(
        self, network: nn.Module, batch: Batch, step: int, chance: Chance
    ) -> dict[str, Tensor]:
        """Fuse, compare with the clean sources and, with CLIP, with what the texts want."""
        fused = network(batch.vis_y, batch.ir)
        losses = fidelity(self.settings.fidelity, fused, batch)
        if self._language:
            losses |= self._language(fused, batch, step, chance)
        return losses


def train(settings: RecipeSettings, command: str, dry_run: bool = False) -> None:
    """Train by the shared loop."""
    loop.train(Recipe, settings, command, dry_run)
