"""What is compared: trivial ways of fusion, folders of fused images, models."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
import sys
from typing import Any

from ir_vis_fusion.config import FrameSettings, PredictorSettings
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.baselines import BASELINES
from ir_vis_fusion.evaluation.fused_sets import fuse_set
from ir_vis_fusion.evaluation.image_sets import (
    as_saved,
    find_images,
    Pairs,
    read_luma,
    read_rgb,
    read_sources,
    require,
)
from ir_vis_fusion.predictor import FusionPredictor
import numpy as np
from torch import Tensor
from tqdm import tqdm


@dataclass(frozen=True)
class Method:
    """
    One row of the table.

    ``fuse`` takes a stem and its infrared and visible luma, (1, 1, H, W) in 0-255, and returns
    the fused luma of the same kind: what is measured. ``picture`` takes a stem and its thermal
    and visible file and returns (H, W, 3) uint8 RGB: what is looked at. ``kind`` is trivial,
    folder or model; ``about`` goes into the results.
    """

    kind: str
    fuse: Callable[[str, Tensor, Tensor], Tensor]
    picture: Callable[[str, Path, Path], np.ndarray]
    about: Mapping[str, Any] = field(default_factory=dict)


def trivial_methods() -> dict[str, Method]:
    """Return the rows that every table starts with."""
    return {name: _trivial(name, rule) for name, rule in BASELINES.items()}


def _trivial(name: str, rule: Callable[[Tensor, Tensor], Tensor]) -> Method:
    def fuse(stem: str, ir: Tensor, vis_y: Tensor) -> Tensor:
        return as_saved(rule(ir, vis_y))

    def picture(stem: str, thermal: Path, visible: Path) -> np.ndarray:
        ir, vis_y = read_sources(thermal, visible)
        fused = fuse(stem, ir, vis_y)
        if name == 'infrared':
            return fused[0, 0].byte().numpy()[..., None].repeat(3, axis=2)
        # The chroma of BT.601 stays where every colour moves as luma does.
        change = (fused - vis_y)[0, 0].numpy()[..., None]
        return (read_rgb(visible) + change).clip(0, 255).astype(np.uint8)

    return Method('trivial', fuse, picture)


def folder_method(
    folder: Path, pairs: Pairs, kind: str = 'folder', about: Mapping[str, Any] | None = None
) -> Method:
    """Return the row of a folder with a fused image of each stem."""
    files = find_images(folder)
    require(files, pairs, folder)

    def read(stem: str, ir: Tensor, vis_y: Tensor) -> Tensor:
        fused = read_luma(files[stem])
        if fused.shape != vis_y.shape:
            (height, width), (rows, columns) = fused.shape[-2:], vis_y.shape[-2:]
            raise EvaluationError(
                f'{str(files[stem])!r} is {width}x{height}, the visible image '
                f'{columns}x{rows}; fused images must have its size'
            )
        return fused

    def picture(stem: str, thermal: Path, visible: Path) -> np.ndarray:
        return read_rgb(files[stem])

    return Method(kind, read, picture, {'images': str(folder), **(about or {})})


def model_method(
    settings: PredictorSettings,
    frame_settings: FrameSettings,
    pairs: Pairs,
    folder: Path,
    overwrite: bool = False,
) -> Method:
    """Fuse every pair with a model into a folder; returns the row of that folder."""
    predictor = FusionPredictor(settings)
    predictor.check(frame_settings)
    if predictor.guidance_note:
        tqdm.write(f'note: {settings.model}: {predictor.guidance_note}', file=sys.stderr)
    made_by = fuse_set(predictor, frame_settings, pairs, folder, overwrite)
    about = {'model': settings.model, 'sha256': made_by['sha256'], 'made_by': made_by}
    return folder_method(folder, pairs, 'model', about)
