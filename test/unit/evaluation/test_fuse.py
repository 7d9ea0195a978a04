"""Files in, fused files out, as ``ivf fuse`` does it."""

from pathlib import Path

from ir_vis_fusion.cli.main import main
from ir_vis_fusion.config import PredictorSettings
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.fuse import fuse_files
from ir_vis_fusion.evaluation.videos import VideoReader, VideoWriter
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.preprocessing.encodings import read_image, write_image
from ir_vis_fusion.types import FramePair, Role
import numpy as np
import pytest


@pytest.fixture(scope='module')
def predictor() -> FusionPredictor:
    return FusionPredictor(PredictorSettings(device='cpu'))


def write_pair(folder: Path, stem: str, seed: int) -> tuple[Path, Path]:
    """Write a 16-bit thermal and a colour image of another size."""
    random = np.random.default_rng(seed)
    thermal, visible = folder / 'ir' / f'{stem}.png', folder / 'vi' / f'{stem}.jpg'
    for path in (thermal, visible):
        path.parent.mkdir(exist_ok=True)
    write_image(thermal, random.integers(29_000, 30_000, (48, 56), dtype=np.uint16))
    write_image(visible, random.integers(0, 255, (64, 72, 3), dtype=np.uint8))
    return thermal, visible


def test_two_images_become_one_of_the_visible_size(predictor, tmp_path) -> None:
    thermal, visible = write_pair(tmp_path, 'a', 1)
    out = tmp_path / 'deep' / 'fused.png'
    assert fuse_files(predictor, thermal, visible, out) == 1
    assert read_image(out, Role.VISIBLE).image.shape == (64, 72, 3)


def test_images_of_a_folder_do_not_depend_on_each_other(predictor, tmp_path) -> None:
    """The range of one 16-bit image must not carry over to the next: stems in any order."""
    pairs = {stem: write_pair(tmp_path, stem, seed) for seed, stem in enumerate('abc')}
    assert fuse_files(predictor, tmp_path / 'ir', tmp_path / 'vi', tmp_path / 'out') == 3
    assert sorted(path.name for path in (tmp_path / 'out').iterdir()) == [
        'a.png',
        'b.png',
        'c.png',
    ]
    predictor.reset()
    thermal, visible = pairs['c']
    alone = predictor.predict(
        FramePair(read_image(thermal, Role.THERMAL), read_image(visible, Role.VISIBLE))
    )
    together = read_image(tmp_path / 'out' / 'c.png', Role.VISIBLE).image[..., ::-1]
    np.testing.assert_array_equal(together, alone.image)


def test_two_videos_become_a_video_or_a_folder_of_frames(predictor, tmp_path) -> None:
    random = np.random.default_rng(0)
    for name in ('ir.mp4', 'vi.mp4'):
        with VideoWriter(tmp_path / name, 25) as video:
            for _ in range(5):
                video.write(random.integers(0, 255, (64, 80, 3), dtype=np.uint8))
    sources = (tmp_path / 'ir.mp4', tmp_path / 'vi.mp4')
    assert fuse_files(predictor, *sources, tmp_path / 'fused.mp4') == 5
    reader = VideoReader(tmp_path / 'fused.mp4')
    assert (reader.fps, reader.height, reader.width) == (25, 64, 80)
    assert len(list(reader)) == 5
    assert fuse_files(predictor, *sources, tmp_path / 'frames') == 5
    assert (tmp_path / 'frames' / '000004.png').exists()


def test_an_output_of_the_wrong_kind_is_refused(predictor, tmp_path) -> None:
    write_pair(tmp_path, 'a', 1)
    with pytest.raises(EvaluationError, match='only videos become a video'):
        fuse_files(predictor, tmp_path / 'ir', tmp_path / 'vi', tmp_path / 'x.mp4')
    with pytest.raises(EvaluationError, match='only two images become one image'):
        fuse_files(predictor, tmp_path / 'ir', tmp_path / 'vi', tmp_path / 'x.png')


def test_an_output_that_is_an_input_is_refused(predictor, tmp_path) -> None:
    thermal, visible = write_pair(tmp_path, 'a', 1)
    before = thermal.read_bytes(), visible.read_bytes()
    for sources, outs in (
        ((thermal, visible), (thermal, visible, thermal.parent)),
        ((thermal.parent, visible.parent), (thermal.parent, visible.parent)),
    ):
        for out in outs:
            with pytest.raises(EvaluationError, match='would overwrite the input'):
                fuse_files(predictor, *sources, out)
    assert before == (thermal.read_bytes(), visible.read_bytes())


def test_the_command_line_fuses_and_tells_errors_in_one_line(tmp_path, capsys) -> None:
    thermal, visible = write_pair(tmp_path, 'a', 1)
    arguments = ['fuse', '--thermal', str(thermal), '--visible', str(visible)]
    assert main([*arguments, '--out', str(tmp_path / 'o.png')]) == 0
    assert '1 fused image(s) written to' in capsys.readouterr().out
    assert main([*arguments, '--out', str(tmp_path / 'o.png'), '--model', 'studnt']) == 1
    assert capsys.readouterr().err.startswith("ivf: model 'studnt' is neither")
