"""Videos: what is written comes back with the same count, rate, times and nearly the pixels."""

from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.videos import VideoReader, VideoWriter
import numpy as np
import pytest


def ramps(count, height=64, width=96):
    """Return smooth colour frames that differ by their brightness."""
    ramp = np.linspace(40, 160, width, dtype=np.float32)
    frame = np.broadcast_to(ramp[None, :, None], (height, width, 3))
    return [(frame + 5 * index).astype(np.uint8) for index in range(count)]


def write(path, frames, fps=30.0):
    with VideoWriter(path, fps) as writer:
        for frame in frames:
            writer.write(frame)


def test_a_video_comes_back_with_its_count_rate_and_stamps(tmp_path):
    write(tmp_path / 'a.mp4', ramps(12), fps=30.0)
    reader = VideoReader(tmp_path / 'a.mp4')
    stamps = [stamp for stamp, _ in reader]
    assert (reader.frame_count, reader.fps) == (12, 30.0)
    assert stamps[0] == 0
    assert np.allclose(np.diff(stamps), 1e9 / 30, atol=1e5)


def test_frames_come_back_in_order_with_their_colours(tmp_path):
    frames = ramps(8)
    write(tmp_path / 'a.mp4', frames)
    for index, (_, image) in enumerate(VideoReader(tmp_path / 'a.mp4')):
        assert image.dtype == np.uint8
        assert np.abs(image.astype(int) - frames[index]).mean() < 3


def test_a_reader_can_be_read_twice(tmp_path):
    write(tmp_path / 'a.mp4', ramps(5))
    reader = VideoReader(tmp_path / 'a.mp4')
    assert len(list(reader)) == len(list(reader)) == 5


def test_an_odd_size_is_made_even(tmp_path):
    write(tmp_path / 'a.mp4', ramps(3, height=33, width=51))
    reader = VideoReader(tmp_path / 'a.mp4')
    assert (reader.height, reader.width) == (34, 52)
    assert len(list(reader)) == 3


def test_a_fractional_rate_is_kept(tmp_path):
    write(tmp_path / 'a.mp4', ramps(6), fps=30000 / 1001)
    assert VideoReader(tmp_path / 'a.mp4').fps == pytest.approx(29.97, abs=0.01)


def test_a_frame_of_another_size_is_refused(tmp_path):
    with VideoWriter(tmp_path / 'a.mp4', 30) as writer:
        writer.write(ramps(1)[0])
        with pytest.raises(EvaluationError, match=r'frame 1 is \(32, 32, 3\)'):
            writer.write(np.zeros((32, 32, 3), np.uint8))


def test_no_frames_leave_no_file(tmp_path):
    write(tmp_path / 'a.mp4', [])
    assert not (tmp_path / 'a.mp4').exists()


def test_what_is_not_a_video_is_named(tmp_path):
    (tmp_path / 'a.mp4').write_bytes(b'no video at all')
    with pytest.raises(EvaluationError, match="a.mp4': not a readable video"):
        VideoReader(tmp_path / 'a.mp4')
    with pytest.raises(EvaluationError, match="b.mp4': not a readable video"):
        VideoReader(tmp_path / 'b.mp4')
