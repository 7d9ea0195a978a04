"""
The loop that the recipes share: steps, averaging, validation, strips, exact resumption.

One process or many by Hugging Face accelerate: ``accelerate launch -m training RECIPE`` and
torchrun run it as ``python3 -m training RECIPE`` does. Each process draws its own samples;
the first one validates and writes.
"""

from contextlib import nullcontext
from dataclasses import replace
import math
from pathlib import Path
import tempfile
import time

from accelerate.utils import broadcast_object_list
from ir_vis_fusion.errors import FusionError
import torch
from torch import nn, Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm
from training.batches import batches
from training.chance import Chance
from training.datasets import data_folder, ImagePair, read_pairs, validation_sets
from training.outcome import finish, validate
from training.recipe import Recipe, RunSettings
from training.run import conditions, prepare, resume, Run
from training.state import save_state
from training.validation import Figures, ValidationSets

REPORT_STEPS = 50
SETTLING_BATCHES = 32
# Beside the numbers of steps, which are not negative.
SETTLING_SEED = -3
LOSSES_SEED = -4


def train(
    recipe_of: type[Recipe], settings: RunSettings, command: str, dry_run: bool = False
) -> Path | None:
    """
    Train, or go on with the run in ``settings.run_dir``, and return the finished checkpoint.

    A dry run does two steps, validates on one pair a set and leaves nothing behind.
    """
    root = data_folder()
    recipe = recipe_of(recipe_of.shortened(settings) if dry_run else settings)
    pairs, weights = read_pairs(root, settings.train_sets)
    sets = validation_sets(root, settings.validation_sets)
    if not dry_run:
        return run_on(recipe, command, pairs, weights, sets)
    sets = {name: one[:1] for name, one in sets.items()}
    few = slice(recipe.settings.batch)
    with tempfile.TemporaryDirectory() as folder:
        recipe.settings = replace(recipe.settings, run_dir=folder)
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
    writer = SummaryWriter(str(run.folder / 'board')) if first else nullcontext()
    with writer as board, bar:
        while run.step < run.settings.steps:
            train_epoch(run, bar, board)
            finish_epoch(run, board)
    return finish(run)


def train_epoch(run: Run, bar: tqdm, board: SummaryWriter | None) -> None:
    """
    Take the optimizer steps up to the next validation.

    Raises
    ------
    FusionError
        Where the loss is no number any more.

    """
    settings = run.settings
    started = time.monotonic()
    end = min(settings.steps, run.step - run.step % settings.epoch_steps + settings.epoch_steps)
    run.trained.train()
    # Not every step has every term.
    terms: dict[str, Tensor] = {}
    process = run.accelerator.process_index
    for batch in batches(run, [(step, process) for step in range(run.step, end)]):
        rate = learning_rate(settings, run.step)
        for parameters in run.optimizer.param_groups:
            parameters['lr'] = rate
        chance = Chance(settings.seed, LOSSES_SEED, run.step, process, device=run.recipe.device)
        losses = run.recipe.losses(run.trained, batch, run.step, chance)
        terms |= losses
        total = sum(losses.values())
        run.optimizer.zero_grad()
        run.accelerator.backward(total)
        run.accelerator.clip_grad_norm_(run.trained.parameters(), settings.clip_norm)
        run.optimizer.step()
        run.step += 1
        follow(run)
        bar.update()
        if run.step % REPORT_STEPS == 0 or run.step == end:
            bar.set_postfix(loss=f'{checked(total, run.step):.4f}')
            if board is not None:
                board.add_scalar('learning_rate', rate, run.step)
                for name, value in terms.items():
                    board.add_scalar(f'loss/{name}', value.item(), run.step)
    run.minutes += (time.monotonic() - started) / 60


def checked(loss: Tensor, step: int) -> float:
    """Return the value of a loss, which must be finite."""
    value = loss.item()
    if not math.isfinite(value):
        raise FusionError(
            f'step {step}: the loss is {value}; go on from the last epoch with a lower '
            'learning_rate or clip_norm, in another run_dir'
        )
    return value


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
    torch._foreach_lerp_(list(run.average.parameters()), list(trained.parameters()), 1 - decay)
    # Statistics belong to their weights: those of BatchNorm are settled before they are used.
    for mean, now in zip(run.average.buffers(), trained.buffers(), strict=True):
        mean.copy_(now)


@torch.no_grad()
def settle(run: Run) -> None:
    """
    Estimate BatchNorm's statistics for the averaged weights, which never saw an image.

    As in "precise BN" (Wu and Johnson, arXiv 2105.07576, section 3): the mean over some batches.
    """
    norms = [one for one in run.average.modules() if isinstance(one, nn.BatchNorm2d)]
    if not norms:
        return
    for one in norms:
        one.reset_running_stats()
        one.momentum = None
    run.average.train()
    keys = [(SETTLING_SEED, number) for number in range(SETTLING_BATCHES)]
    for key, batch in zip(keys, batches(run, keys), strict=True):
        chance = Chance(run.settings.seed, LOSSES_SEED, *key, device=run.recipe.device)
        run.recipe.losses(run.average, batch, run.step, chance)
    run.average.eval()


def finish_epoch(run: Run, board: SummaryWriter | None) -> None:
    """Validate, keep the best checkpoint, draw the strip, save the state."""
    settle(run)
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
            'settings': conditions(run),
            'recipe': run.recipe.facts,
            'scaler': run.accelerator.scaler.state_dict() if run.accelerator.scaler else None,
        }
        save_state(run.folder / 'state.safetensors', run.networks, run.optimizer, facts)
    run.accelerator.wait_for_everyone()
