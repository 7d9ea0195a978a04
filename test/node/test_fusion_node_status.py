"""What the node says besides its images: the status names the remedy, the log the level."""

import threading
from typing import Any

from ir_vis_fusion.types import Role
import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros


def test_problems_are_logged_by_level_and_a_remark_is_no_trouble(
    rig: Any, capfd: pytest.CaptureFixture
) -> None:
    from sensor_msgs.msg import CameraInfo

    rig.start(input_timeout_s=0.2)
    publisher = rig.tester.create_publisher(CameraInfo, 'visible/camera_info', 10)
    rig.spin_until(publisher.get_subscription_count)
    publisher.publish(CameraInfo(width=64, height=96))
    rig.spin_until(lambda: rig.statuses[-1].level == b'\x00', rig.publish_pair)
    rig.spin_until_status('thermal images stopped')
    capfd.readouterr()

    rig.spin_until(lambda: rig.statuses[-1].level == b'\x00', rig.publish_pair)
    rig.publish(Role.THERMAL, stamp_ns=0)
    rig.spin_until_status('stamps them with 0')
    rig.spin_until_status('thermal images stopped')

    told = [
        line.split(']')[0] + line.rpartition(']')[2]
        for line in capfd.readouterr().err.splitlines()
    ]
    assert '[INFO: all is well again' in told
    assert '[WARN: 1 images dropped, the driver stamps them with 0' in told
    assert any(line.startswith('[ERROR: thermal images stopped') for line in told)


@pytest.mark.parametrize(('wanted', 'offered'), [('raw', 'compressed'), ('compressed', 'raw')])
def test_a_camera_that_only_offers_the_other_transport_is_named_with_the_parameter(
    rig: Any, wanted: str, offered: str
) -> None:
    from sensor_msgs.msg import CompressedImage, Image

    topics = {'raw': '/cam/image', 'compressed': '/cam/image/compressed'}
    rig.make_node('-r', 'visible/image_raw:=/cam/image', visible_transport=wanted).start()
    rig.listen()
    rig.tester.create_publisher(
        Image if offered == 'raw' else CompressedImage, topics[offered], 10
    )

    status = rig.spin_until_status('visible_transport')

    expected = f'nothing on {topics[wanted]}, but {topics[offered]} is published: '
    assert expected + f'set visible_transport to {offered}' in status.message
    assert 'thermal_transport' not in status.message


def test_qos_overrides_that_have_no_effect_are_named(
    rig: Any, capfd: pytest.CaptureFixture
) -> None:
    rig.make_node(
        '-p', 'qos_overrides./fused/image.publisher.depht:=3',
        '-p', 'qos_overrides./thermal/image_raw.subscription.reliability:=best_effort',
        '-p', 'qos_overrides./fused/image.publisher.depth:=3',
        '-p', 'qos_overrides./visible/image_raw.subscription.depth:=3',
    ).start()  # fmt: skip

    ignored = [line for line in capfd.readouterr().err.splitlines() if 'ignored' in line]

    assert len(ignored) == 2
    assert "did you mean 'qos_overrides./fused/image.publisher.depth'?" in ignored[0]
    assert "/thermal/image_raw.subscription.reliability' is no parameter" in ignored[1]
    assert 'set qos.reliability' in ignored[1]


def test_the_subscriptions_are_as_deep_as_the_parameter_says(rig: Any) -> None:
    node = rig.start(qos__depth=3)

    for role in Role:
        name = f'qos_overrides./{role.value}/image_raw.subscription.depth'
        assert node.get_parameter(name).value == 3


def test_no_pair_from_before_a_reset_is_fused_after_it(rig: Any) -> None:
    from std_srvs.srv import Trigger

    rig.start()
    client = rig.tester.create_client(Trigger, 'fusion_node/reset')
    rig.spin_until(client.service_is_ready)
    go_on, predict = threading.Event(), rig.predictor.predict
    rig.predictor.predict = lambda *arguments: go_on.wait(10) and predict(*arguments)
    # The first pair is under way, another one waits in the mailbox.
    rig.spin_until(lambda: int(rig.value('dropped_busy')) >= 1, rig.publish_pair)
    rig.stamp_ns += 33_000_000
    rig.publish(Role.THERMAL)
    last_ns = rig.stamp_ns
    rig.spin_until(
        lambda: int(rig.value('thermal_received')) == 1 + int(rig.value('visible_received'))
    )

    answer = client.call_async(Trigger.Request())
    rig.spin_until(answer.done)
    rig.stamp_ns += 5_000_000
    rig.publish(Role.VISIBLE)
    go_on.set()
    rig.stamp_ns += 500_000_000
    rig.fuse_a_pair()

    first, *others = rig.predictor.pairs
    assert first.visible.stamp_ns < last_ns
    assert min(pair.thermal.stamp_ns for pair in others) > last_ns
