"""The files of ``~/save_snapshot``: ROS-free."""

from collections.abc import Mapping
from dataclasses import dataclass
import json
from pathlib import Path
import shutil
import tempfile
from typing import Any

from ir_vis_fusion.errors import ConfigError
from ir_vis_fusion.preprocessing.encodings import encode_png
from ir_vis_fusion.types import Frame, FusedFrame, PixelEncoding
import numpy as np


@dataclass(frozen=True, eq=False)
class Picture:
    """A frame that was published, with what it was made from; None for what was missing."""

    thermal: Frame | None
    visible: Frame | None
    fused: FusedFrame
    stamp_ns: int
    offset_ns: int


def snapshot_folder(path: str) -> Path:
    """
    Return the absolute folder, without links, that a parameter means; it is made where it lacks.

    Raises
    ------
    ConfigError
        Where the path is not absolute, is no folder or must not be written to.

    """
    try:
        folder = Path(path).expanduser()
        if not folder.is_absolute():
            raise ConfigError(f'snapshot_dir {path!r} must be absolute, or begin with ~/')
        folder = folder.resolve()
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError, ValueError) as error:  # a loop of links, no home, a NUL
        raise ConfigError(f'snapshot_dir {path!r} cannot be used: {error}') from None
    return folder


def save_picture(folder: Path, picture: Picture, facts: Mapping[str, Any]) -> Path:
    """
    Write thermal.png, visible.png, fused.png and snapshot.json into a folder of their own.

    All of them appear at once or not at all. A thermal image of floats, which no PNG holds,
    becomes thermal.npy.

    Parameters
    ----------
    folder
        Where the new folder is made; its name is the stamp, and a number where that is taken.
    picture
        The images.
    facts
        What else is to stand in the JSON file.

    Raises
    ------
    OSError
        Where the disk is full, say.

    """
    partial = Path(tempfile.mkdtemp(prefix='.snapshot_', dir=folder))
    try:
        sides = {'thermal': picture.thermal, 'visible': picture.visible, 'fused': picture.fused}
        for name, frame in sides.items():
            if frame is not None:
                _write_image(partial / name, frame.image, frame.encoding)
        (partial / 'snapshot.json').write_text(json.dumps(_facts(picture) | facts, indent=2))
        partial.chmod(0o755)
        return _rename(partial, folder / f'snapshot_{picture.stamp_ns}')
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def _write_image(path: Path, image: np.ndarray, encoding: PixelEncoding) -> None:
    if encoding is PixelEncoding.FLOAT32:
        np.save(path.with_suffix('.npy'), image, allow_pickle=False)
        return
    if encoding is PixelEncoding.BGR8:
        image = image[..., ::-1]
    path.with_suffix('.png').write_bytes(encode_png(np.ascontiguousarray(image)))


def _facts(picture: Picture) -> dict[str, Any]:
    inputs = {'thermal': picture.thermal, 'visible': picture.visible}
    return {
        'mode': picture.fused.mode.value,
        'stamp_ns': picture.stamp_ns,
        'offset_ns': picture.offset_ns,
        'thermal_state': picture.fused.thermal_state.value,
        **{
            name: {
                'stamp_ns': frame.stamp_ns,
                'frame_id': frame.frame_id,
                'encoding': frame.encoding.value,
                'size': list(frame.image.shape[1::-1]),
            }
            for name, frame in inputs.items()
            if frame is not None
        },
    }


def _rename(partial: Path, wanted: Path) -> Path:
    for number in range(1000):
        path = wanted if not number else wanted.with_name(f'{wanted.name}_{number}')
        # A rename onto a folder succeeds only where that is empty, which ours never are.
        if not path.exists():
            return partial.rename(path)
    raise FileExistsError(f'{wanted} and 999 numbers after it are there already')
