"""
Learning from a teacher, on harder inputs than it had.

The journal version of LDFusion (TNNLS 2026) lets the student learn by itself under the
supervision of the teacher; in AgentFuse, of the same authors, an agent chooses how its inputs
are made harder. Here a bandit does.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from accelerate.utils import reduce
from ir_vis_fusion.config import PredictorSettings, setting, Settings, ThermalSettings
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.preprocessing.color import luma
from ir_vis_fusion.types import PixelEncoding
import torch
from torch import Tensor
from tqdm import tqdm
from training.augmentations import Batch, rgb_luma
from training.chance import Chance
from training.datasets import ImagePair
from training.degradations import DEGRADATIONS

# Larger than gaps are: what was never tried is tried first.
UNTRIED = 1.0


@dataclass(frozen=True)
class TeacherSettings(Settings):
    """Learning from another network's results."""

    model: str = setting('', 'shipped name or checkpoint of the teacher; empty: none')
    weight: float = setting(1.0, 'weight of its results in the beginning', minimum=0)
    final_weight: float = setting(0.3, 'weight in the end', minimum=0)
    perceptual: float = setting(
        0.0, 'weight of its features, those of language.perceptual_by', minimum=0
    )
    hold: float = setting(
        0.3, 'share of the run before it falls, and own learning rises', minimum=0, maximum=1
    )
    degraded: float = setting(
        0.5, 'share of each batch whose inputs are made harder', minimum=0, maximum=1
    )
    memory: float = setting(
        0.98,
        'how slowly the gap for each way of making them harder is forgotten',
        minimum=0,
        maximum=1,
    )


def teach(
    pairs: Iterable[ImagePair],
    settings: TeacherSettings,
    thermal: ThermalSettings,
    device: torch.device,
    tower: Callable[[Tensor], Tensor],
) -> list[ImagePair]:
    """
    Fuse pairs by a teacher; return them with the luma of its results, 8 bits.

    Whole images, by the package's own predictor: a teacher with statistics of the whole image
    would give other results on crops. A teacher that is guided by text goes without.

    Parameters
    ----------
    pairs
        The pairs.
    settings, thermal, device
        Which teacher, how it sees thermal images, where it runs.
    tower
        What gives it CLIP's features, if it takes those of images.

    """
    chosen = PredictorSettings(model=settings.model, device=str(device), thermal=thermal)
    predictor = FusionPredictor(chosen, tower)
    taught = []
    for pair in tqdm(list(pairs), desc=f'{predictor.network.name} teaches', disable=None):
        predictor.reset()
        fused = torch.from_numpy(predictor.predict(pair.frames()).image)
        levels = (luma(fused, PixelEncoding.RGB8) * 255).round().to(torch.uint8)
        taught.append(replace(pair, teacher=levels))
    return taught


class Bandit:
    """
    Makes the inputs of a share of each batch harder, in one way a batch.

    Each way of :data:`training.degradations.DEGRADATIONS` is chosen as often as the gap to the
    teacher behind it was large; all processes know the gaps of all.

    Parameters
    ----------
    settings
        Share and memory.
    gaps
        The gap behind each way, None before it was tried; changed as it learns.

    """

    def __init__(self, settings: TeacherSettings, gaps: dict[str, float | None]) -> None:
        self._settings = settings
        self._gaps = gaps
        self._kind = ''

    @staticmethod
    def start() -> dict[str, Any]:
        """Return the gaps of one that has tried nothing."""
        return dict.fromkeys(DEGRADATIONS)

    def harder(self, batch: Batch, chance: Chance) -> tuple[Tensor, Tensor]:
        """Return vis_y and ir of a batch, those of its first samples degraded."""
        weights = [UNTRIED if gap is None else gap for gap in self._gaps.values()]
        self._kind = list(self._gaps)[chance.choose(weights)[0]]
        count = self._count(batch.ir)
        if not count:
            return batch.vis_y, batch.ir
        vis, ir = DEGRADATIONS[self._kind](batch.vis[:count], batch.ir[:count], chance)
        vis_y = rgb_luma(torch.cat((vis, batch.vis[count:])))
        return vis_y, torch.cat((ir, batch.ir[count:]))

    @torch.no_grad()
    def learn(self, fused: Tensor, teacher: Tensor) -> None:
        """Follow the gap behind the way that was chosen last."""
        count = self._count(fused)
        if not count:
            return
        kinds = list(self._gaps)
        seen = torch.zeros(2, len(kinds), device=fused.device)
        gap = (fused[:count] - teacher[:count]).abs().mean().float()
        seen[:, kinds.index(self._kind)] = torch.stack((gap, torch.ones_like(gap)))
        totals, counts = reduce(seen, 'sum').tolist()
        memory = self._settings.memory
        for kind, total, times in zip(kinds, totals, counts, strict=True):
            if times:
                before, now = self._gaps[kind], total / times
                known = before is not None
                self._gaps[kind] = memory * before + (1 - memory) * now if known else now

    def _count(self, images: Tensor) -> int:
        return round(self._settings.degraded * len(images))
