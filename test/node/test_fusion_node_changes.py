"""What changes under a running node: clocks, bags, images, publishers."""

from types import SimpleNamespace
from typing import Any

from ir_vis_fusion.types import Role
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros

S = 10**9


def fused_within(rig: Any, helpers: SimpleNamespace, feed: Any) -> int:
    """Return how many pairs were sent until one of them came out fused."""
    sent: list[int] = []
    before = int(rig.value('published_fused'))
    rig.fused.clear()

    def send() -> None:
        feed()
        sent.append(rig.stamp_ns)

    rig.spin_until(
        lambda: (
            {helpers.stamp_of(message) for message in rig.fused} & set(sent)
            and int(rig.value('published_fused')) > before
        ),
        send,
    )
    came = {helpers.stamp_of(message) for message in rig.fused}
    return next(index for index, stamp in enumerate(sent, 1) if stamp in came)


def publish_clock(rig: Any, now_ns: int) -> None:
    from builtin_interfaces.msg import Time
    from rosgraph_msgs.msg import Clock

    if not hasattr(rig, 'clock'):
        rig.clock = rig.tester.create_publisher(Clock, '/clock', 10)
        rig.spin_until(rig.clock.get_subscription_count)
    sec, nanosec = divmod(now_ns, S)
    rig.clock.publish(Clock(clock=Time(sec=sec, nanosec=nanosec)))
    rig.spin_until(lambda: rig.node.get_clock().now().nanoseconds == now_ns)


def test_before_the_clock_starts_and_from_then_on_pairs_are_fused(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.start(use_sim_time=True, max_age_ms=1000.0)
    rig.stamp_ns = 500 * S
    rig.fuse_a_pair()

    publish_clock(rig, rig.stamp_ns)

    assert fused_within(rig, helpers, rig.publish_pair) <= 5
    assert (rig.value('jumps'), rig.value('dropped_stale')) == ('0', '0')


@pytest.mark.parametrize('jump_s', [-300, 300])
def test_a_bag_that_jumps_with_its_clock_is_fused_from_there_on(
    rig: Any, helpers: SimpleNamespace, jump_s: int
) -> None:
    rig.start(use_sim_time=True, max_age_ms=1000.0)
    rig.stamp_ns = 1000 * S
    publish_clock(rig, rig.stamp_ns)
    rig.fuse_a_pair()
    rig.publish(Role.THERMAL, stamp_ns=rig.stamp_ns + 33 * helpers.MS)
    # It is here, and waits, before the clock jumps.
    rig.spin_until(lambda: int(rig.value('thermal_received')) > int(rig.value('visible_received')))

    rig.stamp_ns += jump_s * S
    publish_clock(rig, rig.stamp_ns)

    assert fused_within(rig, helpers, rig.publish_pair) <= 5
    assert rig.value('dropped_stale') == '0'
    assert rig.value('jumps') == ('1' if jump_s < 0 else '0')


@pytest.mark.parametrize('jump_s', [-60, 60])
def test_stamps_that_jump_without_a_clock_are_fused_from_there_on(
    rig: Any, helpers: SimpleNamespace, jump_s: int
) -> None:
    rig.start()
    rig.stamp_ns -= 3600 * S
    rig.fuse_a_pair()

    rig.stamp_ns += jump_s * S

    assert fused_within(rig, helpers, rig.publish_pair) <= 5
    told = [helpers.stamp_of(message) for message in rig.fused]
    told = [stamp for stamp in told if abs(stamp - rig.stamp_ns) < 30 * S]
    assert told == sorted(set(told))


def test_a_bag_that_is_played_in_a_loop_loses_nothing_at_its_end(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.start()
    rig.stamp_ns -= 3600 * S
    begin_ns = rig.stamp_ns
    for _ in range(3):
        rig.stamp_ns = begin_ns
        rig.fused.clear()
        sent: list[int] = []

        def feed(sent: list[int] = sent) -> None:
            came = {helpers.stamp_of(message) for message in rig.fused}
            if len(sent) < 20 and (not sent or sent[-1] in came or len(sent) < 2):
                sent.append(rig.publish_pair())

        rig.spin_until(lambda sent=sent: len(sent) == 20, feed)

    came = [helpers.stamp_of(message) for message in rig.fused]
    # The first pair of a pass waits for the second one, which tells the period.
    assert len(set(came)) >= 18
    assert rig.value('mode') == 'fused'


def test_images_that_change_size_and_encoding_are_fused_from_the_first_one_on(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.start()
    rig.fuse_a_pair()
    random = np.random.default_rng(0)
    changes = [
        (random.integers(29000, 30000, (48, 64), np.uint16), 'mono16', (60, 80, 3), 'bgr8'),
        (random.integers(0, 255, (24, 32), np.uint8), 'mono8', (24, 32, 4), 'rgba8'),
        (random.normal(20, 5, (12, 16)).astype(np.float32), '32FC1', (90, 160, 3), 'rgb8'),
        (random.integers(29000, 30000, (24, 32), np.uint16), '16UC1', (24, 32), 'mono8'),
    ]
    for thermal, thermal_encoding, shape, encoding in changes:
        visible = random.integers(0, 255, shape, np.uint8)
        pair = (helpers.image(thermal, thermal_encoding), helpers.image(visible, encoding))

        assert fused_within(rig, helpers, lambda pair=pair: rig.publish_pair(*pair)) <= 5

        newest = rig.predictor.pairs[-1]
        assert newest.thermal.image.shape == thermal.shape
        assert newest.visible.image.shape[:2] == shape[:2]
        assert (rig.fused[-1].height, rig.fused[-1].width) == shape[:2]
    assert rig.value('failed') == '0'


@pytest.mark.parametrize('role', list(Role))
def test_a_camera_that_restarts_with_another_qos_is_subscribed_as_it_offers_and_fused(
    rig: Any, helpers: SimpleNamespace, role: Role
) -> None:
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image

    rig.start()
    rig.fuse_a_pair()
    key = f'{role.value}_subscribed'
    assert rig.value(key) == 'reliable'

    rig.tester.destroy_publisher(rig.cameras[role])
    other = Role.VISIBLE if role is Role.THERMAL else Role.THERMAL
    alone = 'visible_only' if other is Role.VISIBLE else 'thermal_only'

    def feed() -> None:
        rig.stamp_ns += 33 * helpers.MS
        rig.publish(other)

    rig.spin_until(lambda: rig.value('mode') == alone, feed)
    rig.cameras[role] = rig.tester.create_publisher(
        Image, f'{role.value}/image_raw', qos_profile_sensor_data
    )
    rig.spin_until(lambda: rig.value(key) == 'best_effort', feed)
    rig.await_cameras()

    rig.spin_until(lambda: rig.value('mode') == 'fused', rig.publish_pair)


def test_it_takes_less_than_a_second_of_good_input_to_be_fused_again(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.start()
    rig.fuse_a_pair()

    def visible_only() -> None:
        rig.stamp_ns += 33 * helpers.MS
        rig.publish(Role.VISIBLE)

    rig.spin_until(lambda: rig.value('mode') == 'visible_only', visible_only)
    before, begin_ns = len(rig.predictor.pairs), rig.stamp_ns

    rig.spin_until(lambda: len(rig.predictor.pairs) > before, rig.publish_pair)

    # In stamp time, as the ladder counts: the machine may be as slow as it likes.
    assert rig.predictor.pairs[before].visible.stamp_ns - begin_ns < S
