"""
Image pairs for training and validation, from the folder that IR_VIS_FUSION_DATA names.

A set is a folder with ``ir/`` and ``vi/`` whose images or videos go together by their stems.
Sets are named in one line, separated by commas, each as ``FOLDER[/LIST.txt][@STRIDE][*WEIGHT]``,
such as ``roadscene/train.txt*2, m3svd_frames, m3svd_video@40``:

LIST.txt
    A file in the folder with the stems that belong to the set, all without it.
STRIDE
    Only every so many frames of each video, or images of the folder, are read: neighbours
    in a sequence are alike.
WEIGHT
    How much more often than one of weight 1 each pair of the set is drawn.

The pairs stay in memory as 8-bit tensors (a few hundred megabytes).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import zip_longest
import os
from pathlib import Path
import re

from ir_vis_fusion.errors import ConfigError
from ir_vis_fusion.evaluation.videos import VIDEO_SUFFIXES, VideoReader
from ir_vis_fusion.preprocessing.encodings import read_image
from ir_vis_fusion.types import Frame, FramePair, PixelEncoding, Role
import torch
from torch import Tensor

VARIABLE = 'IR_VIS_FUSION_DATA'
# What the project is judged by; a figure on pairs that were trained on says nothing.
NEVER_TRAINED = 'msrs_val'

_ENTRY = re.compile(
    r'(?P<folder>[^@*]+?)(/(?P<names>[^/@*]+\.txt))?'
    r'(@(?P<stride>0*[1-9]\d*))?(\*(?P<weight>(?=.*[1-9])(\d+\.?\d*|\.\d+)))?'
)


@dataclass(frozen=True, eq=False)
class ImagePair:
    """
    One aligned pair.

    ``visible`` is (H, W, 3) uint8 in the order of ``encoding``, ``thermal`` (H, W) uint8, both
    on the CPU. ``name`` begins with the folder of the set and is unique in it. ``teacher``,
    where there is one, is the luma that a teacher fused them to, (H, W) uint8.
    """

    name: str
    visible: Tensor
    thermal: Tensor
    encoding: PixelEncoding
    teacher: Tensor | None = None

    def frames(self) -> FramePair:
        """Return the pair as the predictor takes it."""
        return FramePair(
            Frame(self.thermal.numpy(), PixelEncoding.MONO8),
            Frame(self.visible.numpy(), self.encoding),
        )


@dataclass(frozen=True)
class _Set:
    """One entry of the line that names the sets; ``names`` is '' without a list."""

    folder: str
    names: str
    stride: int
    weight: float

    @property
    def place(self) -> str:
        """Folder and list as they were named."""
        return f'{self.folder}/{self.names}'.rstrip('/')

    def is_in(self, root: Path) -> bool:
        """Say whether both folders of images, and the list, are there."""
        folder = root / self.folder
        both = (folder / 'ir').is_dir() and (folder / 'vi').is_dir()
        return both and (not self.names or (folder / self.names).is_file())


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


def read_pairs(root: Path, sets: str) -> tuple[list[ImagePair], list[float]]:
    """
    Read training sets; return their pairs and by what weight each is drawn.

    Raises
    ------
    ConfigError
        Where a set is not there, incomplete or kept for validation, or the line malformed.

    """
    named = _parse(sets)
    for one in named:
        if NEVER_TRAINED in Path(one.folder).parts:
            raise ConfigError(f'{one.folder!r} is for validation only; train on other sets')
        if not one.is_in(root):
            raise ConfigError(f'{root}: no set {one.place!r}; there are {_available(root)}')
    pairs: list[ImagePair] = []
    weights: list[float] = []
    for one in named:
        found = list(_read(root, one))
        pairs += found
        weights += [one.weight] * len(found)
    return pairs, weights


def validation_sets(root: Path, sets: str) -> dict[str, list[ImagePair]]:
    """
    Read those validation sets that are there, by folder.

    Raises
    ------
    ConfigError
        Where none is there, one is incomplete or the line is malformed.

    """
    found: dict[str, list[ImagePair]] = {}
    for one in _parse(sets):
        if one.is_in(root):
            found.setdefault(one.folder, []).extend(_read(root, one))
    if not found:
        raise ConfigError(f'{root}: none of the sets {sets!r}; there are {_available(root)}')
    return found


def _parse(sets: str) -> list[_Set]:
    entries = [text.strip() for text in sets.split(',')]
    matches = [_ENTRY.fullmatch(entry) for entry in entries]
    if not all(matches):
        faults = [repr(entry) for entry, match in zip(entries, matches, strict=True) if not match]
        raise ConfigError(
            f'sets {sets!r}: {", ".join(faults)} must have the form '
            'FOLDER[/LIST.txt][@STRIDE][*WEIGHT] with a stride from 1 and a weight above 0'
        )
    return [
        _Set(
            match['folder'],
            match['names'] or '',
            int(match['stride'] or 1),
            float(match['weight'] or 1),
        )
        for match in matches
    ]


def _available(root: Path) -> str:
    """List the sets that are there, at most two folders deep."""
    folders = sorted(path.parent for path in (*root.glob('*/ir'), *root.glob('*/*/ir')))
    places = [place for folder in folders for place in (folder, *sorted(folder.glob('*.txt')))]
    return ', '.join(place.relative_to(root).as_posix() for place in places) or 'none'


def _read(root: Path, one: _Set) -> Iterator[ImagePair]:
    folder = root / one.folder
    thermal, visible = _by_stem(folder / 'ir'), _by_stem(folder / 'vi')
    stems = (folder / one.names).read_text().split() if one.names else sorted(thermal)
    if not stems:
        raise ConfigError(f'{folder}: {one.place!r} holds no pairs')
    if lost := [stem for stem in stems if stem not in thermal or stem not in visible]:
        raise ConfigError(f'{folder}: not in both ir/ and vi/: {", ".join(lost)}')
    images = [stem for stem in stems if thermal[stem].suffix.lower() not in VIDEO_SUFFIXES]
    for stem in images[:: one.stride]:
        frames = read_image(visible[stem], Role.VISIBLE), read_image(thermal[stem], Role.THERMAL)
        yield _pair(f'{one.folder}/{stem}', *frames)
    for stem in stems:
        if stem not in images:
            name = f'{one.folder}/{stem}'
            yield from _video(name, visible[stem], thermal[stem], one.stride)


def _by_stem(folder: Path) -> dict[str, Path]:
    return {path.stem: path for path in sorted(folder.glob('[!.]*.*'))}


def _video(name: str, vi: Path, ir: Path, stride: int) -> Iterator[ImagePair]:
    frames = zip_longest(VideoReader(vi), VideoReader(ir))
    for number, both in enumerate(frames):
        if None in both:
            raise ConfigError(f'{name}: the videos in ir/ and vi/ differ in length at {number}')
        if number % stride == 0:
            (_, visible), (_, thermal) = both
            # A grey video has three equal colours, up to the rounding of its own conversion.
            frame = Frame(thermal[..., 1], PixelEncoding.MONO8)
            yield _pair(f'{name}/{number}', Frame(visible, PixelEncoding.RGB8), frame)


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
