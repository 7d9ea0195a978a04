"""Bad input: each fault is counted and named in the status, and the node goes on."""

import threading
from types import SimpleNamespace
from typing import Any

from ir_vis_fusion.types import Role
import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros


def truncated(helpers: SimpleNamespace) -> Any:
    message = helpers.image(helpers.VISIBLE, 'rgb8')
    message.data = message.data[:-100]
    return message


def unknown_encoding(helpers: SimpleNamespace) -> Any:
    return helpers.image(helpers.VISIBLE, 'rgb9')


def zero_height(helpers: SimpleNamespace) -> Any:
    return helpers.image(helpers.VISIBLE[:0], 'rgb8')


@pytest.mark.parametrize(
    ('make_message', 'counter', 'words'),
    [
        (truncated, 'failed_visible_truncated', 'visible'),
        (unknown_encoding, 'failed_visible_unknown_encoding', 'rgb9'),
        (zero_height, 'failed_visible_empty', 'visible'),
    ],
)
def test_an_image_that_cannot_be_decoded_is_counted_and_named_and_the_next_one_is_fused(
    rig: Any, helpers: SimpleNamespace, make_message: Any, counter: str, words: str
) -> None:
    rig.start()
    rig.fuse_a_pair()

    rig.publish_pair(visible=make_message(helpers))
    status = rig.spin_until_status('failed')

    assert rig.value(counter) == '1'
    assert counter.removeprefix('failed_') + ' 1' in status.message
    assert words in rig.value('last_failure')
    assert status.level in (b'\x01', b'\x02')
    rig.fuse_a_pair()


def test_the_fault_leaves_the_message_when_it_is_over_and_stays_counted(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.start()
    rig.publish_pair(visible=truncated(helpers))
    rig.spin_until_status('failed')

    rig.spin_until(lambda: rig.statuses[-1].message == 'fusing', rig.publish_pair)

    assert rig.value('failed') == '1'
    assert rig.statuses[-1].level == b'\x00'


def test_a_stamp_that_goes_back_a_little_is_dropped_and_named(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.start()
    rig.fuse_a_pair()

    rig.publish(Role.VISIBLE, stamp_ns=rig.stamp_ns - 100 * helpers.MS)
    rig.spin_until_status('stamps went back')

    assert rig.value('out_of_order') == '1'
    rig.fuse_a_pair()


def test_a_stamp_that_goes_back_far_starts_anew_and_resets_the_predictor(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.start()
    rig.fuse_a_pair()
    resets = rig.predictor.resets

    rig.stamp_ns -= 60_000 * helpers.MS
    rig.publish_pair()
    rig.spin_until_status('jumped back 1 times')
    rig.fuse_a_pair()

    assert rig.value('jumps') == '1'
    assert rig.predictor.resets == resets + 1


def test_missing_cameras_are_named_with_their_topics(rig: Any) -> None:
    rig.make_node().start()
    rig.listen()

    status = rig.spin_until_status('no thermal images yet')

    assert 'on /thermal/image_raw (0 publishers)' in status.message
    assert 'no visible images yet' in status.message


def test_streams_that_never_match_are_named_with_offset_and_remedy(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.start()
    rig.statuses.clear()

    def thermal_ahead() -> None:
        rig.stamp_ns += 33 * helpers.MS
        rig.publish(Role.VISIBLE)
        rig.publish(Role.THERMAL, stamp_ns=rig.stamp_ns + 8_000 * helpers.MS)

    rig.spin_until(lambda: rig.told('no pairs'), thermal_ahead)

    assert float(rig.value('measured_offset_ms')) == pytest.approx(8000, abs=100)
    assert rig.told('set sync.thermal_time_offset_ms to -')
    assert rig.fused == []


def test_a_slow_predictor_gets_the_newest_pair_and_the_drops_are_told(rig: Any) -> None:
    rig.start()
    go_on = threading.Event()
    predict = rig.predictor.predict
    rig.predictor.predict = lambda *arguments: go_on.wait(60) and predict(*arguments)

    rig.spin_until(lambda: rig.told('slower than the cameras'), rig.publish_pair)
    rig.spin_until(lambda: int(rig.value('dropped_busy')) >= 3, rig.publish_pair)
    go_on.set()
    rig.spin_until(lambda: len(rig.predictor.pairs) >= 2)

    first, second = rig.predictor.pairs[:2]
    assert second.visible.stamp_ns - first.visible.stamp_ns >= 3 * 33_000_000


def test_a_clock_that_jumps_back_resets_the_predictor(rig: Any) -> None:
    from builtin_interfaces.msg import Time
    from rosgraph_msgs.msg import Clock

    rig.start(use_sim_time=True)
    clock = rig.tester.create_publisher(Clock, '/clock', 10)
    rig.spin_until(clock.get_subscription_count)
    clock.publish(Clock(clock=Time(sec=1000)))
    rig.spin_until(lambda: rig.node.get_clock().now().nanoseconds == 1000 * 10**9)
    rig.fuse_a_pair()
    resets = rig.predictor.resets

    rig.statuses.clear()
    clock.publish(Clock(clock=Time(sec=900)))
    rig.spin_until(lambda: rig.told('time jumped back 1 times, pairing started anew'))
    rig.fuse_a_pair()

    assert rig.node.get_clock().now().nanoseconds == 900 * 10**9
    assert rig.value('jumps') == '1'
    assert rig.predictor.resets == resets + 1


def test_stamps_of_another_clock_are_named_and_kept_out_of_the_latency(rig: Any) -> None:
    rig.start()
    rig.stamp_ns -= 3600 * 10**9

    rig.spin_until(lambda: rig.told('s behind the clock of this node'), rig.publish_pair)

    assert rig.value('latency_p50_ms') == ''


def test_latency_and_processing_time_are_told(rig: Any) -> None:
    rig.start()
    rig.fuse_a_pair()

    rig.spin_until(lambda: rig.value('latency_p95_ms'))

    assert -10_000 < float(rig.value('latency_p50_ms')) <= float(rig.value('latency_p95_ms'))
    assert 0 < float(rig.value('processing_p50_ms')) < 10_000
