"""A detector behind the node, with a QoS of its own, as users plug one in."""

from typing import Any

import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros

COUNT = 5


@pytest.mark.parametrize('quality', ['best_effort', 'reliable'])
def test_a_detector_of_another_qos_gets_each_pairs_image_and_keeps_its_header(
    rig: Any, helpers: Any, quality: str
) -> None:
    """Stamp and frame are the visible image's, and the encoding one that cv_bridge converts."""
    from rclpy.node import Node
    from rclpy.qos import QoSProfile, ReliabilityPolicy
    from sensor_msgs.msg import CameraInfo, Image
    from std_msgs.msg import Header

    rig.start()
    detector = Node('detector', context=rig.context, use_global_arguments=False)
    rig.executor.add_node(detector)
    headers = detector.create_publisher(Header, 'detections', 10)
    seen: list[Image] = []

    def detect(image: Image) -> None:
        seen.append(image)
        headers.publish(image.header)

    qos = QoSProfile(depth=1, reliability=ReliabilityPolicy[quality.upper()])
    detector.create_subscription(Image, 'fused/image', detect, qos)
    infos: list[CameraInfo] = []
    detector.create_subscription(CameraInfo, 'fused/camera_info', infos.append, qos)
    detections: list[Header] = []
    rig.tester.create_subscription(Header, 'detections', detections.append, 10)
    rig.spin_until(lambda: rig.tester.count_subscribers('fused/image') == 2)
    rig.spin_until(lambda: detector.count_subscribers('detections'))

    stamps: list[int] = []
    rig.spin_until(
        lambda: len(detections) >= COUNT, feed=lambda: stamps.append(rig.publish_pair())
    )

    received = [header.stamp.sec * 10**9 + header.stamp.nanosec for header in detections]
    assert set(received) <= set(stamps)
    assert received == sorted(set(received))
    assert {header.frame_id for header in detections} == {'visible_optical_frame'}
    assert {(image.encoding, image.height, image.width) for image in seen} == {('rgb8', 24, 32)}
    assert bytes(seen[0].data) == helpers.VISIBLE.tobytes()
    detector.destroy_node()
