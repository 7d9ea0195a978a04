"""
The calibration file: what is known of two cameras, as YAML.

See ``config/calibration/example.yaml``. ``ivf calibrate`` writes one, registration reads it.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
import math
from pathlib import Path
from typing import Any

from ir_vis_fusion.config import read_yaml, unknown_name
from ir_vis_fusion.errors import CalibrationError, ConfigError
from ir_vis_fusion.preprocessing.geometry import CameraModel, Transform
import numpy as np

_TOP = ('thermal', 'visible', 'homography', 'extrinsics')
_CAMERA = ('size', 'camera_matrix', 'distortion_model', 'distortion')
_EXTRINSICS = ('rotation', 'translation_m')


@dataclass(frozen=True)
class Calibration:
    """
    What a file says; None where it says nothing.

    ``homography`` holds nine numbers, row by row: from pixels of the thermal image to those of the
    visible one, both as the cameras give them, at the sizes (width, height) that stand beside it.
    """

    thermal_size: tuple[int, int]
    visible_size: tuple[int, int]
    homography: tuple[float, ...] | None = None
    thermal: CameraModel | None = None
    visible: CameraModel | None = None
    transform: Transform | None = None


def read_calibration(path: str | Path) -> Calibration:
    """
    Read a calibration file.

    Raises
    ------
    CalibrationError
        Where it cannot be read or holds what no camera has; the text begins with the path.

    """
    path = Path(path).expanduser()
    try:
        content = read_yaml(path)
    except ConfigError as error:
        raise CalibrationError(str(error)) from None
    try:
        return _parse(content)
    except CalibrationError as error:
        raise CalibrationError(f'{path}: {error}') from None


def write_calibration(path: Path, calibration: Calibration, comments: Iterable[str] = ()) -> None:
    """
    Write a calibration file that begins with comments.

    Raises
    ------
    CalibrationError
        Where it cannot be written.

    """
    lines = [f'# {comment}' for comment in comments]
    for name in ('thermal', 'visible'):
        camera = getattr(calibration, name)
        lines += [f'{name}:', f'  size: {list(getattr(calibration, f"{name}_size"))}']
        if camera is not None:
            lines += [
                f'  camera_matrix: {_numbers(camera.matrix)}',
                f'  distortion_model: {camera.distortion_model}',
                f'  distortion: {_numbers(camera.distortion)}',
            ]
    if calibration.homography is not None:
        lines += [f'homography: {_numbers(calibration.homography)}']
    if calibration.transform is not None:
        lines += [
            'extrinsics:',
            f'  rotation: {_numbers(calibration.transform.rotation)}',
            f'  translation_m: {_numbers(calibration.transform.translation_m)}',
        ]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text('\n'.join(lines) + '\n')
    except OSError as error:
        raise CalibrationError(f'{path}: cannot be written: {error.strerror}') from None


def _numbers(values: Iterable[float]) -> str:
    return f'[{", ".join(f"{value:.10g}" for value in values)}]'


def _parse(content: Mapping[str, Any]) -> Calibration:
    _check_names('', content, _TOP)
    sizes, cameras = [], []
    for name in ('thermal', 'visible'):
        part = _mapping(name, content.get(name))
        _check_names(f'{name}.', part, _CAMERA)
        sizes.append(_size(f'{name}.size', part.get('size')))
        cameras.append(_camera(name, part, sizes[-1]))
    homography = content.get('homography')
    if homography is not None:
        homography = _floats('homography', homography, 9)
        check_homography(homography)
    transform = content.get('extrinsics')
    if transform is not None:
        part = _mapping('extrinsics', transform)
        _check_names('extrinsics.', part, _EXTRINSICS)
        transform = Transform(
            _floats('extrinsics.rotation', part.get('rotation'), 9),
            _floats('extrinsics.translation_m', part.get('translation_m'), 3),
        )
    return Calibration(*sizes, homography, *cameras, transform)


def check_homography(homography: Iterable[float]) -> None:
    """Raise CalibrationError where nine numbers map no plane onto another."""
    matrix = np.array(tuple(homography)).reshape(3, 3)
    # As far as can be told without knowing the images: it must have an inverse.
    if abs(np.linalg.det(matrix)) < 1e-9 * max(np.abs(matrix).max(), 1e-9) ** 3:
        raise CalibrationError(f'homography must have an inverse, got {matrix.tolist()!r}')


def _camera(name: str, part: Mapping[str, Any], size: tuple[int, int]) -> CameraModel | None:
    matrix = part.get('camera_matrix')
    if matrix is None:
        return None
    try:
        return CameraModel(
            *size,
            _floats('camera_matrix', matrix, 9),
            str(part.get('distortion_model', 'plumb_bob')),
            _floats('distortion', part.get('distortion', [])),
        )
    except CalibrationError as error:
        raise CalibrationError(f'{name}: {error}') from None


def _check_names(prefix: str, part: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in part:
        if name not in known:
            raise CalibrationError(
                unknown_name(f'{prefix}{name}', [f'{prefix}{x}' for x in known])
            )


def _mapping(name: str, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise CalibrationError(f'{name} must be a mapping, got {value!r}')
    return value


def _size(name: str, value: Any) -> tuple[int, int]:
    width, height = _floats(name, value, 2)
    if not (width.is_integer() and height.is_integer() and width > 0 and height > 0):
        raise CalibrationError(f'{name} must be [width, height] in pixels, got {value!r}')
    return int(width), int(height)


def _floats(name: str, value: Any, count: int | None = None) -> tuple[float, ...]:
    wanted = 'numbers' if count is None else f'{count} numbers'
    if not isinstance(value, list) or (count is not None and len(value) != count):
        raise CalibrationError(f'{name} must be a list of {wanted}, got {value!r}')
    numbers = []
    for one in value:
        try:
            # PyYAML takes 1e-5, without a point, for text.
            numbers.append(float(one))
        except (TypeError, ValueError):
            raise CalibrationError(
                f'{name} must be a list of {wanted}, got {one!r} in it'
            ) from None
    if not all(map(math.isfinite, numbers)):
        raise CalibrationError(f'{name} must be finite, got {value!r}')
    return tuple(numbers)
