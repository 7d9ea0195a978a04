"""Data sets: what is read, what is never read, and what is said when it is not there."""

from pathlib import Path

from ir_vis_fusion.errors import ConfigError
import pytest
import torch
from training.datasets import data_folder, training_pairs, validation_sets


def test_training_pairs_come_from_the_list_the_frames_and_the_videos(data: Path) -> None:
    names = [pair.name for pair in training_pairs(data, video_stride=3)]
    assert names == ['roadscene/a', 'roadscene/b', 'm3svd_frames/d', 'walk/0', 'walk/3', 'walk/6']


def test_validation_pairs_are_never_trained_on(data: Path) -> None:
    seen = {pair.name for pair in training_pairs(data, video_stride=1)}
    sets = validation_sets(data)
    assert list(sets) == ['roadscene', 'msrs_val']
    assert [pair.name for pair in sets['msrs_val']] == ['msrs_val/e', 'msrs_val/f']
    assert not seen & {pair.name for pairs in sets.values() for pair in pairs}


def test_a_pair_is_eight_bit_and_of_one_size(data: Path) -> None:
    for pair in training_pairs(data, video_stride=1):
        assert pair.visible.dtype == pair.thermal.dtype == torch.uint8
        assert pair.visible.shape == (*pair.thermal.shape, 3)


def test_an_unset_folder_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('IR_VIS_FUSION_DATA', raising=False)
    with pytest.raises(ConfigError, match='IR_VIS_FUSION_DATA is not set; set it to the folder'):
        data_folder()


def test_a_folder_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('IR_VIS_FUSION_DATA', str(tmp_path / 'none'))
    with pytest.raises(ConfigError, match='is not a folder'):
        data_folder()


def test_a_folder_without_pairs_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match='no training pairs in roadscene, m3svd_frames'):
        training_pairs(tmp_path, video_stride=1)


def test_a_listed_image_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / 'roadscene').mkdir()
    (tmp_path / 'roadscene' / 'train.txt').write_text('gone\n')
    with pytest.raises(ConfigError, match="no image named 'gone'; is the set complete"):
        training_pairs(tmp_path, video_stride=1)
