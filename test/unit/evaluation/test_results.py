"""What the demo leaves of a recorded bag, where the bag played is not as it should be."""

from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation import bags, cdr
from ir_vis_fusion.evaluation.results import Recording, write_results
from ir_vis_fusion.evaluation.videos import VideoReader, VideoWriter
from ir_vis_fusion.types import RawImage
import numpy as np
import pytest

COUNT = 8
START_NS = 1_700_000_000_000_000_000
PERIOD_NS = 50_000_000
SHIFT_NS = 10**12


def write_recording(folder, stamped=True, changed=COUNT):
    """Write a bag and what was fused of it; from image ``changed`` on visible ones are larger."""
    recording = Recording(folder / 'in.mcap', '/t', '/v', SHIFT_NS, folder / 'rec.mcap', '/f')
    with bags.BagWriter(recording.bag) as played, bags.BagWriter(recording.fused_bag) as recorded:
        for index in range(COUNT):
            at_ns = START_NS + index * PERIOD_NS
            height, width = (48, 64) if index < changed else (96, 128)
            colour = np.full((height, width, 3), 20 * index + 40, np.uint8)
            visible = image(colour, 'rgb8', at_ns)
            thermal = image(np.full((32, 32), index, np.uint8), 'mono8', at_ns)
            for topic, message in (('/t', thermal), ('/v', visible)):
                data = cdr.image_to_cdr(message)
                played.write(topic, cdr.IMAGE, at_ns, data if stamped else cdr.restamped(data, 0))
            recorded.write_image('/f', image(colour, 'rgb8', at_ns + SHIFT_NS))
    return recording


def image(pixels, encoding, stamp_ns):
    height, width = pixels.shape[:2]
    return RawImage(height, width, encoding, False, pixels.nbytes // height, pixels, stamp_ns)


def sizes(path):
    with bags.BagReader(path) as bag:
        return [(message.height, message.width) for _, message in bag.images(('/f',))]


def test_images_of_another_size_are_brought_to_that_of_the_video(tmp_path):
    write_results(write_recording(tmp_path, changed=5), tmp_path)
    assert sizes(tmp_path / 'fused.mcap') == [(48, 64)] * 5 + [(96, 128)] * 3
    frames = [frame for _, frame in VideoReader(tmp_path / 'fused.mp4')]
    assert {frame.shape for frame in frames} == {(48, 64, 3)}
    levels = [frame.mean() for frame in frames]
    assert levels == pytest.approx([20 * index + 40 for index in range(COUNT)], abs=3)


def test_a_bag_without_stamps_is_taken_by_its_times_of_recording(tmp_path):
    write_results(write_recording(tmp_path, stamped=False), tmp_path)
    video = VideoReader(tmp_path / 'fused.mp4')
    assert (video.frame_count, video.fps) == (COUNT, 20.0)
    assert (tmp_path / 'contact_sheet.png').exists()


def test_the_fused_bag_is_kept_where_the_video_fails(tmp_path, monkeypatch):
    def fail(*_):
        raise EvaluationError('no encoder')

    monkeypatch.setattr(VideoWriter, 'write', fail)
    with pytest.raises(EvaluationError, match='no encoder'):
        write_results(write_recording(tmp_path), tmp_path)
    assert sizes(tmp_path / 'fused.mcap') == [(48, 64)] * COUNT
