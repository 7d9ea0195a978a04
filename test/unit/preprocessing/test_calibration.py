"""The calibration file comes back as it was written, and its faults are named."""

from pathlib import Path

from ir_vis_fusion.errors import CalibrationError
from ir_vis_fusion.preprocessing.calibration import (
    Calibration,
    read_calibration,
    write_calibration,
)
from ir_vis_fusion.preprocessing.geometry import CameraModel, Transform
import pytest

EXAMPLE = Path(__file__).resolve().parents[3] / 'config/calibration/example.yaml'
SIZES = 'thermal: {size: [640, 512]}\nvisible: {size: [1280, 720]}\n'


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    written = Calibration(
        (320, 256),
        (640, 480),
        (1.25, 0.01, 3.0, -0.01, 1.2, 4.5, 1e-5, -2e-5, 1.0),
        CameraModel(320, 256, (300.0, 0, 160, 0, 300, 128, 0, 0, 1), 'equidistant', (0.1,) * 4),
        None,
        Transform((1.0, 0, 0, 0, 1, 0, 0, 0, 1), (0.05, 0.0, -0.01)),
    )
    write_calibration(tmp_path / 'new' / 'rig.yaml', written, ['made by a test'])
    assert read_calibration(tmp_path / 'new' / 'rig.yaml') == written
    assert (tmp_path / 'new' / 'rig.yaml').read_text().startswith('# made by a test\n')


def test_the_example_that_ships_holds_everything() -> None:
    example = read_calibration(EXAMPLE)
    assert (example.thermal_size, example.visible_size) == ((640, 512), (1280, 720))
    assert None not in (example.homography, example.thermal, example.visible, example.transform)


@pytest.mark.parametrize(
    ('text', 'said'),
    [
        ('thermal: {size: [640, 512]}', 'visible must be a mapping, got None'),
        (SIZES + 'homografy: []', "unknown parameter 'homografy', did you mean 'homography'"),
        (SIZES + 'homography: [1, 2]', r'homography must be a list of 9 numbers, got \[1, 2\]'),
        (SIZES + 'homography: [1,0,0,0,1,0,0,0,.nan]', 'homography must be finite, got'),
        (SIZES + 'homography: [1,0,0,0,x,0,0,0,1]', "9 numbers, got 'x' in it"),
        (SIZES + 'homography: [1,2,3,1,2,3,0,0,1]', 'homography must have an inverse'),
        ('thermal: {size: [640.5, 512]}\nvisible: {}', r'thermal.size must be \[width, height\]'),
        (
            'thermal: {size: [64, 51], camera_matrix: [0,0,0,0,0,0,0,0,1]}\nvisible: {}',
            r'thermal: K\[0\] is 0',
        ),
        (SIZES + 'extrinsics: {rotation: [1,0,0,0,1,0,0,0,1]}', 'translation_m must be a list'),
        ('[]', 'must hold a mapping'),
        (': :', 'not valid YAML'),
    ],
)
def test_faults_are_named_with_the_file(text: str, said: str, tmp_path: Path) -> None:
    file = tmp_path / 'rig.yaml'
    file.write_text(text)
    with pytest.raises(CalibrationError, match=said) as caught:
        read_calibration(file)
    assert str(caught.value).startswith(str(file))


def test_a_missing_file_is_named() -> None:
    with pytest.raises(CalibrationError, match='/nowhere.yaml: no such file'):
        read_calibration('/nowhere.yaml')
