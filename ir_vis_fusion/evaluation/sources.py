"""Two images, two folders of images or two videos as one stream of pairs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
import re
import sys

from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.videos import NANOSECONDS, VIDEO_SUFFIXES, VideoReader
from ir_vis_fusion.preprocessing.encodings import decode, read_image
from ir_vis_fusion.types import Frame, FramePair, RawImage, Role
import numpy as np
from tqdm import tqdm

IMAGE_SUFFIXES = frozenset(('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff'))
# Images without a rate have nothing to do with each other; this far apart, nothing that
# follows the scene in time (the thermal range) carries over from one to the next.
UNRELATED_NS = 3600 * NANOSECONDS


@dataclass(frozen=True)
class PairSource:
    """
    A stream of (stem, FramePair) that can be read more than once.

    ``stem`` names a pair: that of its visible image file, or the number of a video frame.
    Stamps begin at 0; ``fps`` is None where images have no rate. ``len`` is what a progress
    bar needs: exact for images, what the file says for videos.
    """

    count: int
    fps: float | None
    _open: Callable[[], Iterator[tuple[str, FramePair]]]

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[tuple[str, FramePair]]:
        return self._open()


def open_pairs(
    thermal_path: str | Path, visible_path: str | Path, fps: float | None = None
) -> PairSource:
    """
    Open two images, two folders of images (matched by stem) or two videos (by time).

    Parameters
    ----------
    thermal_path, visible_path
        Both of the same kind.
    fps
        Rate of the images of folders; videos have their own.

    Raises
    ------
    EvaluationError
        Where the paths are not of one kind, cannot be read, or images have no partner.

    """
    kinds = [_kind(Path(path)) for path in (thermal_path, visible_path)]
    if kinds[0] != kinds[1]:
        raise EvaluationError(
            f'thermal {str(thermal_path)!r} is {kinds[0]}, visible {str(visible_path)!r} is '
            f'{kinds[1]}; both must be images, folders of images or videos'
        )
    if fps is not None and fps <= 0:
        raise EvaluationError(f'fps must be > 0, got {fps!r}')
    if kinds[0] == 'a video':
        if fps is not None:
            raise EvaluationError('fps is for folders of images, videos have their own; leave it')
        thermal, visible = VideoReader(thermal_path), VideoReader(visible_path)
        return PairSource(visible.frame_count, visible.fps, lambda: _videos(thermal, visible))
    pairs = [(Path(thermal_path), Path(visible_path))]
    if kinds[0] == 'a folder':
        pairs = _matched_by_stem(*pairs[0])
    return PairSource(len(pairs), fps, lambda: _images(pairs, fps))


def _kind(path: Path) -> str:
    if path.is_dir():
        return 'a folder'
    if not path.exists():
        raise EvaluationError(f'{str(path)!r}: no such file or folder')
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return 'a video'
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return 'an image'
    known = ', '.join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
    raise EvaluationError(f'{str(path)!r}: unknown kind of file, expected one of {known}')


def _matched_by_stem(thermal: Path, visible: Path) -> list[tuple[Path, Path]]:
    thermal_files, visible_files = images_by_stem(thermal), images_by_stem(visible)
    faults = []
    for here, files, others in (
        (thermal, thermal_files, visible_files),
        (visible, visible_files, thermal_files),
    ):
        if alone := [stem for stem in files if stem not in others]:
            some = ', '.join(alone[:5]) + (', ...' if len(alone) > 5 else '')
            faults.append(f'{len(alone)} of {len(files)} in {str(here)!r}: {some}')
    if faults:
        raise EvaluationError(f'images without a partner of the same stem: {"; ".join(faults)}')
    return [(thermal_files[stem], file) for stem, file in visible_files.items()]


def images_by_stem(folder: Path) -> dict[str, Path]:
    """Map stems to image files, numbers within stems in counting order (2 before 10)."""
    files = [file for file in folder.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES]
    if not files:
        raise EvaluationError(f'{str(folder)!r}: holds no images ({", ".join(IMAGE_SUFFIXES)})')
    files.sort(key=lambda file: [int(x) if x.isdigit() else x for x in _parts(file.stem)])
    found = {}
    for file in files:
        if file.stem in found:
            raise EvaluationError(
                f'{str(folder)!r}: {found[file.stem].name} and {file.name} have the same stem, '
                'keep one of them'
            )
        found[file.stem] = file
    return found


def _parts(stem: str) -> list[str]:
    """Split so that text and digits alternate, beginning with (maybe empty) text."""
    return re.split(r'([0-9]+)', stem)


def _images(pairs: list[tuple[Path, Path]], fps: float | None) -> Iterator[tuple[str, FramePair]]:
    for index, (thermal, visible) in enumerate(pairs):
        stamp_ns = index * UNRELATED_NS if fps is None else round(index * NANOSECONDS / fps)
        frames = (
            _stamped(read_image(file, role), stamp_ns)
            for file, role in ((thermal, Role.THERMAL), (visible, Role.VISIBLE))
        )
        yield visible.stem, FramePair(*frames)


def _stamped(frame: Frame, stamp_ns: int) -> Frame:
    return Frame(frame.image, frame.encoding, stamp_ns, frame.frame_id)


def _videos(thermal: VideoReader, visible: VideoReader) -> Iterator[tuple[str, FramePair]]:
    """Pair each visible frame with the nearest thermal one, until one of them ends."""
    frames = iter(thermal)
    current, following = next(frames, None), next(frames, None)
    if current is None:
        raise EvaluationError(f'{str(thermal.path)!r}: holds no frames')
    # A thermal frame is good until the next one was due, and a little less for rounding.
    shown_ns = 0.9 * NANOSECONDS / thermal.fps
    for index, (stamp_ns, image) in enumerate(visible):
        while following and following[0] - stamp_ns <= stamp_ns - current[0]:
            current, following = following, next(frames, None)
        offset_ns = current[0] - stamp_ns
        if -offset_ns > shown_ns:
            alone = f'{max(1, visible.frame_count - index)} of {visible.frame_count} frames'
            tqdm.write(
                f'{str(visible.path)!r}: the last {alone} are left out, for the thermal video '
                f'{str(thermal.path)!r} ended before them',
                file=sys.stderr,
            )
            return
        pair = FramePair(
            _decoded(current[1], current[0], Role.THERMAL),
            _decoded(image, stamp_ns, Role.VISIBLE),
            offset_ns,
        )
        yield f'{index:06d}', pair


def _decoded(image: np.ndarray, stamp_ns: int, role: Role) -> Frame:
    image = np.ascontiguousarray(image)
    height, width = image.shape[:2]
    return decode(RawImage(height, width, 'rgb8', False, 3 * width, image, stamp_ns), role)
