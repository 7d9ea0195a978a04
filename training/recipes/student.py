"""
The student: real time, by fidelity alone or taught by any of the four systems.

Read from :class:`Recipe` on; the loop is ``training/loop.py``, the configurations
``training/configs/student*.yaml``, the network ``ir_vis_fusion/models/student.py``, how it
learns from a teacher ``training/teacher.py``.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
import math
from typing import Any

from ir_vis_fusion.config import flatten, group, GuidanceSettings, setting, Settings
import torch
from torch import nn, Tensor
from training import loop, recipe
from training.augmentations import Batch
from training.chance import Chance
from training.datasets import ImagePair
from training.features import FeatureCache, FeatureSettings, of_batch
from training.fidelity import fidelity, FidelitySettings
from training.language import LanguageLoss, LanguageSettings, Perception, shortened
from training.losses import consistency_loss, distillation_loss, perceptual_loss
from training.teacher import Bandit, teach, TeacherSettings

TEXT = 'text_features'


@dataclass(frozen=True)
class ModelSettings(Settings):
    """The arguments of Student; see :meth:`arguments`."""

    width: int = setting(32, 'channels of the hidden layers', minimum=1)
    factor: int = setting(4, 'side of the pixel blocks that become channels', minimum=1)
    depth: int = setting(4, 'number of hidden convolutions', minimum=1)
    dilations: str = setting(
        '', 'of each hidden convolution, with spaces between; empty: 1 for all of them'
    )
    first_side: int = setting(3, "side of the first convolution's kernel, 1 or 3", minimum=1)
    last_side: int = setting(3, "side of the last convolution's kernel, 1 or 3", minimum=1)
    context: int = setting(
        0, 'width of the perceptron that takes statistics of the whole frame; 0: none', minimum=0
    )
    guidance_features: int = setting(
        0, "length of CLIP's embeddings that guide it; 0: the plain student", minimum=0
    )
    guided_by: str = setting(
        'vis_features',
        'what they are of: the visible image, or texts that describe the scene',
        choices=('vis_features', TEXT),
    )

    def contradictions(self) -> Iterable[str]:
        """Yield what is no number."""
        if not all(one.isdecimal() for one in self.dilations.split()):
            yield f'dilations must be numbers with spaces between, got {self.dilations!r}'

    def arguments(self) -> dict[str, Any]:
        """Return them as Student takes them."""
        dilations = [int(one) for one in self.dilations.split()]
        return flatten(self) | {'dilations': dilations}


@dataclass(frozen=True)
class RecipeSettings(recipe.RunSettings):
    """All that a run is made of."""

    guidance_dropout: float = setting(
        0.2, 'share of crops without guidance, where there is any', minimum=0, maximum=1
    )
    bank: str = setting('', 'FILE[#TENSOR] of an embedding bank, for guidance by texts')
    consistency: float = setting(
        0.0, 'weight of fusing the same wherever the blocks of pixels begin', minimum=0
    )
    model: ModelSettings = group(ModelSettings)
    fidelity: FidelitySettings = group(FidelitySettings)
    teacher: TeacherSettings = group(TeacherSettings)
    language: LanguageSettings = group(LanguageSettings)
    features: FeatureSettings = group(FeatureSettings)

    def contradictions(self) -> Iterable[str]:
        """Yield faults in what belongs together."""
        names = ['radiometric_share', 'contrast_share', 'gamma_share']
        names += ['night_share', 'clear_share', 'lamp_share']
        changed = [name for name in names if getattr(self.augmentation, name)]
        if self.teacher.model and changed:
            yield (
                f'with a teacher, augmentation.{", ".join(changed)} must be 0: its results are '
                'those of the pairs as they are'
            )
        if self.consistency and self.model.factor == 1:
            yield 'consistency needs blocks of pixels, model.factor of at least 2'
        if self.model.guidance_features and self.model.guided_by == TEXT and not self.bank:
            yield 'guidance by texts needs bank=FILE, the names that scenes are described with'


class Recipe(recipe.Recipe):
    """
    Train the student on fidelity; with a teacher, on its results and on its own.

    The inputs of a share of the crops are made harder, the targets are always those of the
    clean pair. The language-driven loss comes in while the teacher's weight falls.
    """

    def __init__(self, settings: RecipeSettings) -> None:
        super().__init__(settings, 'student', settings.model.arguments())
        self.facts = {'gaps': Bandit.start()}
        self._language: LanguageLoss | None = None
        self._perception: Perception | None = None
        self._cache: FeatureCache | None = None
        self._features: dict[str, Tensor] = {}

    @classmethod
    def shortened(cls, settings: RecipeSettings) -> RecipeSettings:
        """Show CLIP one crop in each of two small steps."""
        settings = super().shortened(settings)
        return replace(settings, language=shortened(settings.language))

    def start(self, device: torch.device, pairs: list[ImagePair]) -> list[ImagePair]:
        """Let the teacher fuse all pairs; load CLIP, if it has a weight."""
        settings = self.settings
        if settings.language.scale:
            self._language = LanguageLoss(settings.language, device)
        if settings.teacher.model or settings.model.guidance_features:
            self._cache = FeatureCache(settings.features, device)
        if settings.teacher.model:
            pairs = teach(pairs, settings.teacher, settings.thermal, device, self._cache)
            if settings.teacher.perceptual:
                self._perception = Perception(settings.language, device)
        if settings.model.guidance_features:
            self._features = self._guides(pairs)
        return super().start(device, pairs)

    def losses(
        self, network: nn.Module, batch: Batch, step: int, chance: Chance
    ) -> dict[str, Tensor]:
        """Fuse, the inputs of a share made harder, and compare with clean sources and teacher."""
        settings, share = self.settings, 1.0
        bandit = None
        sources, guidance = (batch.vis_y, batch.ir), self._guidance(batch, chance)
        if batch.teacher is not None:
            bandit = Bandit(settings.teacher, self.facts['gaps'])
            sources = bandit.harder(batch, chance)
        fused = network(*sources, *guidance)
        losses = fidelity(settings.fidelity, fused, batch)
        if bandit is not None:
            share = self._share(step)
            bandit.learn(fused.detach(), batch.teacher)
            losses |= self._taught(fused, batch.teacher, share)
        if settings.consistency:
            shift = divmod(1 + chance.integer(settings.model.factor**2 - 1), settings.model.factor)
            other = network(*(_shifted(image, shift) for image in sources), *guidance)
            difference = consistency_loss(other, _shifted(fused, shift))
            losses['consistency'] = settings.consistency * difference
        if self._language and share:
            terms = self._language(fused, batch, step, chance)
            losses |= {name: share * term for name, term in terms.items()}
        return losses

    def finished(self, network: nn.Module) -> nn.Module:
        """Round its weights to what a CPU multiplies by."""
        network.round_weights()
        return super().finished(network)

    def guidance(self) -> GuidanceSettings:
        """Guide in validation as in training."""
        if not self._features:
            return GuidanceSettings()
        return GuidanceSettings(clip=self.settings.features.clip, bank=self.settings.bank)

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

    def _taught(self, fused: Tensor, teacher: Tensor, share: float) -> dict[str, Tensor]:
        """Return the weighted distance to the teacher's results, in pixels and features."""
        settings = self.settings.teacher
        weight = settings.weight + (settings.final_weight - settings.weight) * share
        losses = {'teacher': weight * distillation_loss(fused, teacher)}
        if self._perception:
            with torch.no_grad():
                target = self._perception(teacher)
            term = perceptual_loss(self._perception(fused), target)
            losses['teacher_features'] = weight * settings.perceptual * term
        return losses

    def _guides(self, pairs: list[ImagePair]) -> dict[str, Tensor]:
        """Return the features that guide on each pair, by its name."""
        settings = self.settings
        length, keep = settings.model.guidance_features, not self.dry_run
        if settings.model.guided_by == TEXT:
            return self._cache.descriptions(pairs, settings.bank, length, keep)
        found = self._cache.of_pairs(pairs, length, keep)
        return {name: vis_features for name, (vis_features, _) in found.items()}

    def _guidance(self, batch: Batch, chance: Chance) -> tuple[Tensor, ...]:
        """Return the features that guide the batch, zeros where a crop goes without."""
        if not self._features:
            return ()
        dropout = self.settings.guidance_dropout
        return (of_batch(self._features, batch.names, dropout, chance),)


def _shifted(image: Tensor, shift: tuple[int, int]) -> Tensor:
    """Cut off the first rows and columns, so that blocks of pixels begin elsewhere."""
    top, left = shift
    return image[..., top:, left:]


def train(settings: RecipeSettings, command: str, dry_run: bool = False) -> None:
    """Train by the shared loop."""
    loop.train(Recipe, settings, command, dry_run)
