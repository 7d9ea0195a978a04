"""What the node says besides its images: the status names the remedy, the log the level."""

import threading
from typing import Any

from ir_vis_fusion.node.diagnostics import PARTS
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


def values(status: Any) -> dict[str, str]:
    return {item.key: item.value for item in status.values}


def test_diagnostics_have_a_status_for_each_part_of_the_node(rig: Any) -> None:
    from diagnostic_msgs.msg import DiagnosticArray

    arrays: list[Any] = []
    rig.start(input_timeout_s=0.3)
    rig.tester.create_subscription(DiagnosticArray, '/diagnostics', arrays.append, 10)
    rig.spin_until(lambda: rig.statuses[-1].message == 'fusing', rig.publish_pair)
    arrays.clear()
    rig.spin_until(
        lambda: arrays and values(arrays[-1].status[0])['thermal_rate_hz'], rig.publish_pair
    )

    names = [f'/fusion_node: {part}' for part in PARTS]
    assert [status.name for status in arrays[-1].status] == names
    assert {(status.level, status.message) for status in arrays[-1].status} == {(b'\x00', 'ok')}
    inputs, synchronizer, thermal, inference = map(values, arrays[-1].status)
    assert inputs['thermal_image'] == '32x24 mono16'
    assert float(inputs['visible_rate_hz']) > 1
    assert int(synchronizer['matched']) > 0
    assert thermal['thermal_state'] == 'live'
    assert inference['mode'] == 'fused'
    assert inference['model_sha256'] == '0123456789ab'
    assert float(inference['processing_p99_ms']) > 0

    rig.spin_until(lambda: arrays[-1].status[0].level == b'\x02')
    assert 'thermal images stopped' in arrays[-1].status[0].message
    assert arrays[-1].status[1].level == b'\x00'


def test_the_self_check_is_logged_once(rig: Any, capfd: pytest.CaptureFixture) -> None:
    rig.start()
    told = ''

    def checks() -> int:
        nonlocal told
        told += capfd.readouterr().err
        return told.count('self-check')

    rig.spin_until(checks, rig.publish_pair)
    before = len(rig.statuses)
    rig.spin_until(lambda: len(rig.statuses) > before + 3, rig.publish_pair)

    assert checks() == 1
    assert '/visible/image_raw, sensor_msgs/msg/Image, reliable, 32x24 rgb8' in told


def test_a_lazy_node_subscribes_while_somebody_listens(rig: Any) -> None:
    from diagnostic_msgs.msg import DiagnosticStatus
    from sensor_msgs.msg import CameraInfo, Image

    rig.make_node(lazy=True).start()
    rig.tester.create_subscription(DiagnosticStatus, 'fusion_node/status', rig.statuses.append, 10)
    rig.cameras = {
        role: rig.tester.create_publisher(Image, f'{role.value}/image_raw', 10) for role in Role
    }
    rig.spin_until(lambda: rig.told('nobody listens') and rig.value('thermal_publishers') == '1')
    assert rig.tester.count_subscribers('thermal/image_raw') == 0

    listener = rig.tester.create_subscription(
        CameraInfo, 'fused/camera_info', rig.infos.append, 10
    )
    rig.await_cameras()
    rig.spin_until(lambda: rig.value('mode') == 'fused', rig.publish_pair)
    rig.tester.destroy_subscription(listener)

    rig.spin_until(lambda: not rig.tester.count_subscribers('thermal/image_raw'))
    status = rig.spin_until_status('nobody listens')
    assert status.level == b'\x00'


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
    rig.predictor.predict = lambda *arguments: go_on.wait(60) and predict(*arguments)
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
