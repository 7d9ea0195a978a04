"""
The loop that the recipes share: steps, averaging, validation, strips, exact resumption.

One process or many by Hugging Face accelerate: ``accelerate launch -m training RECIPE`` and
torchrun run it as ``python3 -m training RECIPE`` does. Each process draws its own samples;
the first one validates and writes.
"""

from dataclasses import dataclass, replace
import datetime
import math
from pathlib import Path
import tempfile
import time
from typing import Any

from accelerate import Accelerator
from accelerate.utils import broadcast_object_list, DistributedDataParallelKwargs
from ir_vis_fusion.checkpoint import load_checkpoint, save_checkpoint
from ir_vis_fusion.config import flatten
from ir_vis_fusion.errors import ConfigError
from ir_vis_fusion.preprocessing.encodings import write_image
import torch
from torch import nn
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm
from training.augmentations import Augmenter, draw_batch
from training.chance import Chance
from training.datasets import data_folder, ImagePair, read_pairs, validation_sets
from training.recipe import choices, Recipe, RunSettings
from training.state import load_state, save_state
from training.validation import Figures, report, score, strip_pairs, ValidationSets, Validator

LICENCE = 'Apache-2.0'


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


def train(
    recipe_of: type[Recipe], settings: RunSettings, command: str, dry_run: bool = False
) -> Path | None:
    """
    Train, or go on with the run in ``settings.run_dir``, and return the finished checkpoint.

    A dry run does two steps, validates on one pair a set and leaves nothing behind.
    """
    root = data_folder()
    pairs, weights = read_pairs(root, settings.train_sets)
    sets = validation_sets(root, settings.validation_sets)
    if not dry_run:
        return run_on(recipe_of(settings), command, pairs, weights, sets)
    sets = {name: one[:1] for name, one in sets.items()}
    few = slice(settings.batch)
    with tempfile.TemporaryDirectory() as folder:
        recipe = recipe_of(replace(settings, run_dir=folder, steps=2))
        recipe.dry_run = True
        run_on(recipe, command, pairs[few], weights[few], sets)
    return None


def run_on(
    recipe: Recipe,
    command: str,
    pairs: list[ImagePair],
    weights: list[float],
    sets: ValidationSets,
) -> Path:
    """Train on these pairs from where the run in the folder was left."""
    run = prepare(recipe, command, pairs, weights, sets)
    run.folder.mkdir(parents=True, exist_ok=True)
    resume(run)
    first = run.accelerator.is_main_process
    bar = tqdm(
        total=run.settings.steps,
        initial=run.step,
        desc=recipe.name,
        unit='step',
        disable=None if first else True,
    )
    with SummaryWriter(str(run.folder / 'board')) as board, bar:
        while run.step < run.settings.steps:
            train_epoch(run, bar, board)
            finish_epoch(run, board)
    return finish(run)


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
    pairs = recipe.start(device, pairs)
    for companion in recipe.companions.values():
        companion.to(device)
    optimizer = torch.optim.AdamW(
        recipe.network.parameters(),
        lr=settings.learning_rate,
        weight_decay=settings.weight_decay,
    )
    trained, optimizer = accelerator.prepare(recipe.network, optimizer)
    pairs = [pair.to(device) for pair in pairs]
    return Run(recipe, command, accelerator, trained, average, optimizer, pairs, weights, sets)


def resume(run: Run) -> None:
    """Go on at the step where the run in the folder was left, if there is one."""
    path = run.folder / 'state.safetensors'
    if not path.is_file():
        return
    facts = load_state(path, run.networks, run.optimizer)
    settings = choices(run.settings)
    if changed := [key for key, value in settings.items() if facts['settings'].get(key) != value]:
        raise ConfigError(
            f'{run.folder} holds a run with other settings ({", ".join(changed)}); '
            'use another run_dir or remove the folder'
        )
    run.step, run.minutes, run.best = facts['step'], facts['minutes'], facts['best']
    run.recipe.facts = facts['recipe']
    if run.accelerator.scaler is not None:
        run.accelerator.scaler.load_state_dict(facts['scaler'])


def train_epoch(run: Run, bar: tqdm, board: SummaryWriter) -> None:
    """Take the optimizer steps up to the next validation."""
    settings = run.settings
    augment = Augmenter(settings.augmentation, settings.thermal)
    started = time.monotonic()
    end = min(settings.steps, run.step - run.step % settings.epoch_steps + settings.epoch_steps)
    run.trained.train()
    while run.step < end:
        rate = learning_rate(settings, run.step)
        for parameters in run.optimizer.param_groups:
            parameters['lr'] = rate
        chance = Chance(
            settings.seed, run.step, run.accelerator.process_index, device=run.recipe.device
        )
        batch = draw_batch(
            run.pairs, run.weights, settings.batch, augment, chance, run.recipe.device
        )
        losses = run.recipe.losses(run.trained, batch, run.step, chance)
        total = sum(losses.values())
        run.optimizer.zero_grad()
        run.accelerator.backward(total)
        run.accelerator.clip_grad_norm_(run.trained.parameters(), settings.clip_norm)
        run.optimizer.step()
        run.step += 1
        follow(run)
        bar.update()
        if run.step % 50 == 0 and run.accelerator.is_main_process:
            bar.set_postfix(loss=f'{total.item():.4f}')
            board.add_scalar('learning_rate', rate, run.step)
            for name, value in losses.items():
                board.add_scalar(f'loss/{name}', value.item(), run.step)
    run.minutes += (time.monotonic() - started) / 60


def learning_rate(settings: RunSettings, step: int) -> float:
    """Return the rate of a step: linear warm-up, then a cosine down to ``final_share``."""
    warm = min(1.0, (step + 1) / settings.warmup_steps)
    cosine = 0.5 + 0.5 * math.cos(math.pi * step / settings.steps)
    left = settings.final_share
    return settings.learning_rate * warm * (left + (1 - left) * cosine)


@torch.no_grad()
def follow(run: Run) -> None:
    """Move the averaged weights towards the trained ones, faster in the beginning."""
    decay = min(run.settings.ema_decay, run.step / (run.step + 10))
    trained = run.recipe.network
    for mean, now in zip(run.average.parameters(), trained.parameters(), strict=True):
        mean.lerp_(now, 1 - decay)
    # Running statistics are averages already.
    for mean, now in zip(run.average.buffers(), trained.buffers(), strict=True):
        mean.copy_(now)


def finish_epoch(run: Run, board: SummaryWriter) -> None:
    """Validate, keep the best checkpoint, draw the strip, save the state."""
    shared: list[Figures] = [{}]
    if run.accelerator.is_main_process:
        shared[0] = validate(run, board)
    broadcast_object_list(shared)
    run.recipe.finish_epoch(run.average, run.pairs, run.step, shared[0])
    if run.accelerator.is_main_process:
        facts = {
            'step': run.step,
            'minutes': run.minutes,
            'best': run.best,
            'settings': choices(run.settings),
            'recipe': run.recipe.facts,
            'scaler': run.accelerator.scaler.state_dict() if run.accelerator.scaler else None,
        }
        save_state(run.folder / 'state.safetensors', run.networks, run.optimizer, facts)
    run.accelerator.wait_for_everyone()


def validate(run: Run, board: SummaryWriter) -> Figures:
    """Measure the averaged weights by the package's own predictor; keep them if best."""
    latest = run.folder / 'latest.safetensors'
    save(run, latest, {})
    validator = validator_of(run, latest)
    figures = validator.measure(run.sets, run.settings.validation_stride)
    report(figures)
    for name, row in figures.items():
        for metric, value in row.items():
            board.add_scalar(f'{name}/{metric}', value, run.step)
    if score(figures) >= run.best:
        run.best = score(figures)
        save(run, run.folder / 'best.safetensors', figures)
    strip = validator.strip(strip_pairs(run.pairs, run.sets))
    board.add_image('ir_vis_fused', strip.numpy(), run.step, dataformats='HWC')
    write_image(run.folder / f'strip_{run.step:06d}.png', strip.numpy())
    return figures


def finish(run: Run) -> Path:
    """Write the best checkpoint with its figures on all validation pairs."""
    final = run.folder / f'{run.recipe.name}.safetensors'
    if run.accelerator.is_main_process:
        one = load_checkpoint(run.folder / 'best.safetensors')
        model = one.model.half() if run.settings.half_weights else one.model
        provenance = one.provenance | {'command': run.command}
        description = (model, one.name, one.config, one.preprocessing)
        # Measured is the file itself, with its rounding; then the figures are added to it.
        save_checkpoint(final, *description, provenance)
        figures = validator_of(run, final).measure(run.sets, stride=1)
        save_checkpoint(final, *description, provenance | {'metrics': figures})
        report(figures)
        tqdm.write(f'wrote {final}')
    run.accelerator.wait_for_everyone()
    return final


def validator_of(run: Run, checkpoint: Path) -> Validator:
    """Return what fuses and measures with a checkpoint."""
    recipe = run.recipe
    return Validator(
        checkpoint, run.settings.thermal, str(recipe.device), recipe.guidance(), recipe.tower()
    )


def save(run: Run, path: Path, figures: Figures) -> None:
    """Write the averaged weights with their provenance."""
    provenance: dict[str, Any] = {
        'data': run.settings.train_sets,
        'command': run.command,
        'settings': choices(run.settings),
        'steps': run.step,
        'minutes': round(run.minutes, 1),
        'device': device_of(run),
        'date': datetime.date.today().isoformat(),
        'licence': LICENCE,
        'metrics': figures,
    }
    preprocessing = {'luma': 'BT.601 full range', 'thermal': flatten(run.settings.thermal)}
    if clip := run.recipe.facts_of_clip():
        preprocessing['clip'] = clip
    save_checkpoint(
        path, run.average, run.recipe.name, run.recipe.config, preprocessing, provenance
    )


def device_of(run: Run) -> str:
    """Say in words what the run runs on."""
    if run.recipe.device.type == 'cpu':
        return f'{torch.get_num_threads()} CPU cores'
    count = run.accelerator.num_processes
    return f'{count} x {torch.cuda.get_device_name(run.recipe.device)}'
