"""Image files, folders and videos in, fused files out: ``ivf fuse``."""

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

from ir_vis_fusion.config import FrameSettings
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.sources import IMAGE_SUFFIXES, open_pairs, PairSource
from ir_vis_fusion.evaluation.videos import VIDEO_SUFFIXES, VideoWriter
from ir_vis_fusion.predictor import DEFAULT_FRAME_SETTINGS, FusionPredictor
from ir_vis_fusion.preprocessing.encodings import write_image
import numpy as np
from tqdm import tqdm


def fuse_files(
    predictor: FusionPredictor,
    thermal: Path,
    visible: Path,
    out: Path,
    settings: FrameSettings = DEFAULT_FRAME_SETTINGS,
) -> int:
    """
    Fuse two images, folders or videos and write the results; returns their number.

    A video file as ``out`` takes the pairs of two videos. An image file takes those of two
    images. A folder takes any: PNG files, named as the visible images or numbered by frame.

    Raises
    ------
    EvaluationError
        Where the paths do not match each other, cannot be read or written, or ``out`` is an
        input.

    """
    pairs = open_pairs(thermal, visible)
    suffix = out.suffix.lower()
    to_video, to_image = suffix in VIDEO_SUFFIXES, suffix in IMAGE_SUFFIXES
    if to_video and pairs.fps is None:
        raise EvaluationError(f'{str(out)!r}: only videos become a video; name a folder')
    if to_image and not (visible.is_file() and visible.suffix.lower() in IMAGE_SUFFIXES):
        raise EvaluationError(f'{str(out)!r}: only two images become one image; name a folder')
    for target in (out, out / f'{visible.stem}.png'):
        if target.exists() and any(map(target.samefile, (thermal, visible))):
            raise EvaluationError(
                f'{str(out)!r}: would overwrite the input {str(target)!r}; name another'
            )
    folder = out.parent if to_video or to_image else out
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvaluationError(f'{str(folder)!r}: cannot be made: {error.strerror}') from None

    count = 0
    with VideoWriter(out, pairs.fps) if to_video else nullcontext() as video:
        for stem, image in _fused(predictor, pairs, settings):
            if to_video:
                video.write(image)
            else:
                write_image(out if to_image else out / f'{stem}.png', image)
            count += 1
    return count


def _fused(
    predictor: FusionPredictor, pairs: PairSource, settings: FrameSettings
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (stem, RGB image) with a progress bar; images without a rate are fused one by one."""
    progress: Iterable = tqdm(pairs, total=len(pairs), unit='pair', desc='fusing', disable=None)
    for stem, pair in progress:
        if pairs.fps is None:
            predictor.reset()
        yield stem, predictor.predict(pair, settings).image
