"""Folders of image pairs and of fused images as metrics read them: luma of 8-bit files."""

from collections.abc import Iterable
from pathlib import Path

from ir_vis_fusion.config import ThermalSettings
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.sources import IMAGE_SUFFIXES, images_by_stem
from ir_vis_fusion.evaluation.views import rgb, ThermalView
from ir_vis_fusion.preprocessing.encodings import read_image
from ir_vis_fusion.types import Role
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

Pairs = dict[str, tuple[Path, Path]]
SHOWN = 5


def list_pairs(thermal: Path, visible: Path, listing: Path | None = None) -> Pairs:
    """
    Match two folders by stem: {stem: (thermal, visible)}.

    Parameters
    ----------
    thermal, visible
        Folders; without a list they must hold the same stems.
    listing
        Text file of the stems to take, one a line; a suffix of an image is ignored.

    Raises
    ------
    EvaluationError
        Where a folder or the list cannot be read, or an image has no partner.

    """
    folders = {folder: find_images(folder) for folder in (thermal, visible)}
    if listing is None:
        stems = list(folders[visible]) + [x for x in folders[thermal] if x not in folders[visible]]
    else:
        stems = _read_list(listing)
    for folder, files in folders.items():
        require(files, stems, folder)
    return {stem: (folders[thermal][stem], folders[visible][stem]) for stem in stems}


def find_images(folder: Path) -> dict[str, Path]:
    """Map the stems of a folder to its image files."""
    if not folder.is_dir():
        raise EvaluationError(f'{str(folder)!r}: no such folder')
    return images_by_stem(folder)


def require(files: Iterable[str], stems: Iterable[str], folder: Path) -> None:
    """Raise EvaluationError, which names the first of them, where stems are missing."""
    stems, there = list(stems), set(files)
    if missing := [stem for stem in stems if stem not in there]:
        some = ', '.join(missing[:SHOWN]) + (', ...' if len(missing) > SHOWN else '')
        raise EvaluationError(
            f'{str(folder)!r}: {len(missing)} of {len(stems)} images are missing: {some}; '
            'complete it, or name the stems to take in a --list file'
        )


def read_sources(thermal: Path, visible: Path) -> tuple[Tensor, Tensor]:
    """
    Return infrared and visible luma, (1, 1, H, W) float64 whole numbers in 0-255.

    The infrared image is what a network gets of a single one: 16-bit and float images are
    normalised alone, and one of another size is resized to the visible one.
    """
    vis_y = read_luma(visible)
    ir, _ = ThermalView(ThermalSettings()).look(read_image(thermal, Role.THERMAL))
    ir = ir[None, None]
    if ir.shape != vis_y.shape:
        ir = functional.interpolate(
            ir, size=vis_y.shape[-2:], mode='bilinear', align_corners=False
        )
    return as_saved(ir * 255), vis_y


def read_luma(path: Path) -> Tensor:
    """Return the luma of a visible or fused image, (1, 1, H, W) as of :func:`read_sources`."""
    return luma_of(read_rgb(path))


def luma_of(pixels: np.ndarray) -> Tensor:
    """
    Return the luma of (H, W, 3) uint8 RGB as it is measured, (1, 1, H, W) whole 0-255 float64.

    From whole numbers, so that an exact half is one and rounds to even as in the evaluators:
    two pixels that round the other way change a small Nabf by a tenth.
    """
    red, green, blue = torch.from_numpy(pixels).double().unbind(-1)
    return as_saved((299 * red + 587 * green + 114 * blue) / 1000)[None, None]


def read_rgb(path: Path) -> np.ndarray:
    """Return the colours of a visible or fused image, (H, W, 3) uint8."""
    return rgb(read_image(path, Role.VISIBLE))


def as_saved(image: Tensor) -> Tensor:
    """Return values as an 8-bit file holds them, in float64."""
    return image.double().round().clamp(0, 255)


def _read_list(listing: Path) -> list[str]:
    try:
        lines = [line.strip() for line in listing.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f'{str(listing)!r}: cannot be read: {error}') from None
    stems = [_stem(line) for line in lines if line]
    if not stems:
        raise EvaluationError(f'{str(listing)!r}: names no images, expected a stem a line')
    return list(dict.fromkeys(stems))


def _stem(name: str) -> str:
    path = Path(name)
    return path.stem if path.suffix.lower() in IMAGE_SUFFIXES else path.name
