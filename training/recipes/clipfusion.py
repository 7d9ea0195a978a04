"""
CLIPFusion: learned prompts as labels for a 3-D convolution network, both tuned in turns.

Read from :class:`Recipe` on; the loop is ``training/loop.py``, the configuration
``training/configs/clipfusion.yaml``, the network ``ir_vis_fusion/models/clipfusion.py``, the
prompts ``ir_vis_fusion/models/prompts.py`` and how they learn ``training/prompts.py``.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from accelerate import PartialState
from ir_vis_fusion.config import ClipSettings, flatten, group, setting, Settings
from ir_vis_fusion.guidance.prompts import EmbeddingBank
from ir_vis_fusion.models.prompts import PromptNetwork
import torch
from torch import nn, Tensor
from tqdm import tqdm
from training import loop, recipe
from training.augmentations import Augmenter, Batch
from training.chance import Chance
from training.clip import ClipLoss, draw_patches
from training.datasets import ImagePair
from training.fidelity import fidelity, FidelitySettings
from training.losses import (
    balance_loss,
    perceptual_loss,
    prompt_classification_loss,
    strongest,
)
from training.prompts import (
    Crops,
    cut_crops,
    FUSED,
    INFRARED,
    learn,
    look,
    plain,
    PromptSettings,
    Snapshot,
    tune,
    VISIBLE,
)
from training.validation import score

LEAST_CROP = 33


@dataclass(frozen=True)
class ModelSettings(Settings):
    """The arguments of CLIPFusion."""

    width: int = setting(16, 'channels of each slice', minimum=1)


@dataclass(frozen=True)
class LossSettings(Settings):
    """Weights and cost of the terms in CLIP's space."""

    scale: float = setting(1.0, 'weight of the whole; 0: without CLIP', minimum=0)
    classification: float = setting(1.0, 'weight of being told as fused', minimum=0)
    balance: float = setting(0.5, 'weight of standing between the sources', minimum=0)
    perceptual: float = setting(0.1, "weight of the stronger tokens of CLIP's", minimum=0)
    content_steps: int = setting(2000, 'steps before these terms set in', minimum=0)
    content_share: float = setting(0.3, 'what is left then of the anchor', minimum=0)
    every: int = setting(
        1,
        'steps between two that have these terms, then weighted as much more (clip_norm must '
        'leave room for that)',
        minimum=1,
    )
    crops: int = setting(16, 'crops of a batch that have these terms', minimum=1)
    patches: int = setting(8, 'patches cut from each crop', minimum=0)
    least_bits: float = setting(
        6.0, 'entropy that a patch must have in both sources', unit='bits', minimum=0, maximum=8
    )


@dataclass(frozen=True)
class RecipeSettings(recipe.RunSettings):
    """All that a run is made of."""

    round_steps: int = setting(2100, 'steps between two tunings of the prompts', minimum=1)
    model: ModelSettings = group(ModelSettings)
    fidelity: FidelitySettings = group(FidelitySettings)
    loss: LossSettings = group(LossSettings)
    prompts: PromptSettings = group(PromptSettings)
    clip: ClipSettings = group(ClipSettings)

    def contradictions(self) -> Iterable[str]:
        """Yield faults: crops too small for the pyramid of the first prompts, uneven rounds."""
        if self.augmentation.crop < LEAST_CROP:
            yield f'augmentation.crop must be >= {LEAST_CROP}, got {self.augmentation.crop}'
        if self.round_steps % self.epoch_steps:
            yield (
                f'round_steps ({self.round_steps}) must be a multiple of epoch_steps '
                f'({self.epoch_steps}): a round ends with an epoch'
            )


class Recipe(recipe.Recipe):
    """
    Train the fusion network against prompts, and tune these between rounds of it.

    A tuning takes the present results for better than those of the round before only where
    the validation figures say so (the gate); prompts and network would drift together
    otherwise. The tuned prompts are written as an embedding bank, ``prompts.safetensors``.
    """

    def __init__(self, settings: RecipeSettings) -> None:
        super().__init__(settings, 'clipfusion', flatten(settings.model))
        self.facts = {'rounds': 0, 'score': None}
        self._clip: ClipLoss | None = None
        self._crops: Crops | None = None

    @classmethod
    def shortened(cls, settings: RecipeSettings) -> RecipeSettings:
        """Reach the terms in CLIP's space, and a tuning, in two small steps."""
        settings = super().shortened(settings)
        loss = replace(settings.loss, content_steps=1, every=1, patches=1)
        prompts = replace(settings.prompts, crops=8, iterations=2, tune_iterations=1)
        return replace(settings, loss=loss, prompts=prompts, epoch_steps=1, round_steps=1)

    def start(self, device: torch.device, pairs: list[ImagePair]) -> list[ImagePair]:
        """Let the prompts learn to tell the kinds of images apart."""
        if self.settings.loss.scale:
            self._clip = ClipLoss(self.settings.clip, device)
            self._learn_prompts(device, pairs)
        return super().start(device, pairs)

    def _learn_prompts(self, device: torch.device, pairs: list[ImagePair]) -> None:
        settings = self.settings
        side = settings.augmentation.crop
        augment = Augmenter(plain(side), settings.thermal)
        crops = cut_crops(pairs, settings.prompts, augment, self._clip, device, settings.seed)
        features = crops.features[FUSED].shape[-1]
        prompts = PromptNetwork(features, settings.prompts.hidden, settings.prompts.weight)
        prompts.to(device)
        if not (Path(settings.run_dir) / 'state.safetensors').is_file():
            told = learn(prompts, crops, settings.prompts, settings.seed)
            if PartialState().is_main_process:
                tqdm.write(f'prompts: {told:.1%} of the crops are told right')
        self._crops = crops
        self.companions = {'prompts': prompts, 'older': Snapshot(len(crops.ir), features)}

    def losses(
        self, network: nn.Module, batch: Batch, step: int, chance: Chance
    ) -> dict[str, Tensor]:
        """Fuse, compare with the clean sources and, after the content steps, with the prompts."""
        settings = self.settings.loss
        fused = network(batch.vis_y, batch.ir)
        losses = fidelity(self.settings.fidelity, fused, batch)
        if step < settings.content_steps:
            return losses
        losses = {name: settings.content_share * term for name, term in losses.items()}
        if self._clip is not None and step % settings.every == 0:
            losses |= self._guided(fused, batch, chance)
        return losses

    def finish_epoch(
        self, average: nn.Module, pairs: list[ImagePair], step: int, figures: Mapping[str, Any]
    ) -> None:
        """Tune the prompts at the end of a round, and write them."""
        if self._clip is None:
            return
        settings = self.settings
        if step % settings.round_steps == 0 and step < settings.steps:
            self._tune(average, figures)
        if PartialState().is_main_process:
            self._write_prompts()

    def _tune(self, average: nn.Module, figures: Mapping[str, Any]) -> None:
        """Let the prompts rank the present results, above those of the last round if better."""
        settings = self.settings
        crops, prompts, older = self._crops, self.companions['prompts'], self.companions['older']
        with torch.no_grad():
            newer = look(self._clip, average(crops.vis_y, crops.ir))
        now, before, rounds = score(figures), self.facts['score'], self.facts['rounds']
        better = before is None or now > before
        margin = settings.prompts.inner_margin * 0.5**rounds
        if before is None:
            loss = tune(prompts, crops, newer, None, settings.prompts, margin)
        else:
            newest = newer if better else None
            loss = tune(prompts, crops, older.features, newest, settings.prompts, margin)
        if PartialState().is_main_process:
            tqdm.write(f'prompts: round {rounds + 1}, better: {better}, ranking loss {loss:.3f}')
        if better:
            older.features.copy_(newer)
        self.facts = {'rounds': rounds + 1, 'score': now if better else before}

    def _guided(self, fused: Tensor, batch: Batch, chance: Chance) -> dict[str, Tensor]:
        """Return the weighted terms in CLIP's space."""
        settings = self.settings.loss
        crops = slice(settings.crops)
        fused, vis_y, ir = fused[crops], batch.clean_vis_y[crops], batch.clean_ir[crops]
        features = self._clip.features(fused)
        if settings.patches:
            _, patches = draw_patches(
                fused, vis_y, ir, settings.patches, settings.least_bits, chance
            )
            if len(patches):
                features = torch.cat((features, self._clip.features(patches)))
        prompts = self.companions['prompts'](features).expand(len(features), -1, -1)
        weight = settings.scale * settings.every
        terms = {
            'classification': prompt_classification_loss(features, prompts, FUSED),
            'balance': balance_loss(features, prompts[:, INFRARED], prompts[:, VISIBLE]),
        }
        if settings.perceptual:
            with torch.no_grad():
                target = strongest(self._clip.tokens(vis_y), self._clip.tokens(ir))
            terms['perceptual'] = perceptual_loss(self._clip.tokens(fused), target)
        return {name: weight * getattr(settings, name) * term for name, term in terms.items()}

    def _write_prompts(self) -> None:
        """Write the prompts as a bank that the other systems can take for texts."""
        folder = Path(self.settings.run_dir)
        folder.mkdir(parents=True, exist_ok=True)
        bank = self.companions['prompts'].bank()
        clip = self.settings.clip
        named = EmbeddingBank(tuple(bank), torch.stack(tuple(bank.values())).cpu(), clip.name)
        named.save(folder / 'prompts.safetensors')


def train(settings: RecipeSettings, command: str, dry_run: bool = False) -> None:
    """Train by the shared loop."""
    loop.train(Recipe, settings, command, dry_run)
