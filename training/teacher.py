"""A teacher's results on whole images, for a student to learn from."""

from collections.abc import Callable, Iterable
from dataclasses import replace

from ir_vis_fusion.config import PredictorSettings
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.preprocessing.color import luma
from ir_vis_fusion.types import PixelEncoding
import torch
from torch import Tensor
from tqdm import tqdm
from training.datasets import ImagePair


def teach(
    pairs: Iterable[ImagePair],
    model: str,
    device: str,
    tower: Callable[[Tensor], Tensor] | None = None,
) -> list[ImagePair]:
    """
    Fuse pairs by a teacher; return them with the luma of its results, 8 bits.

    Whole images, by the package's own predictor: a teacher with statistics of the whole image
    would give other results on crops.

    Parameters
    ----------
    pairs
        The pairs.
    model
        Shipped name or checkpoint of the teacher.
    device
        Where it runs.
    tower
        What gives it CLIP's features, if it takes any.

    """
    predictor = FusionPredictor(PredictorSettings(model=model, device=device), tower)
    taught = []
    for pair in tqdm(list(pairs), desc=f'{predictor.checkpoint.name} teaches', disable=None):
        predictor.reset()
        fused = torch.from_numpy(predictor.predict(pair.frames()).image)
        levels = (luma(fused, PixelEncoding.RGB8) * 255).round().to(torch.uint8)
        taught.append(replace(pair, teacher=levels))
    return taught
