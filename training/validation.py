"""Validation by the package's own predictor: what is measured is what runs on the robot."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ir_vis_fusion import metrics
from ir_vis_fusion.config import GuidanceSettings, PredictorSettings, ThermalSettings
from ir_vis_fusion.evaluation.image_sets import luma_of
from ir_vis_fusion.evaluation.views import rgb
from ir_vis_fusion.predictor import FusionPredictor
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm
from training.datasets import ImagePair

METRICS = {name: getattr(metrics, name) for name in ('qabf', 'vif', 'ssim', 'scd', 'nabf')}
Figures = dict[str, dict[str, float]]
ValidationSets = dict[str, list[ImagePair]]


class Validator:
    """Fuses validation pairs with a checkpoint and measures the result as it would be saved."""

    def __init__(
        self,
        checkpoint: Path,
        thermal: ThermalSettings,
        device: str,
        guidance: GuidanceSettings,
        tower: Callable[[Tensor], Tensor] | None = None,
    ) -> None:
        settings = PredictorSettings(
            model=str(checkpoint), device=device, thermal=thermal, guidance=guidance
        )
        self._predictor = FusionPredictor(settings, tower)

    def fuse(self, pair: ImagePair) -> np.ndarray:
        """Return the fused colour image, (H, W, 3) uint8 RGB."""
        self._predictor.reset()
        return self._predictor.predict(pair.frames()).image

    def measure(self, sets: ValidationSets, stride: int) -> Figures:
        """Return the mean of every metric over each set, every ``stride``-th pair of it."""
        return {name: self._mean(pairs[::stride]) for name, pairs in sets.items()}

    def _mean(self, pairs: Sequence[ImagePair]) -> dict[str, float]:
        rows = []
        for pair in pairs:
            fused = luma_of(self.fuse(pair))
            vis_y = luma_of(rgb(pair.frames().visible))
            ir = pair.thermal.double()[None, None]
            rows.append([metric(fused, ir, vis_y).item() for metric in METRICS.values()])
        means = torch.tensor(rows, dtype=torch.float64).mean(0).tolist()
        return dict(zip(METRICS, means, strict=True))

    def strip(self, pairs: Sequence[ImagePair]) -> np.ndarray:
        """Return rows of infrared, visible and fused, a column a pair, (H, W, 3) uint8."""
        height = min(pair.thermal.shape[0] for pair in pairs)
        width = min(pair.thermal.shape[1] for pair in pairs)
        columns = []
        for pair in pairs:
            gray = pair.thermal.numpy()[..., None].repeat(3, axis=-1)
            images = (gray, rgb(pair.frames().visible), self.fuse(pair))
            columns.append(np.concatenate([image[:height, :width] for image in images]))
        return np.concatenate(columns, axis=1)


def score(figures: Figures) -> float:
    """Return one number to choose the best epoch by: the metrics in shares of their best."""
    weights = {'qabf': 1.0, 'vif': 0.5, 'ssim': 0.5, 'scd': 0.5, 'nabf': -1.0}
    return sum(weights[name] * value for row in figures.values() for name, value in row.items())


def report(figures: Figures) -> None:
    """Print one line a validation set, above the progress bar."""
    for name, row in figures.items():
        tqdm.write(f'{name}: ' + ', '.join(f'{key} {value:.4f}' for key, value in row.items()))


def strip_pairs(pairs: list[ImagePair], sets: ValidationSets) -> list[ImagePair]:
    """Choose the columns of a strip: two of each validation set, one of each training set."""
    groups: dict[str, list[ImagePair]] = {}
    for pair in pairs:
        groups.setdefault(pair.name.partition('/')[0], []).append(pair)
    unseen = [pair for group in sets.values() for pair in (group[0], group[len(group) // 2])]
    return unseen + [group[len(group) // 2] for group in groups.values()]
