"""What was fused live is measured like what is fused offline."""

from collections import Counter

from ir_vis_fusion.checkpoint import shipped
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation import bags, cdr
from ir_vis_fusion.evaluation.replay import ReplaySettings, ReplayTopics
from ir_vis_fusion.evaluation.replay_recorded import measure_recording
import pytest

pytestmark = pytest.mark.skipif(not shipped(), reason='no weights are shipped')

THERMAL, VISIBLE = '/boson/image_raw', '/camera/image_raw'
TOPICS = ReplayTopics()
SETTINGS = ReplaySettings(cpu_threads=1)


def test_a_recording_is_measured_like_what_was_fused_offline(cameras, tmp_path):
    offline = cameras.run(tmp_path, cameras.frames(8))
    live = measure_recording(tmp_path / 'in.mcap', tmp_path / 'out.mcap', SETTINGS, TOPICS).report
    same = ('pairs', 'fused', 'flicker', 'metrics', 'offset_ms', 'jitter_ms', 'unmatched', 'ffc')
    assert {name: live[name] for name in same} == {name: offline[name] for name in same}
    assert set(offline) <= set(live)
    assert (live['missing'], live['without_pair'], live['recorded']) == (0, 0, 8)
    assert live['configuration']['way'] == 'live'


def test_pairs_that_a_live_node_left_out_are_missing_in_every_pass(cameras, tmp_path):
    second = [
        (at + 20 * cameras.PERIOD_NS, topic, image) for at, topic, image in cameras.frames(20)
    ]
    cameras.run(tmp_path, cameras.frames(20) + second)
    with (
        bags.BagReader(tmp_path / 'out.mcap') as whole,
        bags.BagWriter(tmp_path / 'some.mcap') as some,
    ):
        for number, (topic, at, data) in enumerate(whole.messages(['/fused/image'])):
            if number not in (3, 20, 25):
                some.write(topic, cdr.IMAGE, at, data)
    live = measure_recording(tmp_path / 'in.mcap', tmp_path / 'some.mcap', SETTINGS, TOPICS).report
    assert (live['pairs'], live['fused'], live['missing']) == (40, 37, 3)
    stamps = Counter(live['frames']['stamp_ns'])
    once = {cameras.stamp(i) for i in (3, 0, 5)}
    assert {stamp for stamp, count in stamps.items() if count == 1} == once


def test_a_recording_without_the_fused_topic_is_told(cameras, tmp_path):
    bag = cameras.write(tmp_path / 'in.mcap', cameras.frames(2))
    with pytest.raises(EvaluationError, match=rf"no topic '/fused/image'; topics: {THERMAL}"):
        measure_recording(bag, bag, SETTINGS, TOPICS)
