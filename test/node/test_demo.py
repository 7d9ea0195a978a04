"""The demo: any source becomes a bag to play, and the whole chain runs over real DDS."""

import json
import os
from types import SimpleNamespace
from xml.etree import ElementTree

from ir_vis_fusion.checkpoint import shipped
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.bags import BagReader, BagWriter
from ir_vis_fusion.evaluation.videos import VideoReader, VideoWriter
from ir_vis_fusion.node.children import await_all
from ir_vis_fusion.node.demo import DemoSource, prepare, run_demo, summary
from ir_vis_fusion.node.transport import prepare_transport
from ir_vis_fusion.preprocessing.encodings import encode_png, read_image, write_image
from ir_vis_fusion.types import CompressedImage, RawImage, Role
import numpy as np
import pytest

COUNT = 20


@pytest.fixture
def folders(tmp_path):
    """Return two folders of 20 small images, a warm square that moves in the thermal ones."""
    for name in ('ir', 'vi'):
        (tmp_path / name).mkdir()
    for index in range(COUNT):
        thermal = np.full((64, 80), 29000, np.uint16)
        thermal[20:40, 2 * index : 2 * index + 20] = 30800
        visible = np.full((48, 64, 3), (60, 40, 30), np.uint8)
        write_image(tmp_path / 'ir' / f'{index}.png', thermal)
        write_image(tmp_path / 'vi' / f'{index}.png', visible)
    return tmp_path / 'ir', tmp_path / 'vi'


def test_folders_become_a_bag_at_the_given_rate(folders, tmp_path):
    playable = prepare(DemoSource(*folders, fps=20.0), tmp_path, tmp_path)
    assert (playable.thermal_topic, playable.visible_topic) == (
        '/thermal/image_raw',
        '/visible/image_raw',
    )
    assert (playable.pairs, playable.parameters) == (COUNT, {})
    assert playable.duration_s == pytest.approx((COUNT - 1) / 20)
    with BagReader(playable.bag) as bag:
        images = [image for topic, image in bag.images(['/thermal/image_raw'])]
    assert {image.encoding for image in images} == {'mono16'}
    assert all(image.stamp_ns > 0 for image in images)


def test_a_slow_thermal_video_is_sent_once_a_frame_and_held(tmp_path):
    for name, fps in (('ir', 10), ('vi', 30)):
        with VideoWriter(tmp_path / f'{name}.mp4', fps) as video:
            for _ in range(fps):
                video.write(np.zeros((32, 48, 3), np.uint8))
    playable = prepare(DemoSource(tmp_path / 'ir.mp4', tmp_path / 'vi.mp4'), tmp_path, tmp_path)
    with BagReader(playable.bag) as bag:
        assert bag.counts == {'/thermal/image_raw': 10, '/visible/image_raw': 30}
    assert playable.parameters == {'sync.mode': 'hold_thermal'}
    assert playable.pairs == 30


def test_a_bag_with_compressed_images_sets_the_transport(tmp_path):
    png = encode_png(np.zeros((32, 32), np.uint16))
    with BagWriter(tmp_path / 'a.mcap') as bag:
        raw = RawImage(32, 32, 'mono8', False, 32, bytes(1024), 10**18)
        bag.write_image('/lwir/compressed', CompressedImage('mono16; png', png, 10**18))
        bag.write_image('/front/image_raw', raw)
    playable = prepare(DemoSource(bag=tmp_path / 'a.mcap'), tmp_path, tmp_path)
    assert playable.parameters == {'thermal_transport': 'compressed'}


@pytest.mark.parametrize(
    ('source', 'message'),
    [
        ({'thermal': 'a.mp4'}, 'thermal and visible are needed together'),
        ({'bag': 'a.mcap', 'visible': 'a.mp4'}, 'leave out thermal and visible'),
        ({'bag': 'a.mcap', 'fps': 5.0}, 'a bag has its own times, leave out fps'),
        ({'thermal_topic': '/t'}, 'topics are those of a bag'),
        ({'fps': 5.0}, 'fps is for folders of images'),
    ],
)
def test_contradictions_are_refused(tmp_path, source, message):
    with pytest.raises(EvaluationError, match=message):
        prepare(DemoSource(**source), tmp_path, tmp_path)


def test_the_summary_tells_counts_and_latency(folders, tmp_path):
    playable = prepare(DemoSource(*folders), tmp_path, tmp_path)
    latency = {'p50': 21.04, 'p95': 30.0, 'p99': 35.5, 'max': 40.0}
    status = dict.fromkeys(('failed', 'thermal_unmatched', 'visible_unmatched'), '0')
    status |= {'matched': '20', 'published': '19', 'dropped_busy': '1'}
    recorder = {
        'topics': {'fused/image': {'received': 18, 'latency_ms': latency}},
        'status': status,
    }
    text = summary(playable, {'latest_ms': 2.0}, recorder)
    assert 'published:           19 (95.0 %), 18 received' in text
    assert 'p50 21.0 ms, p95 30.0 ms, p99 35.5 ms' in text
    assert 'dropped:             1 busy, 0 failed' in text


def test_room_for_images_is_made_unless_the_user_has_chosen(monkeypatch):
    variables = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
    for name in (*variables, 'FASTDDS_BUILTIN_TRANSPORTS'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('FASTDDS_BUILTIN_TRANSPORTS', 'LARGE_DATA')
    prepare_transport()
    assert not set(variables) & set(os.environ)
    monkeypatch.delenv('FASTDDS_BUILTIN_TRANSPORTS')
    for name in variables:
        monkeypatch.setenv(name, 'mine')
    prepare_transport()
    assert {os.environ[name] for name in variables} == {'mine'}
    for name in variables:
        monkeypatch.delenv(name)
    prepare_transport()
    profile = ElementTree.parse(os.environ[variables[0]])
    assert os.environ[variables[1]] == os.environ[variables[0]]
    assert [int(item.text) for item in profile.iter() if item.tag.endswith('segment_size')] == [
        8 * 2**20
    ]


@pytest.mark.ros
@pytest.mark.skipif(not shipped(), reason='no weights are shipped')
def test_the_demo_leaves_a_bag_a_video_a_contact_sheet_and_figures(folders, tmp_path):
    pytest.importorskip('rclpy')
    said = []
    assert run_demo(tmp_path / 'out', DemoSource(*folders, fps=5.0), say=said.append) == 0
    names = sorted(path.name for path in (tmp_path / 'out').iterdir())
    assert names == ['contact_sheet.png', 'fused.mcap', 'fused.mp4', 'summary.json']
    with BagReader(tmp_path / 'out' / 'fused.mcap') as bag:
        fused = [image for _, image in bag.images(['/fused/image'])]
    # A busy machine may drop pairs, which it counts; the video holds the one before instead.
    told = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert len(fused) == int(told['recorder']['status']['published']) > COUNT // 4
    assert {(image.height, image.width, image.encoding) for image in fused} == {(48, 64, 'rgb8')}
    video = VideoReader(tmp_path / 'out' / 'fused.mp4')
    assert (video.height, video.width, video.fps) == (48, 64, 5.0)
    assert len(fused) <= video.frame_count <= COUNT
    sheet = read_image(tmp_path / 'out' / 'contact_sheet.png', Role.VISIBLE).image
    assert sheet.shape[1] > 4 * 480
    assert f'published:           {len(fused)} ' in '\n'.join(said)


@pytest.mark.ros
@pytest.mark.skipif(not shipped(), reason='no weights are shipped')
def test_pauses_longer_than_the_silence_at_the_end_lose_nothing(folders, tmp_path):
    pytest.importorskip('rclpy')
    for folder in folders:
        for index in range(3, COUNT):
            (folder / f'{index}.png').unlink()
    source = DemoSource(*folders, fps=0.5)
    assert run_demo(tmp_path / 'out', source, say=lambda _: None) == 0
    told = json.loads((tmp_path / 'out' / 'summary.json').read_text())
    assert told['recorder']['topics']['fused/image']['received'] == 3
    assert told['recorder']['status']['published'] == '3'


def test_a_process_that_ends_too_early_is_named():
    player, recorder = (
        SimpleNamespace(name=name, ended=lambda ended=ended: ended, tail=lambda: 'last words')
        for name, ended in (('player', False), ('recorder', True))
    )
    with pytest.raises(EvaluationError, match='recorder ended before player could play; last w'):
        await_all(player.ended, 'play', 5.0, player, recorder)


@pytest.mark.ros
def test_a_node_that_cannot_start_is_told_with_its_last_words(folders, tmp_path):
    pytest.importorskip('rclpy')
    with pytest.raises(
        EvaluationError, match="(?s)fusion_node ended with exit code 1.*'nonsense'"
    ):
        run_demo(tmp_path / 'out', DemoSource(*folders), {'model': 'nonsense'}, say=lambda _: None)
    assert list((tmp_path / 'out').iterdir()) == []
