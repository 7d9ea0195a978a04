"""Data sets: what is read, what is never read, and what is said when it is not there."""

from pathlib import Path

from ir_vis_fusion.errors import ConfigError
from ir_vis_fusion.evaluation.videos import VideoWriter
from ir_vis_fusion.preprocessing.encodings import read_image, write_image
from ir_vis_fusion.types import PixelEncoding, Role
import numpy as np
import pytest
import torch
from training.datasets import data_folder, ImagePair, read_pairs, validation_sets

SETS = 'roadscene/train.txt*2, m3svd_frames, m3svd_video@3*0.5'


def names(pairs: list[ImagePair]) -> list[str]:
    return [pair.name for pair in pairs]


def test_pairs_come_from_lists_folders_and_videos_with_their_weights(data: Path) -> None:
    pairs, weights = read_pairs(data, SETS)
    videos = [f'm3svd_video/walk/{number}' for number in (0, 3, 6)]
    assert names(pairs) == ['roadscene/a', 'roadscene/b', 'm3svd_frames/d', *videos]
    assert weights == [2.0, 2.0, 1.0, 0.5, 0.5, 0.5]


def test_a_folder_without_a_list_is_read_whole_in_the_order_of_its_stems(data: Path) -> None:
    pairs, weights = read_pairs(data, 'roadscene')
    assert names(pairs) == ['roadscene/a', 'roadscene/b', 'roadscene/c']
    assert weights == [1.0, 1.0, 1.0]


def test_a_stride_thins_out_images_as_well(data: Path) -> None:
    pairs, _ = read_pairs(data, 'roadscene@2')
    assert names(pairs) == ['roadscene/a', 'roadscene/c']


def test_a_pair_holds_what_is_in_its_files(data: Path) -> None:
    pair = read_pairs(data, 'm3svd_frames')[0][0]
    visible = read_image(data / 'm3svd_frames' / 'vi' / 'd.png', Role.VISIBLE)
    thermal = read_image(data / 'm3svd_frames' / 'ir' / 'd.png', Role.THERMAL)
    assert np.array_equal(pair.visible.numpy(), visible.image)
    assert np.array_equal(pair.thermal.numpy(), thermal.image)
    assert pair.encoding is visible.encoding


def test_a_pair_is_eight_bit_and_of_one_size(data: Path) -> None:
    for pair in read_pairs(data, SETS)[0]:
        assert pair.visible.dtype == pair.thermal.dtype == torch.uint8
        assert pair.visible.shape == (*pair.thermal.shape, 3)


def test_a_pair_gives_frames() -> None:
    images = torch.zeros(4, 5, 3, dtype=torch.uint8), torch.ones(4, 5, dtype=torch.uint8)
    pair = ImagePair('one', *images, PixelEncoding.BGR8)
    frames = pair.frames()
    assert frames.visible.encoding is PixelEncoding.BGR8
    assert np.array_equal(frames.thermal.image, np.ones((4, 5)))


def test_validation_sets_are_keyed_by_folder_and_those_that_are_absent_skipped(
    data: Path,
) -> None:
    sets = validation_sets(data, 'roadscene/val.txt, llvip, roadscene/none.txt, msrs_val')
    assert {name: names(pairs) for name, pairs in sets.items()} == {
        'roadscene': ['roadscene/c'],
        'msrs_val': ['msrs_val/e', 'msrs_val/f'],
    }


def test_no_validation_set_at_all_is_an_error(data: Path) -> None:
    with pytest.raises(ConfigError, match="none of the sets 'llvip'; there are m3svd_frames"):
        validation_sets(data, 'llvip')


@pytest.mark.parametrize('sets', ['msrs_val', 'm3svd_frames, ./msrs_val@2*3'])
def test_msrs_val_is_refused_for_training(data: Path, sets: str) -> None:
    with pytest.raises(ConfigError, match='is for validation only'):
        read_pairs(data, sets)


@pytest.mark.parametrize('missing', ['llvip', 'roadscene/rest.txt'])
def test_a_missing_training_set_is_named_with_what_is_there(data: Path, missing: str) -> None:
    there = 'roadscene, roadscene/train.txt, roadscene/val.txt'
    with pytest.raises(ConfigError, match=f"no set '{missing}'; there are .*{there}"):
        read_pairs(data, f'm3svd_frames, {missing}@2*3')


@pytest.mark.parametrize(
    'entry', ['', 'a@', 'a@0', 'a@-1', 'a@1.5', 'a*', 'a*0', 'a*0.0', 'a*-1', 'a*x', 'a*2@3']
)
def test_a_malformed_entry_is_named_with_the_form(data: Path, entry: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_pairs(data, f'm3svd_frames, {entry}')
    assert f': {entry!r} must have the form FOLDER[/LIST.txt]' in str(caught.value)


def test_a_listed_image_that_is_missing_is_named(tmp_path: Path) -> None:
    for folder in ('ir', 'vi'):
        (tmp_path / 'cars' / folder).mkdir(parents=True)
        write_image(tmp_path / 'cars' / folder / 'here.png', np.zeros((8, 8), np.uint8))
    (tmp_path / 'cars' / 'list.txt').write_text('here\ngone\n')
    with pytest.raises(ConfigError, match='cars: not in both ir/ and vi/: gone'):
        read_pairs(tmp_path, 'cars/list.txt')


def test_a_set_without_pairs_is_named(tmp_path: Path) -> None:
    for folder in ('ir', 'vi'):
        (tmp_path / 'cars' / folder).mkdir(parents=True)
    with pytest.raises(ConfigError, match="'cars' holds no pairs"):
        read_pairs(tmp_path, 'cars')


def test_images_of_two_sizes_are_no_pair(tmp_path: Path) -> None:
    for folder, side in (('ir', 8), ('vi', 10)):
        (tmp_path / 'cars' / folder).mkdir(parents=True)
        write_image(tmp_path / 'cars' / folder / 'a.png', np.zeros((side, 8, 3), np.uint8))
    with pytest.raises(ConfigError, match=r'cars/a: visible is \(10, 8, 3\), thermal \(8, 8\)'):
        read_pairs(tmp_path, 'cars')


def test_videos_of_two_lengths_are_no_pair(tmp_path: Path) -> None:
    for folder, length in (('ir', 3), ('vi', 2)):
        (tmp_path / 'cars' / folder).mkdir(parents=True)
        with VideoWriter(tmp_path / 'cars' / folder / 'a.mp4', fps=30) as video:
            for _ in range(length):
                video.write(np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(ConfigError, match='cars/a: the videos in ir/ and vi/ differ in length'):
        read_pairs(tmp_path, 'cars')


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
