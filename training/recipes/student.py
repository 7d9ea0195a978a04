"""
The student by fidelity alone: brightest pixel, strongest edge, structure of both sources.

Read from :func:`train` downwards; the configuration is ``training/configs/student.yaml``.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
import datetime
import math
from pathlib import Path
import tempfile
import time
from typing import Any

from ir_vis_fusion.checkpoint import load_checkpoint, save_checkpoint
from ir_vis_fusion.config import flatten, group, setting, Settings, ThermalSettings
from ir_vis_fusion.errors import ConfigError
from ir_vis_fusion.models.registry import build
from ir_vis_fusion.predictor import select_device
from ir_vis_fusion.preprocessing.encodings import write_image
import torch
from torch import Generator, nn, Tensor
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm
from training.augmentations import AugmentationSettings, Augmenter
from training.datasets import data_folder, ImagePair, training_pairs, validation_sets
from training.losses import gradient_loss, intensity_loss, ssim_loss
from training.state import load_state, save_state
from training.validation import Figures, report, score, strip_pairs, ValidationSets, Validator

NAME = 'student'
LICENCE = 'Apache-2.0'


@dataclass(frozen=True)
class ModelSettings(Settings):
    """The arguments of Student."""

    width: int = setting(32, 'channels of the hidden layers', minimum=1)
    factor: int = setting(4, 'side of the pixel blocks that become channels', minimum=1)
    depth: int = setting(4, 'number of hidden convolutions', minimum=1)


@dataclass(frozen=True)
class LossSettings(Settings):
    """Weights of the three terms."""

    intensity: float = setting(1.0, 'weight of the brighter source', minimum=0)
    gradient: float = setting(10.0, 'weight of the stronger edge', minimum=0)
    ssim: float = setting(1.0, 'weight of the structure of both sources', minimum=0)


@dataclass(frozen=True)
class RecipeSettings(Settings):
    """All that a run is made of; a run that is taken up again must have the same."""

    run_dir: str = setting('runs/student', 'folder of the run, made if need be')
    seed: int = setting(0, 'seed of weights and samples', minimum=0)
    device: str = setting('auto', 'auto (CUDA where it is), cpu, cuda or cuda:N')
    steps: int = setting(10000, 'optimizer steps', minimum=1)
    epoch_steps: int = setting(1000, 'steps between validations', minimum=1)
    batch: int = setting(16, 'crops a step', minimum=1)
    learning_rate: float = setting(2e-3, 'highest learning rate', minimum=0)
    warmup_steps: int = setting(100, 'steps of linear warm-up before the cosine', minimum=1)
    clip_norm: float = setting(1.0, 'largest norm of the gradient', minimum=0)
    ema_decay: float = setting(0.998, 'decay of the averaged weights', minimum=0, maximum=1)
    video_stride: int = setting(40, 'frames between two drawn from a video', minimum=1)
    validation_stride: int = setting(6, 'pairs between two validated in an epoch', minimum=1)
    model: ModelSettings = group(ModelSettings)
    loss: LossSettings = group(LossSettings)
    augmentation: AugmentationSettings = group(AugmentationSettings)
    thermal: ThermalSettings = group(ThermalSettings)


@dataclass
class Run:
    """What changes while a run goes on."""

    settings: RecipeSettings
    network: nn.Module
    average: nn.Module
    optimizer: torch.optim.Optimizer
    generator: Generator
    device: torch.device
    step: int = 0
    minutes: float = 0.0
    best: float = -math.inf

    @property
    def folder(self) -> Path:
        """Where the run keeps its files."""
        return Path(self.settings.run_dir)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """The networks by the names under which the state keeps them."""
        return {'network': self.network, 'average': self.average}


def train(settings: RecipeSettings, command: str, dry_run: bool = False) -> Path | None:
    """
    Train, or go on with the run in ``settings.run_dir``, and return the finished checkpoint.

    A dry run does two steps, validates on one pair a set and leaves nothing behind.
    """
    root = data_folder()
    pairs = training_pairs(root, settings.video_stride)
    sets = validation_sets(root)
    if dry_run:
        sets = {name: one[:1] for name, one in sets.items()}
        with tempfile.TemporaryDirectory() as folder:
            run_on(replace(settings, run_dir=folder, steps=2), pairs, sets, command)
        return None
    return run_on(settings, pairs, sets, command)


def run_on(
    settings: RecipeSettings, pairs: list[ImagePair], sets: ValidationSets, command: str
) -> Path:
    """Train on these pairs from where the run in the folder was left."""
    run = prepare(settings)
    run.folder.mkdir(parents=True, exist_ok=True)
    resume(run)
    with SummaryWriter(str(run.folder)) as board, progress(run) as bar:
        while run.step < settings.steps:
            train_epoch(run, pairs, bar, board)
            finish_epoch(run, pairs, sets, command, board)
    return finish(run, sets, command)


def prepare(settings: RecipeSettings) -> Run:
    """Build networks, optimizer and generator from the seed."""
    device = select_device(settings.device)
    torch.manual_seed(settings.seed)
    config = flatten(settings.model)
    network, average = build(NAME, config).to(device), build(NAME, config).to(device)
    average.load_state_dict(network.state_dict())
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.learning_rate)
    generator = Generator().manual_seed(settings.seed)
    return Run(settings, network, average.eval(), optimizer, generator, device)


def resume(run: Run) -> None:
    """Go on at the step where the run in the folder was left, if there is one."""
    path = run.folder / 'state.safetensors'
    if not path.is_file():
        return
    facts = load_state(path, run.networks, run.optimizer, run.generator)
    settings = choices(run.settings)
    if changed := [key for key, value in settings.items() if facts['settings'].get(key) != value]:
        raise ConfigError(
            f'{run.folder} holds a run with other settings ({", ".join(changed)}); '
            'use another run_dir or remove the folder'
        )
    run.step, run.minutes, run.best = facts['step'], facts['minutes'], facts['best']


def choices(settings: RecipeSettings) -> dict[str, Any]:
    """Return the settings that make a difference to the result: all but the place."""
    return {key: value for key, value in flatten(settings).items() if key != 'run_dir'}


def progress(run: Run) -> tqdm:
    """Return the progress bar of the whole run."""
    return tqdm(total=run.settings.steps, initial=run.step, desc=NAME, unit='step')


def train_epoch(run: Run, pairs: list[ImagePair], bar: tqdm, board: SummaryWriter) -> None:
    """Take the optimizer steps up to the next validation."""
    settings = run.settings
    augment = Augmenter(settings.augmentation, settings.thermal, run.generator)
    started = time.monotonic()
    end = min(settings.steps, run.step - run.step % settings.epoch_steps + settings.epoch_steps)
    run.network.train()
    while run.step < end:
        rate = learning_rate(settings, run.step)
        for parameters in run.optimizer.param_groups:
            parameters['lr'] = rate
        losses = losses_of(run, next_batch(run, pairs, augment))
        total = sum(losses.values())
        run.optimizer.zero_grad()
        total.backward()
        nn.utils.clip_grad_norm_(run.network.parameters(), settings.clip_norm)
        run.optimizer.step()
        run.step += 1
        follow(run)
        bar.update()
        if run.step % 50 == 0:
            bar.set_postfix(loss=f'{total.item():.4f}')
            board.add_scalar('learning_rate', rate, run.step)
            for name, value in losses.items():
                board.add_scalar(f'loss/{name}', value.item(), run.step)
    run.minutes += (time.monotonic() - started) / 60


def learning_rate(settings: RecipeSettings, step: int) -> float:
    """Return the rate of a step: linear warm-up, then a cosine down to a fiftieth."""
    warm = min(1.0, (step + 1) / settings.warmup_steps)
    cosine = 0.5 + 0.5 * math.cos(math.pi * step / settings.steps)
    return settings.learning_rate * warm * (0.02 + 0.98 * cosine)


def next_batch(run: Run, pairs: list[ImagePair], augment: Augmenter) -> Iterator[Tensor]:
    """Yield vis_y and ir as the network sees them, then clean, each (B, 1, S, S)."""
    chosen = torch.randint(len(pairs), (run.settings.batch,), generator=run.generator)
    samples = [augment(pairs[index]) for index in chosen.tolist()]
    for name in ('vis_y', 'ir', 'clean_vis_y', 'clean_ir'):
        yield torch.stack([getattr(sample, name) for sample in samples]).to(run.device)


def losses_of(run: Run, batch: Iterator[Tensor]) -> dict[str, Tensor]:
    """Fuse a batch and return the weighted losses against the clean sources."""
    vis_y, ir, clean_vis_y, clean_ir = batch
    fused = run.network(vis_y, ir)
    weights = run.settings.loss
    return {
        'intensity': weights.intensity * intensity_loss(fused, clean_ir, clean_vis_y),
        'gradient': weights.gradient * gradient_loss(fused, clean_ir, clean_vis_y),
        'ssim': weights.ssim * ssim_loss(fused, clean_ir, clean_vis_y),
    }


@torch.no_grad()
def follow(run: Run) -> None:
    """Move the averaged weights towards the trained ones, faster in the beginning."""
    decay = min(run.settings.ema_decay, run.step / (run.step + 10))
    for average, trained in zip(run.average.parameters(), run.network.parameters(), strict=True):
        average.lerp_(trained, 1 - decay)


def finish_epoch(
    run: Run,
    pairs: list[ImagePair],
    sets: ValidationSets,
    command: str,
    board: SummaryWriter,
) -> None:
    """Validate, keep the best checkpoint, draw the strip, save the state."""
    latest = run.folder / 'latest.safetensors'
    save(run, latest, command, {})
    validator = Validator(latest, run.settings.thermal, run.settings.device)
    figures = validator.measure(sets, run.settings.validation_stride)
    report(figures)
    for name, row in figures.items():
        for metric, value in row.items():
            board.add_scalar(f'{name}/{metric}', value, run.step)
    if score(figures) >= run.best:
        run.best = score(figures)
        save(run, run.folder / 'best.safetensors', command, figures)
    strip = validator.strip(strip_pairs(pairs, sets))
    board.add_image('ir_vis_fused', strip.numpy(), run.step, dataformats='HWC')
    write_image(run.folder / f'strip_{run.step:06d}.png', strip.numpy())
    facts = {
        'step': run.step,
        'minutes': run.minutes,
        'best': run.best,
        'settings': choices(run.settings),
    }
    path = run.folder / 'state.safetensors'
    save_state(path, run.networks, run.optimizer, run.generator, facts)


def finish(run: Run, sets: ValidationSets, command: str) -> Path:
    """Measure the best checkpoint on all validation pairs and write it with these figures."""
    best, final = run.folder / 'best.safetensors', run.folder / f'{NAME}.safetensors'
    validator = Validator(best, run.settings.thermal, run.settings.device)
    figures = validator.measure(sets, stride=1)
    report(figures)
    one = load_checkpoint(best)
    provenance = one.provenance | {'command': command, 'metrics': figures}
    save_checkpoint(final, one.model, NAME, one.config, one.preprocessing, provenance)
    tqdm.write(f'wrote {final}')
    return final


def save(run: Run, path: Path, command: str, figures: Figures) -> None:
    """Write the averaged weights with their provenance."""
    device = (
        f'{torch.get_num_threads()} CPU cores' if run.device.type == 'cpu' else str(run.device)
    )
    provenance: dict[str, Any] = {
        'data': 'RoadScene, M3SVD',
        'command': command,
        'settings': choices(run.settings),
        'steps': run.step,
        'minutes': round(run.minutes, 1),
        'device': device,
        'date': datetime.date.today().isoformat(),
        'licence': LICENCE,
        'metrics': figures,
    }
    preprocessing = {'luma': 'BT.601 full range', 'thermal': flatten(run.settings.thermal)}
    save_checkpoint(
        path, run.average, NAME, flatten(run.settings.model), preprocessing, provenance
    )
