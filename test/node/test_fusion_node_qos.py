"""The subscriptions follow the publishers' QoS; what cannot match is counted and named."""

from typing import Any

from ir_vis_fusion.types import Role
import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros


def subscribed(rig: Any, reliability: str) -> bool:
    """Say whether the node subscribes the thermal images so."""
    infos = rig.tester.get_subscriptions_info_by_topic('thermal/image_raw')
    return [info.qos_profile.reliability.name.lower() for info in infos] == [reliability]


def best_effort() -> Any:
    from rclpy.qos import qos_profile_sensor_data

    return qos_profile_sensor_data


def test_nothing_is_subscribed_before_a_publisher_is_known(rig: Any) -> None:
    rig.make_node().start()
    rig.listen()
    rig.spin_until_status('no thermal images yet')

    assert rig.tester.count_subscribers('thermal/image_raw') == 0


def test_a_reliable_publisher_is_subscribed_reliably(rig: Any) -> None:
    rig.start()

    rig.spin_until(lambda: subscribed(rig, 'reliable'))
    rig.fuse_a_pair()


def test_a_best_effort_publisher_is_subscribed_so_and_fused(rig: Any) -> None:
    rig.start(qos=best_effort())

    rig.spin_until(lambda: subscribed(rig, 'best_effort'))
    rig.fuse_a_pair()


def test_one_best_effort_publisher_among_reliable_ones_makes_the_subscription_so(rig: Any) -> None:
    from sensor_msgs.msg import Image

    rig.start()
    rig.spin_until(lambda: subscribed(rig, 'reliable'))

    other = rig.tester.create_publisher(Image, 'thermal/image_raw', best_effort())
    rig.spin_until(lambda: subscribed(rig, 'best_effort'))
    rig.tester.destroy_publisher(other)
    rig.spin_until(lambda: subscribed(rig, 'reliable'))

    rig.await_cameras()
    rig.fuse_a_pair()


def test_a_fixed_reliability_that_cannot_match_is_counted_and_named_with_the_remedy(
    rig: Any,
) -> None:
    from sensor_msgs.msg import Image

    rig.make_node(qos__reliability='reliable').start()
    rig.listen()
    rig.tester.create_publisher(Image, 'thermal/image_raw', best_effort())

    status = rig.spin_until_status('QoS incompatible')
    rig.spin_until(lambda: rig.value('thermal_incompatible_qos') == '1')

    assert 'a publisher of /thermal/image_raw is best effort' in status.message
    assert 'set it to auto or best_effort' in status.message
    assert status.level == b'\x02'


def test_fused_images_are_offered_reliably_with_the_last_two_kept(rig: Any) -> None:
    rig.start()

    (info,) = rig.tester.get_publishers_info_by_topic('fused/image')

    assert info.qos_profile.reliability.name == 'RELIABLE'
    assert rig.node.get_parameter('qos_overrides./fused/image.publisher.depth').value == 2


def test_qos_overrides_name_the_resolved_topic(rig: Any) -> None:
    rig.make_node(
        '-r', '__ns:=/robot',
        '-p', 'qos_overrides./robot/fused/image.publisher.reliability:=best_effort',
    ).start()  # fmt: skip

    rig.spin_until(lambda: rig.tester.count_publishers('/robot/fused/image'))

    (info,) = rig.tester.get_publishers_info_by_topic('/robot/fused/image')
    assert info.qos_profile.reliability.name == 'BEST_EFFORT'


def test_cameras_may_differ_in_reliability(rig: Any) -> None:
    from sensor_msgs.msg import Image

    rig.make_node().start()
    rig.listen()
    rig.cameras = {
        Role.THERMAL: rig.tester.create_publisher(Image, 'thermal/image_raw', best_effort()),
        Role.VISIBLE: rig.tester.create_publisher(Image, 'visible/image_raw', 10),
    }
    rig.await_cameras()

    rig.fuse_a_pair()

    assert rig.value('thermal_subscribed') == 'best_effort'
    assert rig.value('visible_subscribed') == 'reliable'
