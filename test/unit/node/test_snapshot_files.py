"""A snapshot is written as a whole or not at all, into a folder that was checked."""

import json
from pathlib import Path

from ir_vis_fusion.errors import ConfigError
from ir_vis_fusion.node import snapshot_files
from ir_vis_fusion.node.snapshot_files import Picture, save_picture, snapshot_folder
from ir_vis_fusion.preprocessing.encodings import read_image
from ir_vis_fusion.types import Frame, FusedFrame, Mode, PixelEncoding, Role, ThermalState
import numpy as np
import pytest

RANDOM = np.random.default_rng(0)
COUNTS = RANDOM.integers(0, 65536, (24, 32), dtype=np.uint16)
COLORS = RANDOM.integers(0, 256, (24, 32, 3), dtype=np.uint8)
FUSED = RANDOM.integers(0, 256, (24, 32, 3), dtype=np.uint8)


def picture(thermal: Frame | None, mode: Mode = Mode.FUSED) -> Picture:
    visible = Frame(COLORS[..., ::-1], PixelEncoding.BGR8, 1_005, 'visible')
    fused = FusedFrame(FUSED, PixelEncoding.RGB8, 1_005, 'visible', -5, ThermalState.LIVE, mode)
    return Picture(thermal, visible, fused, 1_005, -5)


def test_all_images_come_back_as_they_were_and_the_facts_beside_them(tmp_path: Path) -> None:
    thermal = Frame(COUNTS, PixelEncoding.MONO16, 1_000, 'thermal')

    path = save_picture(tmp_path, picture(thermal), {'parameters': {'strength': 0.5}})

    assert path == tmp_path / 'snapshot_1005'
    read = {name: read_image(path / f'{name}.png', Role.VISIBLE) for name in ('visible', 'fused')}
    np.testing.assert_array_equal(read_image(path / 'thermal.png', Role.THERMAL).image, COUNTS)
    for name, expected in (('visible', COLORS), ('fused', FUSED)):
        pixels = read[name].image
        rgb = pixels if read[name].encoding is PixelEncoding.RGB8 else pixels[..., ::-1]
        np.testing.assert_array_equal(rgb, expected)
    facts = json.loads((path / 'snapshot.json').read_text())
    assert (facts['mode'], facts['stamp_ns'], facts['offset_ns']) == ('fused', 1_005, -5)
    assert facts['thermal'] == {
        'stamp_ns': 1_000, 'frame_id': 'thermal', 'encoding': 'mono16', 'size': [32, 24],
    }  # fmt: skip
    assert facts['parameters'] == {'strength': 0.5}


def test_floats_are_kept_as_they_are(tmp_path: Path) -> None:
    celsius = RANDOM.normal(20, 5, (24, 32)).astype(np.float32)

    path = save_picture(tmp_path, picture(Frame(celsius, PixelEncoding.FLOAT32)), {})

    np.testing.assert_array_equal(np.load(path / 'thermal.npy'), celsius)


def test_what_was_missing_is_left_out_and_a_second_snapshot_of_a_frame_gets_a_number(
    tmp_path: Path,
) -> None:
    alone = picture(None, Mode.VISIBLE_ONLY)

    paths = [save_picture(tmp_path, alone, {}) for _ in range(2)]

    assert [path.name for path in paths] == ['snapshot_1005', 'snapshot_1005_1']
    names = sorted(path.name for path in paths[0].iterdir())
    assert names == ['fused.png', 'snapshot.json', 'visible.png']


def test_a_snapshot_that_fails_half_way_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(image: np.ndarray) -> bytes:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(snapshot_files, 'encode_png', full)

    with pytest.raises(OSError, match='No space left'):
        save_picture(tmp_path, picture(None), {})

    assert list(tmp_path.iterdir()) == []


def test_the_folder_is_made_and_links_and_the_home_are_resolved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('HOME', str(tmp_path))
    (tmp_path / 'real').mkdir()
    (tmp_path / 'link').symlink_to('real')

    assert snapshot_folder('~/link/new') == tmp_path.resolve() / 'real' / 'new'
    assert (tmp_path / 'real' / 'new').is_dir()


@pytest.mark.parametrize(
    ('path', 'reason'),
    [
        ('here', "'here' must be absolute"),
        ('', "'' must be absolute"),
        ('/dev/null/pictures', 'cannot be used'),
        ('/tmp/\0', 'cannot be used'),
    ],
)
def test_a_folder_that_is_none_is_refused_with_the_reason(path: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        snapshot_folder(path)
