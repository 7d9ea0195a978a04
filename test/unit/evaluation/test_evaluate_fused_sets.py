"""Folders of fused images keep to the configuration that made them."""

import json
from pathlib import Path

from ir_vis_fusion.checkpoint import save_checkpoint
from ir_vis_fusion.config import FrameSettings, PredictorSettings
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.fused_sets import fuse_set, RECORD
from ir_vis_fusion.evaluation.image_sets import list_pairs, Pairs
from ir_vis_fusion.models.registry import build
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.preprocessing.encodings import write_image
import numpy as np
import pytest

SETTINGS = FrameSettings()


@pytest.fixture(scope='module')
def student() -> FusionPredictor:
    return FusionPredictor(PredictorSettings(device='cpu'))


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    random = np.random.default_rng(0)
    for role in ('ir', 'vi'):
        (tmp_path / role).mkdir()
        for stem in ('a', 'b'):
            image = random.integers(0, 255, (48, 56), dtype=np.uint8)
            write_image(tmp_path / role / f'{stem}.png', image)
    return list_pairs(tmp_path / 'ir', tmp_path / 'vi')


@pytest.fixture
def other(tmp_path: Path) -> FusionPredictor:
    path = tmp_path / 'other.safetensors'
    save_checkpoint(path, build('student', {}), 'student', {}, {}, {})
    return FusionPredictor(PredictorSettings(model=str(path), device='cpu'))


def test_a_second_run_keeps_what_is_there_and_adds_what_is_missing(
    student: FusionPredictor, pairs: Pairs, tmp_path: Path
) -> None:
    folder = tmp_path / 'fused'
    fuse_set(student, SETTINGS, {'a': pairs['a']}, folder)
    before = (folder / 'a.png').stat().st_ino
    fuse_set(student, SETTINGS, pairs, folder)
    assert (folder / 'a.png').stat().st_ino == before
    assert sorted(path.name for path in folder.iterdir()) == ['a.png', 'b.png', RECORD]


def test_an_image_older_than_its_source_is_made_again(
    student: FusionPredictor, pairs: Pairs, tmp_path: Path
) -> None:
    folder = tmp_path / 'fused'
    fuse_set(student, SETTINGS, pairs, folder)
    before = (folder / 'a.png').read_bytes()
    write_image(pairs['a'][1], np.full((48, 56), 9, np.uint8))
    fuse_set(student, SETTINGS, pairs, folder)
    assert (folder / 'a.png').read_bytes() != before


def test_another_model_or_setting_is_refused_and_replaces_all_when_told_to(
    student: FusionPredictor, other: FusionPredictor, pairs: Pairs, tmp_path: Path
) -> None:
    folder = tmp_path / 'fused'
    fuse_set(student, SETTINGS, pairs, folder)
    with pytest.raises(EvaluationError, match='sha256 was .* --overwrite to delete them'):
        fuse_set(other, SETTINGS, pairs, folder)
    with pytest.raises(EvaluationError, match=r'settings\.strength was 1\.0, is 0\.5'):
        fuse_set(student, FrameSettings(strength=0.5), pairs, folder)
    made_by = fuse_set(other, SETTINGS, {'b': pairs['b']}, folder, overwrite=True)
    assert sorted(path.name for path in folder.iterdir()) == ['b.png', RECORD]
    assert json.loads((folder / RECORD).read_text()) == made_by
    assert made_by['sha256'] == other.network.sha256


def test_images_of_others_are_never_deleted(
    student: FusionPredictor, pairs: Pairs, tmp_path: Path
) -> None:
    with pytest.raises(EvaluationError, match='images that ivf evaluate did not make'):
        fuse_set(student, SETTINGS, pairs, tmp_path / 'vi', overwrite=True)
    assert sorted(path.name for path in (tmp_path / 'vi').iterdir()) == ['a.png', 'b.png']


def test_a_damaged_record_is_an_error(
    student: FusionPredictor, pairs: Pairs, tmp_path: Path
) -> None:
    folder = tmp_path / 'fused'
    fuse_set(student, SETTINGS, pairs, folder)
    (folder / RECORD).write_text('{"version"')
    with pytest.raises(EvaluationError, match='damaged; delete the folder'):
        fuse_set(student, SETTINGS, pairs, folder)
