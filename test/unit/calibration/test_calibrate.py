"""Folders and bags become a calibration file that registration reads, or an error that helps."""

import json
from pathlib import Path

from ir_vis_fusion.cli.main import main
from ir_vis_fusion.config import PredictorSettings, RegistrationSettings
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.preprocessing.calibration import read_calibration
from ir_vis_fusion.preprocessing.encodings import read_image, write_image
from ir_vis_fusion.types import FramePair, RawImage, Role
import numpy as np
import pytest

SHIFT = np.array([[1.0, 0, 6], [0, 1.0, -4], [0, 0, 1]])


@pytest.fixture
def displaced(made, tmp_path: Path) -> Path:
    """Write 6 pairs whose thermal images are 6 px right of and 4 px above the visible ones."""
    for index in range(6):
        ir, vis = made.draw(index)
        write(tmp_path, index, made.displace(ir, SHIFT, made.SIZE), vis)
    return tmp_path


def write(folder: Path, index: int, ir: np.ndarray, vis: np.ndarray) -> None:
    for name, image in (('ir', ir), ('vi', vis)):
        (folder / name).mkdir(exist_ok=True)
        write_image(folder / name / f'{index}.png', np.repeat(image[..., None], 3, axis=2))


def run(folder: Path, *more: str) -> int:
    paths = ('--thermal', folder / 'ir', '--visible', folder / 'vi', '--out', folder / 'rig.yaml')
    return main(['calibrate', *map(str, paths), *more])


def test_folders_become_a_file_figures_and_pictures(displaced: Path) -> None:
    extra = ('--json', str(displaced / 'r.json'), '--overlays', str(displaced / 'overlays'))
    assert run(displaced, *extra) == 0
    # From thermal to visible pixels: back by what they were displaced.
    homography = np.array(read_calibration(displaced / 'rig.yaml').homography).reshape(3, 3)
    place = homography @ [120, 90, 1]
    np.testing.assert_allclose(place[:2] / place[2], (114, 94), atol=0.7)
    report = json.loads((displaced / 'r.json').read_text())
    assert report['confidence'] > 0.9
    assert (report['method'], report['pairs']) == ('scenes', 6)
    assert len(list((displaced / 'overlays').glob('*.png'))) == 6
    before, after = np.split(
        read_image(displaced / 'overlays' / 'overlay_0.png', Role.VISIBLE).image, 2, axis=1
    )
    assert before.shape == after.shape == (180, 240, 3)
    # A predictor takes the file as it is.
    registration = RegistrationSettings(mode='homography', file=str(displaced / 'rig.yaml'))
    predictor = FusionPredictor(PredictorSettings(device='cpu', registration=registration))
    files = (displaced / 'ir' / '0.png', Role.THERMAL), (displaced / 'vi' / '0.png', Role.VISIBLE)
    predictor.predict(FramePair(*(read_image(*file) for file in files)))
    assert predictor.registration_state().in_force == 'homography'


def test_a_first_guess_takes_the_place_of_the_search(displaced: Path) -> None:
    guess = displaced / 'guess.yaml'
    guess.write_text(
        'thermal: {size: [240, 180]}\nvisible: {size: [240, 180]}\n'
        'homography: [1, 0, -3, 0, 1, 2, 0, 0, 1]\n'
    )
    assert run(displaced, '--start', str(guess)) == 0
    assert read_calibration(displaced / 'rig.yaml').homography[2] == pytest.approx(-6, abs=1.5)


def test_unrelated_images_are_refused_and_nothing_is_written(
    made, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    for index in range(8):
        write(tmp_path, index, made.draw(index)[0], made.draw(50 + index)[1])
    assert run(tmp_path) == 1
    assert 'refused, confidence' in capsys.readouterr().err
    assert not (tmp_path / 'rig.yaml').exists()


def test_a_bag_becomes_a_file(made, tmp_path: Path) -> None:
    pytest.importorskip('rosbags')
    from ir_vis_fusion.evaluation import bags, cdr

    with bags.BagWriter(tmp_path / 'rig.mcap') as bag:
        for index in range(6):
            ir, vis = made.draw(index)
            at_ns = 1_700_000_000_000_000_000 + index * 100_000_000
            for topic, image in (
                ('/flir/image_raw', made.displace(ir, SHIFT, made.SIZE)),
                ('/rgb/image_raw', vis),
            ):
                raw = RawImage(180, 240, 'mono8', False, 240, image.tobytes(), at_ns, topic)
                bag.write(topic, cdr.IMAGE, at_ns, cdr.image_to_cdr(raw))
    out = tmp_path / 'rig.yaml'
    assert main(['calibrate', '--bag', str(tmp_path / 'rig.mcap'), '--out', str(out)]) == 0
    assert read_calibration(out).homography[2] == pytest.approx(-6, abs=1.5)


@pytest.mark.parametrize(
    ('more', 'said'),
    [
        (('--pattern', 'chessboard'), '--pattern and --size go together'),
        (('--pattern', 'circles', '--size', '7'), "--size must be COLUMNSxROWS, as 7x5, got '7'"),
        (('--pattern', 'circles', '--size', '7x5'), 'no pair shows a circles of 7x5'),
        (('--bag', 'x'), 'give --thermal and --visible, or --bag'),
        (('--start', '/nowhere.yaml'), '/nowhere.yaml: no such file'),
    ],
)
def test_what_cannot_be_done_is_told(
    displaced: Path, capsys: pytest.CaptureFixture, more: tuple[str, ...], said: str
) -> None:
    assert run(displaced, *more) == 1
    assert said in capsys.readouterr().err


def test_images_of_several_sizes_are_named(
    displaced: Path, made, capsys: pytest.CaptureFixture
) -> None:
    ir, vis = made.draw(0)
    write(displaced, 6, ir[:90], vis)
    assert run(displaced) == 1
    assert 'thermal images must be of one size, got 240x90, 240x180' in capsys.readouterr().err
