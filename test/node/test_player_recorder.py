"""Player and recorder over real DDS: every message arrives, with nothing changed but its stamp."""

import json
import signal
import subprocess
import sys
import time

from ir_vis_fusion.evaluation import bags, cdr
from ir_vis_fusion.types import CompressedImage, RawImage
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros

COUNT = 12
PERIOD_NS = 20_000_000
BAG_NS = 1_700_000_000_000_000_000
CAMERA_LAG_NS = 3_000_000
PATIENT = ('--wait-s', '100')
TOPICS = ('thermal/image_raw', 'visible/image_raw', 'visible/camera_info')


@pytest.fixture(scope='module')
def start():
    """Return a function that starts a program of the node's room; all end with the module."""
    processes = []

    def start(module, *arguments):
        command = [sys.executable, '-m', f'ir_vis_fusion.node.{module}', *map(str, arguments)]
        processes.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def write_bag(path, packed=False, stamped=True):
    """Write a bag with stamps that lie 3 ms before the times of recording, or are 0."""
    matrix = np.diag([2.0, 2.0, 1.0])
    with bags.BagWriter(path) as bag:
        for index in range(COUNT):
            at_ns = BAG_NS + index * PERIOD_NS
            thermal = RawImage(4, 3, 'mono16', False, 6, bytes([index]) * 24, at_ns, 'thermal')
            visible = RawImage(4, 3, 'rgb8', False, 9, bytes([index]) * 36, at_ns, 'visible')
            if packed:
                visible = CompressedImage('rgb8; jpeg', bytes([index]) * 9, at_ns, 'visible')
            name = '/cam/color/image_raw' + ('/compressed' if packed else '')
            kind = cdr.COMPRESSED_IMAGE if packed else cdr.IMAGE
            info = cdr.camera_info_to_cdr(at_ns, 'visible', 4, 3, matrix)
            for topic, msgtype, data in (
                ('/boson/image16', cdr.IMAGE, cdr.image_to_cdr(thermal)),
                (name, kind, cdr.image_to_cdr(visible)),
                ('/cam/color/camera_info', cdr.CAMERA_INFO, info),
            ):
                data = data if stamped else cdr.restamped(data, 0)
                bag.write(topic, msgtype, at_ns + CAMERA_LAG_NS, data)
    return path


def named(topics):
    return [item for topic in topics for item in ('--topic', topic)]


def played(start, folder, bag, topics, *arguments):
    """Play a bag into a recorder; return the summaries of both and the recorded messages."""
    out = folder / 'out.mcap'
    recorder = start('recorder', *named(topics), '--out', out)
    player = start('player', bag, *PATIENT, *arguments)
    return finished(player, recorder, out)


def finished(player, recorder, out):
    player_output, _ = player.communicate(timeout=120)
    # The player has waited until the recorder has all; what has come it writes.
    recorder.send_signal(signal.SIGINT)
    recorder_output, _ = recorder.communicate(timeout=120)
    assert (player.returncode, recorder.returncode) == (0, 0)
    summary = recorder_output.splitlines()[-1]
    return json.loads(player_output), json.loads(summary), read(out)


def read(path):
    with bags.BagReader(path) as bag:
        return [(topic, bytes(data)) for topic, _, data in bag.messages(bag.topics)]


def content(data):
    """Leave out encapsulation and stamp, and the zeros by which DDS fills up the last word."""
    return data[12:].rstrip(b'\0')


@pytest.fixture(scope='module')
def result(start, tmp_path_factory):
    folder = tmp_path_factory.mktemp('played')
    bag = write_bag(folder / 'in.mcap')
    return read(bag), *played(start, folder, bag, TOPICS)


def test_all_messages_arrive_and_only_their_stamps_differ(result):
    sent, player, recorder, arrived = result
    renamed = {source: f'/{name}' for name, source in player['topics'].items()}
    for source, name in renamed.items():
        before = [content(data) for topic, data in sent if topic == source]
        after = [content(data) for topic, data in arrived if topic == name]
        assert before == after
        assert len(after) == COUNT
    assert player['published'] == dict.fromkeys(TOPICS, COUNT)
    assert player['acknowledged'] is True
    assert recorder['dropped'] == 0


def test_stamps_keep_their_distances_and_are_shifted_to_now(result):
    sent, player, _, arrived = result
    before = sorted(cdr.header_stamp(data) for _, data in sent)
    after = sorted(cdr.header_stamp(data) for _, data in arrived)
    assert {b - a for a, b in zip(before, after, strict=True)} == {player['stamp_shift_ns']}
    assert abs(after[-1] - time.time_ns()) < 60e9


def test_latency_is_told_by_topic(result):
    _, _, recorder, _ = result
    for topic in TOPICS:
        facts = recorder['topics'][topic]
        assert facts['received'] == COUNT
        latency = facts['latency_ms']
        assert -1 < latency['p50'] <= latency['p95'] <= latency['p99'] <= latency['max'] < 5000


def test_with_clock_the_stamps_of_the_bag_are_kept(start, tmp_path):
    bag = write_bag(tmp_path / 'in.mcap', packed=True)
    topics = ('thermal/image_raw', 'visible/image_raw/compressed')
    player, recorder, arrived = played(start, tmp_path, bag, topics, '--clock', '--rate', '2')
    stamps = [cdr.header_stamp(data) for topic, data in arrived if 'compressed' in topic]
    assert stamps == [BAG_NS + index * PERIOD_NS for index in range(COUNT)]
    assert player['stamp_shift_ns'] == 0
    assert recorder['topics']['thermal/image_raw']['received'] == COUNT


def test_ivf_play_sends_what_is_remapped_elsewhere(start, tmp_path):
    bag = write_bag(tmp_path / 'in.mcap')
    out = tmp_path / 'out.mcap'
    topics = ('--topic', '/boson/image_raw', '--topic', 'visible/image_raw')
    recorder = start('recorder', *topics, '--out', out, '--idle-timeout', 0.5)
    remapped = ('--ros-args', '-r', 'thermal/image_raw:=/boson/image_raw')
    options = ('--clock', '--rate', '2', *PATIENT, *remapped)
    command = [sys.executable, '-m', 'ir_vis_fusion', 'play', bag, *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, recorder.wait(120)) == (0, 0), done.stderr
    assert json.loads(done.stdout)['published']['thermal/image_raw'] == COUNT
    stamps = [cdr.header_stamp(data) for topic, data in read(out) if topic == '/boson/image_raw']
    assert stamps == [BAG_NS + index * PERIOD_NS for index in range(COUNT)]


def test_stamps_of_zero_are_played_by_the_times_of_recording(start, tmp_path):
    bag = write_bag(tmp_path / 'in.mcap', stamped=False)
    player, _, arrived = played(start, tmp_path, bag, TOPICS)
    first_ns = BAG_NS + CAMERA_LAG_NS + player['stamp_shift_ns']
    expected = [first_ns + index * PERIOD_NS for index in range(COUNT)]
    for name in TOPICS:
        stamps = [cdr.header_stamp(data) for topic, data in arrived if topic == f'/{name}']
        assert stamps == expected


def test_a_recorder_that_is_not_given_the_processor_for_a_while_loses_nothing(start, tmp_path):
    bag = write_bag(tmp_path / 'in.mcap')
    out = tmp_path / 'out.mcap'
    recorder = start('recorder', *named(TOPICS), '--out', out)
    player = start('player', bag, *PATIENT)
    assert recorder.stdout.readline() == 'matched\n'
    recorder.send_signal(signal.SIGSTOP)
    # The bag lasts 0.24 s, and the player keeps less than that.
    with pytest.raises(subprocess.TimeoutExpired):
        player.wait(1.0)
    recorder.send_signal(signal.SIGCONT)
    _, summary, _ = finished(player, recorder, out)
    assert [summary['topics'][topic]['received'] for topic in TOPICS] == [COUNT] * len(TOPICS)


def test_a_loop_goes_on_with_increasing_stamps_until_sigint(start, tmp_path):
    bag = write_bag(tmp_path / 'in.mcap')
    out = tmp_path / 'out.mcap'
    recorder = start('recorder', *named(TOPICS), '--out', out)
    player = start('player', bag, *PATIENT, '--loop', '--rate', '4')
    assert recorder.stdout.readline() == 'matched\n'
    # The recorder has matched, so the player sends; two passes take 0.12 s.
    with pytest.raises(subprocess.TimeoutExpired):
        player.wait(1.0)
    player.send_signal(signal.SIGINT)
    summary, _, arrived = finished(player, recorder, out)
    assert summary['published']['visible/image_raw'] > 2 * COUNT
    stamps = [cdr.header_stamp(data) for topic, data in arrived if 'visible/image' in topic]
    assert len(stamps) == summary['published']['visible/image_raw']
    assert np.allclose(np.diff(stamps), PERIOD_NS / 4, atol=2e6)


def test_without_a_subscriber_the_player_says_so(start, tmp_path):
    bag = write_bag(tmp_path / 'in.mcap')
    command = [sys.executable, '-m', 'ir_vis_fusion.node.player', bag, '--wait-s', '0.1']
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 1
    assert 'nobody subscribed to /thermal/image_raw and /visible/image_raw' in done.stderr


def test_a_recorder_ends_on_sigint_and_leaves_a_bag(start, tmp_path):
    out = tmp_path / 'out.mcap'
    facts = tmp_path / 'out.json'
    command = ('--topic', 'fused/image', '--out', out, '--json', facts)
    recorder = start('recorder', *command)
    while not any(tmp_path.iterdir()):
        time.sleep(0.01)
    recorder.send_signal(signal.SIGINT)
    assert recorder.wait(120) == 0
    assert json.loads(facts.read_text())['topics']['fused/image']['received'] == 0
    assert read(out) == []
