"""Replay: every pair of a bag is fused, whatever the bag is like, and always in the same way."""

import dataclasses

from ir_vis_fusion.checkpoint import shipped
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation import bags, cdr
from ir_vis_fusion.evaluation.replay import replay, ReplaySettings, ReplayTopics
from ir_vis_fusion.preprocessing.encodings import encode_png
from ir_vis_fusion.types import CompressedImage
import numpy as np
import pytest
from rosbags.interfaces import QosReliability

pytestmark = pytest.mark.skipif(not shipped(), reason='no weights are shipped')

THERMAL, VISIBLE = '/boson/image_raw', '/camera/image_raw'
TOPICS = ReplayTopics()
SETTINGS = ReplaySettings(cpu_threads=1)


def fused_images(path):
    with bags.BagReader(path) as bag:
        return [image for _, image in bag.images(['/fused/image'])]


def test_every_pair_is_fused_with_stamp_frame_and_size_of_the_visible_image(cameras, tmp_path):
    report = cameras.run(tmp_path, cameras.frames(6))
    images = fused_images(tmp_path / 'out.mcap')
    assert [image.stamp_ns for image in images] == [cameras.stamp(i) for i in range(6)]
    assert {(x.height, x.width, x.encoding, x.frame_id) for x in images} == {
        (48, 64, 'rgb8', 'visible_frame')
    }
    assert (report['pairs'], report['fused'], report['failed']) == (6, 6, {})
    assert report['topics'] == {
        'thermal': THERMAL,
        'visible': VISIBLE,
        'fused': '/fused/image',
        'left_out': [],
    }
    assert report['offset_ms'] == {'mean': 2.0, 'p50': 2.0, 'p95': 2.0, 'p99': 2.0, 'max': 2.0}
    assert report['jitter_ms'] == {'thermal': 0.0, 'visible': 0.0}
    assert report['ffc'] == []


def test_the_report_holds_one_value_a_pair_and_their_means(cameras, tmp_path):
    report = cameras.run(tmp_path, cameras.frames(5))
    columns = report['frames']
    assert {len(values) for values in columns.values()} == {5}
    assert columns['time_s'] == pytest.approx(
        [0.003 + i * cameras.PERIOD_NS / 1e9 for i in range(5)], abs=1e-6
    )
    assert columns['flicker'][0] is None
    assert report['flicker'] == pytest.approx(np.mean(columns['flicker'][1:]))
    for name in ('EN', 'SD', 'SF', 'AG'):
        assert report['metrics'][name] == pytest.approx(np.mean(columns[name]))
    assert all(value > 0 for value in columns['latency_ms'])
    assert report['configuration']['way'] == 'offline'
    assert report['configuration']['model'] == 'student'


def test_two_runs_leave_identical_images(cameras, tmp_path):
    bag = cameras.write(tmp_path / 'in.mcap', cameras.frames(8))
    found = []
    for name in ('a', 'b'):
        replay(bag, tmp_path / f'{name}.mcap', SETTINGS, TOPICS, quiet=True)
        with bags.BagReader(tmp_path / f'{name}.mcap') as out:
            found.append([(t, at, bytes(data)) for t, at, data in out.messages(out.topics)])
    assert found[0] == found[1]
    assert len(found[0]) == 8


def test_what_is_fused_is_what_the_predictor_makes_of_the_frames(cameras, tmp_path):
    from ir_vis_fusion.predictor import FusionPredictor
    from ir_vis_fusion.preprocessing.encodings import decode
    from ir_vis_fusion.types import FramePair, Role

    cameras.run(tmp_path, cameras.frames(3))
    predictor = FusionPredictor(SETTINGS)
    for number, image in enumerate(fused_images(tmp_path / 'out.mcap')):
        at_ns = cameras.stamp(number)
        pair = FramePair(
            decode(cameras.thermal_image(number, at_ns + 2_000_000), Role.THERMAL),
            decode(cameras.visible_image(number, at_ns), Role.VISIBLE),
        )
        assert bytes(image.data) == predictor.predict(pair).image.tobytes()


def test_the_fused_topic_is_reliable_and_recorded_when_its_pair_is_complete(cameras, tmp_path):
    cameras.run(tmp_path, cameras.frames(3))
    with bags.BagReader(tmp_path / 'out.mcap') as bag:
        topic = bag.topic('/fused/image')
        times = [at for _, at, _ in bag.messages(['/fused/image'])]
    assert topic.msgtype == cdr.IMAGE
    assert [qos.reliability for qos in topic.qos] == [QosReliability.RELIABLE]
    # The first has to wait for the rhythm of the cameras to be known.
    assert all(at >= cameras.stamp(i) for i, at in enumerate(times))
    assert times == sorted(times)


def test_a_slow_thermal_camera_is_held(cameras, tmp_path):
    report = cameras.run(tmp_path, cameras.frames(30, thermal_every=3))
    assert report['configuration']['sync.mode'] == 'hold_thermal'
    assert (report['pairs'], report['fused']) == (30, 30)
    assert report['unmatched'] == {'thermal': 0, 'visible': 0}
    # Thermal is stamped 2 ms later than the visible image it belongs to.
    assert report['frames']['offset_ms'] == pytest.approx(
        [2.0 - (i % 3) * cameras.PERIOD_NS / 1e6 for i in range(30)]
    )


def test_a_slow_thermal_camera_leaves_images_alone_where_both_must_be_new(cameras, tmp_path):
    settings = dataclasses.replace(SETTINGS, guess_mode=False)
    report = cameras.run(tmp_path, cameras.frames(30, thermal_every=3), settings)
    assert report['configuration']['sync.mode'] == 'both_new'
    assert report['pairs'] == 10
    assert report['unmatched'] == {'thermal': 0, 'visible': 20}


def test_free_running_cameras_of_30_and_9_hz_are_paired_by_age(cameras, tmp_path):
    sent = [(at, topic, image) for at, topic, image in cameras.frames(60) if topic == VISIBLE]
    for number in range(18):
        at_ns = cameras.stamp(0) + round(number * 1e9 / 9)
        sent.append((at_ns + 1_000_000, THERMAL, cameras.thermal_image(number, at_ns)))
    report = cameras.run(tmp_path, sorted(sent, key=lambda one: one[0]))
    assert report['fused'] == 60
    offsets = np.array(report['frames']['offset_ms'])
    assert offsets.max() <= 20
    assert offsets.min() >= -1000 / 9


def test_a_looped_bag_is_fused_pass_by_pass_with_identical_images(cameras, tmp_path):
    period = 20 * cameras.PERIOD_NS
    second = [(at + period, topic, image) for at, topic, image in cameras.frames(20)]
    report = cameras.run(tmp_path, cameras.frames(20) + second)
    images = [bytes(image.data) for image in fused_images(tmp_path / 'out.mcap')]
    assert (report['pairs'], report['counters']['jumps']) == (40, 1)
    assert images[:20] == images[20:]
    assert report['frames']['stamp_ns'][:20] == report['frames']['stamp_ns'][20:]
    assert report['frames']['time_s'] == sorted(report['frames']['time_s'])
    # Nothing is compared across the jump.
    assert [i for i, x in enumerate(report['frames']['flicker']) if x is None] == [0, 20]
    assert report['jitter_ms'] == {'thermal': 0.0, 'visible': 0.0}


def test_a_jump_forward_loses_nothing(cameras, tmp_path):
    report = cameras.run(tmp_path, cameras.frames(6) + cameras.frames(6, first=3000))
    assert (report['pairs'], report['counters']['jumps']) == (12, 0)
    assert report['unmatched'] == {'thermal': 0, 'visible': 0}


def test_a_missing_topic_is_told_with_what_is_there_and_nothing_is_left(cameras, tmp_path):
    alone = [one for one in cameras.frames(4) if one[1] == THERMAL]
    with pytest.raises(EvaluationError, match=rf'visible topic .none.*{THERMAL} \(Image mono16'):
        cameras.run(tmp_path, alone)
    assert [path.name for path in tmp_path.iterdir()] == ['in.mcap']


def test_streams_that_never_meet_are_told_with_their_distance(cameras, tmp_path):
    apart = []
    for at, topic, image in cameras.frames(4):
        later_ns = 10**9 if topic == THERMAL else 0
        later = dataclasses.replace(image, stamp_ns=image.stamp_ns + later_ns)
        apart.append((at, topic, later))
    with pytest.raises(EvaluationError, match=r'first thermal one is 1.002 s later'):
        cameras.run(tmp_path, apart)
    assert not (tmp_path / 'out.mcap').exists()


def test_what_cannot_be_decoded_is_counted_and_left_out(cameras, tmp_path):
    sent = cameras.frames(6)
    damaged = dataclasses.replace(sent[5][2], data=bytes(10))
    sent[5] = (*sent[5][:2], damaged)
    report = cameras.run(tmp_path, sent)
    assert (report['pairs'], report['fused']) == (6, 5)
    assert report['failed'] == {'visible_truncated': 1}


def test_compressed_images_are_fused(cameras, tmp_path):
    sent = []
    for at, topic, image in cameras.frames(4):
        if topic == THERMAL:
            pixels = np.frombuffer(image.data, np.uint16).reshape(40, 52)
            image = CompressedImage('mono16; png', encode_png(pixels), image.stamp_ns, 'thermal')
            topic += '/compressed'
        sent.append((at, topic, image))
    packed = cameras.run(tmp_path, sent)
    images = [bytes(image.data) for image in fused_images(tmp_path / 'out.mcap')]
    cameras.run(tmp_path, cameras.frames(4))
    assert packed['fused'] == 4
    assert images == [bytes(image.data) for image in fused_images(tmp_path / 'out.mcap')]


def test_a_shutter_calibration_is_told(cameras, tmp_path):
    sent = cameras.frames(30)
    shutter = sent[20][2].data
    for index in range(20, 50, 2):
        at, topic, image = sent[index]
        sent[index] = (at, topic, dataclasses.replace(image, data=shutter))
    report = cameras.run(tmp_path, sent)
    (event,) = report['ffc']
    assert event['state'] == 'frozen'
    # Images 10 to 24 repeat; for less than 0.2 s (six periods) it could be a slow core.
    assert event['end_s'] == pytest.approx(0.003 + 24 * cameras.PERIOD_NS / 1e9, abs=1e-3)
    assert event['pairs'] == 24 - 17 + 1


def test_stamps_that_are_not_set_are_those_of_recording(cameras, tmp_path):
    sent = [(at, t, dataclasses.replace(image, stamp_ns=0)) for at, t, image in cameras.frames(3)]
    report = cameras.run(tmp_path, sent)
    assert report['frames']['stamp_ns'] == [cameras.stamp(i) + 4_000_000 for i in range(3)]


def test_a_bag_is_not_overwritten_by_its_fused_images(cameras, tmp_path):
    bag = cameras.write(tmp_path / 'in.mcap', cameras.frames(2))
    with pytest.raises(EvaluationError, match='would overwrite the bag'):
        replay(bag, bag, SETTINGS, TOPICS)
