"""Sources: images and folders by stem, videos by time; what does not match is named."""

from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.sources import open_pairs
from ir_vis_fusion.evaluation.videos import VideoWriter
from ir_vis_fusion.preprocessing.encodings import write_image
from ir_vis_fusion.types import PixelEncoding
import numpy as np
import pytest


@pytest.fixture
def folders(tmp_path):
    """Return a folder of 16-bit thermal and one of colour images, 1 to 10 by their pixels."""
    for name, image in (
        ('ir', np.full((4, 6), 100, np.uint16)),
        ('vi', np.full((8, 12, 3), 7, np.uint8)),
    ):
        (tmp_path / name).mkdir()
        for number in (1, 2, 10):
            write_image(tmp_path / name / f'scene_{number}.png', image * number)
    return tmp_path / 'ir', tmp_path / 'vi'


def test_folders_are_matched_by_stem_in_counting_order(folders):
    source = open_pairs(*folders)
    pairs = list(source)
    assert len(source) == 3
    assert [stem for stem, _ in pairs] == ['scene_1', 'scene_2', 'scene_10']
    assert [pair.thermal.image[0, 0] for _, pair in pairs] == [100, 200, 1000]
    assert [pair.visible.image[0, 0, 0] for _, pair in pairs] == [7, 14, 70]
    assert pairs[0][1].thermal.encoding is PixelEncoding.MONO16


def test_folders_may_have_other_endings(folders):
    for file in list(folders[1].iterdir()):
        file.unlink()
        write_image(file.with_suffix('.bmp'), np.zeros((8, 12, 3), np.uint8))
    assert len(list(open_pairs(*folders))) == 3


def test_a_rate_spaces_images_and_none_sets_them_far_apart(folders):
    near = [pair.visible.stamp_ns for _, pair in open_pairs(*folders, fps=10.0)]
    far = [pair.visible.stamp_ns for _, pair in open_pairs(*folders)]
    assert near == [0, 100_000_000, 200_000_000]
    assert np.diff(far).min() >= 3600 * 10**9


def test_two_images_are_one_pair(folders):
    source = open_pairs(folders[0] / 'scene_2.png', folders[1] / 'scene_1.png')
    [(stem, pair)] = source
    assert (stem, pair.thermal.image[0, 0], pair.visible.image[0, 0, 0]) == ('scene_1', 200, 7)


def test_images_without_a_partner_are_named(folders):
    (folders[0] / 'scene_2.png').unlink()
    (folders[1] / 'scene_10.png').unlink()
    with pytest.raises(EvaluationError, match=r"1 of 2 in '.*ir': scene_10; 1 of 2 in '.*vi'"):
        open_pairs(*folders)


def test_two_files_of_one_stem_are_named(folders):
    write_image(folders[0] / 'scene_1.bmp', np.zeros((4, 6), np.uint8))
    with pytest.raises(EvaluationError, match='scene_1.* have the same stem'):
        open_pairs(*folders)


def test_a_folder_without_images_is_named(folders, tmp_path):
    (tmp_path / 'none').mkdir()
    with pytest.raises(EvaluationError, match="none': holds no images"):
        open_pairs(tmp_path / 'none', folders[1])


def test_paths_of_different_kinds_are_refused(folders, tmp_path):
    with pytest.raises(EvaluationError, match='is a folder, visible .* is an image'):
        open_pairs(folders[0], folders[1] / 'scene_1.png')
    with pytest.raises(EvaluationError, match="gone': no such file"):
        open_pairs(folders[0], tmp_path / 'gone')
    (tmp_path / 'a.txt').write_text('')
    with pytest.raises(
        EvaluationError, match="a.txt': unknown kind of file, expected one of .avi"
    ):
        open_pairs(tmp_path / 'a.txt', tmp_path / 'a.txt')


def test_a_rate_of_nothing_is_refused(folders):
    with pytest.raises(EvaluationError, match='fps must be > 0, got 0'):
        open_pairs(*folders, fps=0)


def write_video(path, count, fps, step):
    with VideoWriter(path, fps) as writer:
        for index in range(count):
            writer.write(np.full((32, 48, 3), 20 + step * index, np.uint8))
    return path


def test_videos_of_one_rate_are_paired_frame_by_frame(tmp_path):
    paths = [write_video(tmp_path / f'{name}.mp4', 9, 30, 20) for name in 'ab']
    source = open_pairs(*paths)
    pairs = list(source)
    assert (len(source), source.fps) == (9, 30.0)
    assert [stem for stem, _ in pairs] == [f'{index:06d}' for index in range(9)]
    assert all(pair.offset_ns == 0 for _, pair in pairs)
    assert all(pair.thermal.image.shape == (32, 48) for _, pair in pairs)
    for index, (_, pair) in enumerate(pairs):
        assert abs(int(pair.thermal.image[0, 0]) - (20 + 20 * index)) <= 3


def test_videos_of_two_rates_are_paired_by_time(tmp_path):
    thermal = write_video(tmp_path / 'ir.mp4', 5, 10, 40)
    visible = write_video(tmp_path / 'vi.mp4', 15, 30, 10)
    pairs = [pair for _, pair in open_pairs(thermal, visible)]
    levels = [round((int(pair.thermal.image[0, 0]) - 20) / 40) for pair in pairs]
    assert levels == [0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 4]
    assert max(abs(pair.offset_ns) for pair in pairs) < 70_000_000


def test_pairs_end_with_the_shorter_video_and_visible_frames_left_out_are_told(tmp_path, capsys):
    short = write_video(tmp_path / 'short.mp4', 4, 30, 10)
    long = write_video(tmp_path / 'long.mp4', 8, 30, 10)
    assert len(list(open_pairs(long, short))) == 4
    assert capsys.readouterr().err == ''
    assert len(list(open_pairs(short, long))) == 4
    assert "long.mp4': the last 4 of 8 frames are left out" in capsys.readouterr().err


def test_a_rate_for_videos_is_refused(tmp_path):
    video = write_video(tmp_path / 'a.mp4', 2, 30, 10)
    with pytest.raises(EvaluationError, match='fps is for folders'):
        open_pairs(video, video, fps=5.0)
