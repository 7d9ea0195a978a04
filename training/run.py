"""A recipe under way: built on the device that accelerate finds, or taken up where it stopped."""

from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any

from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs
from ir_vis_fusion.errors import ConfigError
import torch
from torch import nn
from training.datasets import ImagePair
from training.recipe import choices, Recipe, RunSettings
from training.state import load_state
from training.validation import ValidationSets


@dataclass
class Run:
    """A recipe under way: what the loop itself changes, and what it works with."""

    recipe: Recipe
    command: str
    accelerator: Accelerator
    trained: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    pairs: list[ImagePair]
    weights: list[float]
    sets: ValidationSets
    step: int = 0
    minutes: float = 0.0
    best: float = -math.inf

    @property
    def settings(self) -> RunSettings:
        """Those of the recipe."""
        return self.recipe.settings

    @property
    def folder(self) -> Path:
        """Where the run keeps its files."""
        return Path(self.settings.run_dir)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """All that learns, by the names under which the state keeps it."""
        return {
            'network': self.recipe.network,
            'average': self.average,
            **self.recipe.companions,
        }


def prepare(
    recipe: Recipe,
    command: str,
    pairs: list[ImagePair],
    weights: list[float],
    sets: ValidationSets,
) -> Run:
    """Put recipe, optimizer and data on the device that accelerate finds."""
    settings = recipe.settings
    precision = None if settings.mixed_precision == 'auto' else settings.mixed_precision
    accelerator = Accelerator(
        mixed_precision=precision,
        cpu=settings.device == 'cpu',
        # Adapters of guidance that a step leaves out take no part in it.
        kwargs_handlers=[DistributedDataParallelKwargs(find_unused_parameters=True)],
    )
    device = accelerator.device
    average = type(recipe.network)(**recipe.config).to(device).eval()
    average.load_state_dict(recipe.network.state_dict())
    # The others find on disk what the first one had CLIP make.
    with accelerator.main_process_first():
        pairs = recipe.start(device, pairs)
    for companion in recipe.companions.values():
        companion.to(device)
    optimizer = torch.optim.AdamW(
        recipe.network.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    trained, optimizer = accelerator.prepare(recipe.network, optimizer)
    return Run(recipe, command, accelerator, trained, average, optimizer, pairs, weights, sets)


def resume(run: Run) -> None:
    """Go on at the step where the run in the folder was left, if there is one."""
    path = run.folder / 'state.safetensors'
    if not path.is_file():
        return
    facts = load_state(path, run.networks, run.optimizer)
    now, then = conditions(run), facts['settings']
    if changed := [key for key, value in now.items() if then.get(key) != value]:
        raise ConfigError(
            f'{run.folder} holds a run with other settings ({", ".join(changed)}); '
            'use another run_dir or remove the folder'
        )
    run.step, run.minutes, run.best = facts['step'], facts['minutes'], facts['best']
    run.recipe.facts = facts['recipe']
    if run.accelerator.scaler is not None:
        run.accelerator.scaler.load_state_dict(facts['scaler'])


def conditions(run: Run) -> dict[str, Any]:
    """Return what a run that is taken up again must have in common with the one before."""
    return choices(run.settings) | {
        'processes': run.accelerator.num_processes,
        'mixed_precision': run.accelerator.mixed_precision,
    }
