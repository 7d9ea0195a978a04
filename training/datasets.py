"""
Image pairs for training and validation, from the folder that IR_VIS_FUSION_DATA names.

Every set is a folder with ``ir/`` and ``vi/`` whose files go together by their stems. The
pairs stay in memory as 8-bit tensors (a few hundred megabytes).
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
import os
from pathlib import Path

from ir_vis_fusion.errors import ConfigError
from ir_vis_fusion.evaluation.videos import VideoReader
from ir_vis_fusion.preprocessing.encodings import read_image
from ir_vis_fusion.types import Frame, FramePair, PixelEncoding, Role
import torch
from torch import Tensor

VARIABLE = 'IR_VIS_FUSION_DATA'


@dataclass(frozen=True, eq=False)
class ImagePair:
    """
    One aligned pair.

    ``visible`` is (H, W, 3) uint8 in the order of ``encoding``, ``thermal`` (H, W) uint8.
    """

    name: str
    visible: Tensor
    thermal: Tensor
    encoding: PixelEncoding

    def frames(self) -> FramePair:
        """Return the pair as the predictor takes it."""
        return FramePair(
            Frame(self.thermal.numpy(), PixelEncoding.MONO8),
            Frame(self.visible.numpy(), self.encoding),
        )


def data_folder() -> Path:
    """
    Return the folder of the image sets.

    Raises
    ------
    ConfigError
        Where the variable is unset or names no folder.

    """
    value = os.environ.get(VARIABLE, '')
    if not value:
        raise ConfigError(
            f'{VARIABLE} is not set; set it to the folder that holds roadscene/, m3svd_video/, '
            'm3svd_frames/ and msrs_val/'
        )
    if not Path(value).is_dir():
        raise ConfigError(f'{VARIABLE}={value!r} is not a folder')
    return Path(value)


def training_pairs(root: Path, video_stride: int) -> list[ImagePair]:
    """
    Read what there is of the training sets; msrs_val is never among them.

    ``video_stride`` frames lie between two that are drawn from a video, because neighbours
    are alike.
    """
    pairs = [*_listed(root / 'roadscene', 'train.txt'), *_folder(root / 'm3svd_frames')]
    for path in sorted((root / 'm3svd_video' / 'ir').glob('*.mp4')):
        pairs += _video(path, root / 'm3svd_video' / 'vi' / path.name, video_stride)
    if not pairs:
        raise ConfigError(f'{root}: no training pairs in roadscene, m3svd_frames or m3svd_video')
    return pairs


def validation_sets(root: Path) -> dict[str, list[ImagePair]]:
    """Read the validation sets that are there, by name."""
    sets = {
        'roadscene': list(_listed(root / 'roadscene', 'val.txt')),
        'msrs_val': list(_folder(root / 'msrs_val')),
    }
    return {name: pairs for name, pairs in sets.items() if pairs}


def _listed(folder: Path, names: str) -> Iterator[ImagePair]:
    if (folder / names).is_file():
        yield from _stems(folder, (folder / names).read_text().split())


def _folder(folder: Path) -> Iterator[ImagePair]:
    yield from _stems(folder, sorted(path.stem for path in (folder / 'ir').glob('*.*')))


def _stems(folder: Path, stems: Iterable[str]) -> Iterator[ImagePair]:
    for stem in stems:
        visible = read_image(_find(folder / 'vi', stem), Role.VISIBLE)
        thermal = read_image(_find(folder / 'ir', stem), Role.THERMAL)
        yield _pair(f'{folder.name}/{stem}', visible, thermal)


def _find(folder: Path, stem: str) -> Path:
    path = next(folder.glob(f'{stem}.*'), None)
    if path is None:
        raise ConfigError(f'{folder}: no image named {stem!r}; is the set complete?')
    return path


def _video(ir: Path, vi: Path, stride: int) -> Iterator[ImagePair]:
    both = zip(VideoReader(ir), VideoReader(vi), strict=True)
    for number, ((_, thermal), (_, visible)) in enumerate(both):
        if number % stride == 0:
            # A grey video has three equal colours, up to the rounding of its own conversion.
            frame = Frame(thermal[..., 1].copy(), PixelEncoding.MONO8)
            yield _pair(f'{ir.stem}/{number}', Frame(visible, PixelEncoding.RGB8), frame)


def _pair(name: str, visible: Frame, thermal: Frame) -> ImagePair:
    if visible.image.shape[:2] != thermal.image.shape:
        raise ConfigError(
            f'{name}: visible is {visible.image.shape}, thermal {thermal.image.shape}; '
            'expected an aligned pair of one size'
        )
    return ImagePair(
        name,
        torch.from_numpy(visible.image.copy()),
        torch.from_numpy(thermal.image.copy()),
        visible.encoding,
    )
