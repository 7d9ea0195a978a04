"""Validation by the package's own predictor: what is measured is what runs on the robot."""

from collections.abc import Callable, Sequence
from pathlib import Path

from ir_vis_fusion import metrics
from ir_vis_fusion.config import GuidanceSettings, PredictorSettings, ThermalSettings
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.preprocessing.color import luma
from ir_vis_fusion.types import PixelEncoding
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

    def fuse(self, pair: ImagePair) -> Tensor:
        """Return the fused colour image, (H, W, 3) uint8 RGB."""
        self._predictor.reset()
        return torch.from_numpy(self._predictor.predict(pair.frames()).image)

    def measure(self, sets: ValidationSets, stride: int) -> Figures:
        """Return the mean of every metric over each set, every ``stride``-th pair of it."""
        return {name: self._mean(pairs[::stride]) for name, pairs in sets.items()}

    def _mean(self, pairs: Sequence[ImagePair]) -> dict[str, float]:
        rows = []
        for pair in pairs:
            fused = _as_read_back(self.fuse(pair), PixelEncoding.RGB8)
            vis_y = _as_read_back(pair.visible, pair.encoding)
            ir = pair.thermal.double()[None, None]
            rows.append([metric(fused, ir, vis_y).item() for metric in METRICS.values()])
        means = torch.tensor(rows, dtype=torch.float64).mean(0).tolist()
        return dict(zip(METRICS, means, strict=True))

    def strip(self, pairs: Sequence[ImagePair]) -> Tensor:
        """Return rows of infrared, visible and fused, a column a pair, (H, W, 3) uint8."""
        height = min(pair.thermal.shape[0] for pair in pairs)
        width = min(pair.thermal.shape[1] for pair in pairs)
        columns = []
        for pair in (pair.to('cpu') for pair in pairs):
            rgb = pair.visible if pair.encoding is PixelEncoding.RGB8 else pair.visible.flip(-1)
            gray = pair.thermal[..., None].expand(-1, -1, 3)
            images = (gray, rgb, self.fuse(pair))
            columns.append(torch.cat([image[:height, :width] for image in images]))
        return torch.cat(columns, dim=1)


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


def _as_read_back(image: Tensor, encoding: PixelEncoding) -> Tensor:
    """Return luma as an evaluator reads it from the saved file: (1, 1, H, W) whole 0-255."""
    return (luma(image, encoding).double() * 255).round()[None, None]
