"""Batches, drawn ahead by processes of their own where a GPU would wait for them."""

from collections.abc import Iterable, Iterator, Sequence
import os

from torch.utils.data import DataLoader, Dataset
from training.augmentations import Augmenter, Batch, draw_batch
from training.chance import Chance
from training.recipe import RunSettings
from training.run import Run

Numbers = tuple[int, ...]


class Drawn(Dataset[Batch]):
    """The batches of a run, each by the numbers that its chance is made of, on the CPU."""

    def __init__(self, run: Run) -> None:
        settings = run.settings
        self._augment = Augmenter(settings.augmentation, settings.thermal)
        self._pairs, self._weights = run.pairs, run.weights
        self._seed, self._count = settings.seed, settings.batch

    def __getitem__(self, numbers: Numbers) -> Batch:
        chance = Chance(self._seed, *numbers)
        return draw_batch(self._pairs, self._weights, self._count, self._augment, chance, 'cpu')


def batches(run: Run, keys: Sequence[Numbers]) -> Iterator[Batch]:
    """Yield the batch of each of these keys, on the device of the run."""
    device = run.recipe.device
    loader: Iterable[Batch] = DataLoader(
        Drawn(run),
        batch_size=None,
        sampler=keys,
        num_workers=workers(run.settings, device.type, run.accelerator.num_processes),
        pin_memory=device.type == 'cuda',
    )
    for batch in loader:
        yield batch.to(device)


def workers(settings: RunSettings, device: str, processes: int = 1) -> int:
    """Return how many processes draw for each of those that train."""
    if settings.workers >= 0:
        return settings.workers
    return max(1, len(os.sched_getaffinity(0)) // processes - 1) if device == 'cuda' else 0
