"""What a run leaves: figures, pictures and checkpoints that say how they were made."""

import datetime
from pathlib import Path
from typing import Any

from ir_vis_fusion.checkpoint import load_checkpoint, save_checkpoint
from ir_vis_fusion.config import flatten
from ir_vis_fusion.preprocessing.encodings import write_image
import torch
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm
from training.recipe import choices
from training.run import Run
from training.validation import Figures, report, score, strip_pairs, Validator

LICENCE = 'Apache-2.0'


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
    best = run.folder / 'best.safetensors'
    if score(figures) >= run.best or not best.is_file():
        run.best = score(figures)
        save(run, best, figures)
    strip = validator.strip(strip_pairs(run.pairs, run.sets))
    board.add_image('ir_vis_fused', strip, run.step, dataformats='HWC')
    write_image(run.folder / f'strip_{run.step:06d}.png', strip)
    return figures


def finish(run: Run) -> Path:
    """Write the best checkpoint with its figures on all validation pairs."""
    final = run.folder / f'{run.recipe.name}.safetensors'
    if run.accelerator.is_main_process:
        one = load_checkpoint(run.folder / 'best.safetensors')
        model = run.recipe.finished(one.model)
        provenance = one.provenance | {'command': run.command}
        description = (model, one.name, one.config, one.preprocessing)
        # Measured is the file itself, with its rounding; then the figures are added to it.
        save_checkpoint(final, *description, provenance)
        figures = validator_of(run, final).measure(run.sets, stride=1)
        save_checkpoint(final, *description, provenance | {'metrics': figures})
        report(figures)
        if not run.recipe.dry_run:
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
