"""
The student: real time, by fidelity alone or taught by any of the four systems.

Read from :class:`Recipe` on; the loop is ``training/loop.py``, the configurations
``training/configs/student*.yaml``, the network ``ir_vis_fusion/models/student.py``.
"""

from collections.abc import Callable
from dataclasses import dataclass
import math
from typing import Any

from accelerate.utils import reduce
from ir_vis_fusion.config import flatten, group, setting, Settings
import torch
from torch import nn, Tensor
from training import loop, recipe
from training.augmentations import Batch, rgb_luma
from training.chance import Chance
from training.datasets import ImagePair
from training.degradations import DEGRADATIONS
from training.features import FeatureCache, FeatureSettings
from training.fidelity import fidelity, FidelitySettings
from training.language import LanguageLoss, LanguageSettings
from training.losses import distillation_loss
from training.teacher import teach


@dataclass(frozen=True)
class ModelSettings(Settings):
    """The arguments of Student."""

    width: int = setting(32, 'channels of the hidden layers', minimum=1)
    factor: int = setting(4, 'side of the pixel blocks that become channels', minimum=1)
    depth: int = setting(4, 'number of hidden convolutions', minimum=1)
    guidance_features: int = setting(
        0, "length of CLIP's embeddings that guide it; 0: the plain student", minimum=0
    )


@dataclass(frozen=True)
class TeacherSettings(Settings):
    """Learning from another network's results, on harder inputs than the teacher had."""

    model: str = setting('', 'shipped name or checkpoint of the teacher; empty: none')
    weight: float = setting(1.0, 'weight of its results in the beginning', minimum=0)
    final_weight: float = setting(0.3, 'weight in the end', minimum=0)
    hold: float = setting(
        0.3, 'share of the run before it falls, and own learning rises', minimum=0, maximum=1
    )
    degraded: float = setting(
        0.5, 'share of each batch whose inputs are made harder', minimum=0, maximum=1
    )
    memory: float = setting(
        0.98, 'how slowly the gap for each way of making them harder is forgotten', minimum=0
    )


@dataclass(frozen=True)
class RecipeSettings(recipe.RunSettings):
    """All that a run is made of."""

    guidance_dropout: float = setting(
        0.2, 'share of crops without guidance, where there is any', minimum=0, maximum=1
    )
    model: ModelSettings = group(ModelSettings)
    fidelity: FidelitySettings = group(FidelitySettings)
    teacher: TeacherSettings = group(TeacherSettings)
    language: LanguageSettings = group(LanguageSettings)
    features: FeatureSettings = group(FeatureSettings)


class Recipe(recipe.Recipe):
    """
    Train the student on fidelity; with a teacher, on its results and on its own.

    The journal version of LDFusion (TNNLS 2026) lets the student learn by itself under the
    supervision of the teacher; AgentFuse, of the same authors, makes its inputs harder as an
    agent chooses. Here a bandit does: each way of making them harder is chosen as often as
    the gap to the teacher behind it is large. Targets are always those of the clean pair.
    The language-driven loss comes in while the teacher's weight falls.
    """

    def __init__(self, settings: RecipeSettings) -> None:
        super().__init__(settings, 'student', flatten(settings.model))
        self.facts = {'gaps': dict.fromkeys(DEGRADATIONS, 1.0)}
        self._language: LanguageLoss | None = None
        self._cache: FeatureCache | None = None
        self._features: dict[str, Tensor] = {}

    def start(self, device: torch.device, pairs: list[ImagePair]) -> list[ImagePair]:
        """Let the teacher fuse all pairs; load CLIP, if it has a weight."""
        settings = self.settings
        if settings.language.scale:
            self._language = LanguageLoss(settings.language, device)
        needs_features = settings.model.guidance_features > 0
        if needs_features or settings.teacher.model:
            self._cache = FeatureCache(settings.features, device)
        if settings.teacher.model:
            pairs = teach(pairs, settings.teacher.model, str(device), self._cache)
        if needs_features:
            found = self._cache.of_pairs(pairs, keep=not self.dry_run)
            self._features = {name: vis_features for name, (vis_features, _) in found.items()}
        return super().start(device, pairs)

    def losses(
        self, network: nn.Module, batch: Batch, step: int, chance: Chance
    ) -> dict[str, Tensor]:
        """Fuse, the inputs of a share made harder, and compare with clean sources and teacher."""
        settings, taught = self.settings, batch.teacher is not None
        vis_y, ir, kind = batch.vis_y, batch.ir, None
        if taught:
            vis_y, ir, kind = self._harder(batch, chance)
        fused = network(vis_y, ir, *self._guidance(batch, chance))
        losses = fidelity(settings.fidelity, fused, batch)
        share = self._share(step)
        if taught:
            teacher = settings.teacher
            weight = teacher.final_weight + (teacher.weight - teacher.final_weight) * (1 - share)
            losses['teacher'] = weight * distillation_loss(fused, batch.teacher)
            self._remember(kind, fused.detach(), batch.teacher)
        if self._language and (weight := share if taught else 1.0):
            terms = self._language(fused, batch, step, chance)
            losses |= {name: weight * term for name, term in terms.items()}
        return losses

    def tower(self) -> Callable[[Tensor], Tensor] | None:
        """Return the cache: validation sees the features that it holds."""
        return self._cache if self._features else None

    def facts_of_clip(self) -> dict[str, Any]:
        """Name the CLIP that guides, if one does."""
        return {'name': self.settings.features.clip.name} if self._features else {}

    def _share(self, step: int) -> float:
        """Return how far the student is on its own: 0 while it is held, then up to 1."""
        hold = self.settings.teacher.hold
        if hold == 1:
            return 0.0
        late = (step / self.settings.steps - hold) / (1 - hold)
        return 0.5 - 0.5 * math.cos(math.pi * max(0.0, late))

    def _harder(self, batch: Batch, chance: Chance) -> tuple[Tensor, Tensor, str]:
        """Degrade the first crops of a batch in one way, that of a large gap by preference."""
        gaps = self.facts['gaps']
        kind = list(gaps)[chance.choose(list(gaps.values()))[0]]
        count = round(self.settings.teacher.degraded * len(batch.ir))
        vis, ir = DEGRADATIONS[kind](batch.vis[:count], batch.ir[:count], chance)
        vis, ir = torch.cat((vis, batch.vis[count:])), torch.cat((ir, batch.ir[count:]))
        return rgb_luma(vis), ir, kind

    def _remember(self, kind: str, fused: Tensor, teacher: Tensor) -> None:
        """Follow the gap behind each way of making inputs harder, over all processes."""
        count = round(self.settings.teacher.degraded * len(fused))
        if not count:
            return
        kinds = list(self.facts['gaps'])
        seen = torch.zeros(2, len(kinds), device=fused.device)
        gap = (fused[:count] - teacher[:count]).abs().mean()
        seen[:, kinds.index(kind)] = torch.stack((gap, torch.ones_like(gap)))
        sums, counts = reduce(seen, 'sum').tolist()
        memory = self.settings.teacher.memory
        for name, total, times in zip(kinds, sums, counts, strict=True):
            if times:
                old = self.facts['gaps'][name]
                self.facts['gaps'][name] = memory * old + (1 - memory) * total / times

    def _guidance(self, batch: Batch, chance: Chance) -> tuple[Tensor, ...]:
        """Return the features that guide the batch, zeros where a crop goes without."""
        if not self._features:
            return ()
        dropout = self.settings.guidance_dropout
        rows = [self._features[pair.name] * (not chance.happens(dropout)) for pair in batch.pairs]
        return (torch.stack(rows).to(self.device),)


def train(settings: RecipeSettings, command: str, dry_run: bool = False) -> None:
    """Train by the shared loop."""
    loop.train(Recipe, settings, command, dry_run)
