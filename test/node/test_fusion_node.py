"""The node from messages to messages, with a predictor that passes the visible image through."""

import time
from types import SimpleNamespace
from typing import Any

from ir_vis_fusion.errors import ConfigError
from ir_vis_fusion.types import PixelEncoding, Role
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros


def test_a_pair_comes_out_with_the_stamp_and_frame_of_the_visible_image(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.start()

    fused = rig.fuse_a_pair()

    assert helpers.stamp_of(fused) in {pair.visible.stamp_ns for pair in rig.predictor.pairs}
    assert fused.header.frame_id == 'visible_optical_frame'
    assert (fused.encoding, fused.height, fused.width, fused.step) == ('rgb8', 24, 32, 96)
    assert bytes(fused.data) == helpers.VISIBLE.tobytes()
    thermal = rig.predictor.pairs[0].thermal
    assert thermal.encoding is PixelEncoding.MONO16
    np.testing.assert_array_equal(thermal.image, helpers.THERMAL)


def test_the_network_is_warmed_up_before_the_node_is_active(rig: Any) -> None:
    rig.make_node().start()

    assert rig.predictor.warm_ups == [(480, 640)]


def test_camera_info_comes_with_the_same_stamp_scaled_and_not_before_one_is_known(
    rig: Any, helpers: SimpleNamespace
) -> None:
    from sensor_msgs.msg import CameraInfo

    rig.start()
    rig.fuse_a_pair()
    assert rig.infos == []
    publisher = rig.tester.create_publisher(CameraInfo, 'visible/camera_info', 10)
    rig.spin_until(publisher.get_subscription_count)
    publisher.publish(CameraInfo(width=64, height=96, k=[100.0, 0, 32, 0, 200, 48, 0, 0, 1]))

    rig.spin_until(lambda: rig.infos, feed=rig.publish_pair)

    info = rig.infos[0]
    rig.spin_until(
        lambda: helpers.stamp_of(info) in {helpers.stamp_of(fused) for fused in rig.fused}
    )
    assert (info.width, info.height) == (32, 24)
    assert list(info.k) == [50, 0, 16, 0, 50, 12, 0, 0, 1]
    assert info.header.frame_id == 'visible_optical_frame'


def test_an_uncalibrated_camera_is_told_in_the_status(rig: Any) -> None:
    from sensor_msgs.msg import CameraInfo

    rig.start()
    publisher = rig.tester.create_publisher(CameraInfo, 'visible/camera_info', 10)
    rig.spin_until(publisher.get_subscription_count)
    publisher.publish(CameraInfo(width=64, height=96))

    status = rig.spin_until_status('K[0] is 0')

    assert rig.value('camera_info') == 'uncalibrated (K[0] is 0)'
    assert 'visible camera_info' in status.message


def test_live_parameters_reach_the_next_frame(rig: Any) -> None:
    from rclpy.parameter import Parameter

    node = rig.start()
    rig.fuse_a_pair()
    assert rig.predictor.frame_settings[-1].strength == 1.0

    result = node.set_parameters([Parameter('strength', value=0)])[0]
    rig.fuse_a_pair()

    assert result.successful, result.reason
    assert rig.predictor.frame_settings[-1].strength == 0.0
    assert rig.predictor.frame_settings[-1].enable is True


def test_the_enable_service_sets_the_parameter_and_leaves_the_visible_stream(
    rig: Any, helpers: SimpleNamespace
) -> None:
    from std_srvs.srv import SetBool

    node = rig.start()
    client = rig.tester.create_client(SetBool, 'fusion_node/enable')
    rig.spin_until(client.service_is_ready)
    answer = client.call_async(SetBool.Request(data=False))
    rig.spin_until(answer.done)

    def visible_only() -> None:
        rig.stamp_ns += 33 * helpers.MS
        rig.publish(Role.VISIBLE)

    rig.spin_until(lambda: len(rig.fused) >= 3, visible_only)
    rig.spin_until(lambda: rig.value('mode') == 'visible_only', visible_only)

    assert answer.result().success
    assert node.get_parameter('enable').value is False
    assert rig.predictor.pairs == []
    assert not rig.told('alone')


def test_the_reset_service_resets_the_predictor_at_the_next_pair(rig: Any) -> None:
    from std_srvs.srv import Trigger

    rig.start()
    rig.fuse_a_pair()
    resets = rig.predictor.resets
    client = rig.tester.create_client(Trigger, 'fusion_node/reset')
    rig.spin_until(client.service_is_ready)
    answer = client.call_async(Trigger.Request())
    rig.spin_until(answer.done)
    rig.fuse_a_pair()

    assert answer.result().success
    assert rig.predictor.resets == resets + 1


@pytest.mark.parametrize(
    ('name', 'value', 'reason'),
    [
        ('device', 'cpu', 'restart'),
        ('model', 'studnet', "did you mean 'student'"),
        ('strength', 1.5, 'strength'),
        ('strength', 2, 'strength must be <= 1, got 2'),
        ('enable', 'yes', 'BOOL'),
    ],
)
def test_a_parameter_that_cannot_be_changed_so_is_refused_with_the_reason(
    rig: Any, name: str, value: Any, reason: str
) -> None:
    from rclpy.parameter import Parameter

    node = rig.make_node()
    assert node.start()

    result = node.set_parameters([Parameter(name, value=value)])[0]

    assert not result.successful
    assert reason in result.reason
    assert node.settings == rig.predictor.settings


def test_a_fixed_parameter_may_be_set_before_the_node_is_configured(rig: Any) -> None:
    from rclpy.parameter import Parameter

    node = rig.make_node(autostart=False)
    assert node.start()
    assert rig.predictor is None

    result = node.set_parameters([Parameter('output_encoding', value='bgr8')])[0]
    node.trigger_configure()

    assert result.successful, result.reason
    assert rig.predictor.settings.output_encoding == 'bgr8'


def test_all_wrong_parameters_are_named_at_once(rig: Any) -> None:
    with pytest.raises(ConfigError) as error:
        rig.make_node(strength='much', qos__depth=99, sync__mode='best')

    assert 'strength must be float' in str(error.value)
    assert 'qos.depth must be <= 10, got 99' in str(error.value)
    assert 'sync.mode must be one of both_new, hold_thermal' in str(error.value)


def test_an_integer_is_taken_for_a_float(rig: Any) -> None:
    node = rig.make_node(sync__max_offset_ms=15)

    assert node.settings.sync.max_offset_ms == 15.0
    assert node.get_parameter('sync.max_offset_ms').value == 15.0


def test_descriptors_tell_ranges_and_what_may_change(rig: Any) -> None:
    node = rig.make_node()

    strength = node.describe_parameter('strength')
    depth = node.describe_parameter('qos.depth')
    device = node.describe_parameter('device')

    assert strength.floating_point_range[0].to_value == 1.0
    assert 'while the node runs' in strength.additional_constraints
    assert (depth.integer_range[0].from_value, depth.integer_range[0].to_value) == (1, 10)
    assert 'restart' in device.additional_constraints
    assert device.description


def test_topics_follow_remapping_and_camera_info_is_the_sibling_of_the_remapped_image(
    rig: Any, helpers: SimpleNamespace
) -> None:
    from sensor_msgs.msg import Image

    # Exchanged on purpose: a name that is resolved twice would come back to where it was.
    node = rig.make_node(
        '-r', '__ns:=/robot',
        '-r', 'visible/image_raw:=/robot/thermal/image_raw',
        '-r', 'thermal/image_raw:=/robot/visible/image_raw',
        '-r', 'fused/image:=/out/image',
    )  # fmt: skip
    assert node.start()
    rig.listen('/out')
    rig.cameras = {
        Role.VISIBLE: rig.tester.create_publisher(Image, '/robot/thermal/image_raw', 10),
        Role.THERMAL: rig.tester.create_publisher(Image, '/robot/visible/image_raw', 10),
    }
    cameras = rig.cameras.values()
    rig.spin_until(lambda: all(camera.get_subscription_count() for camera in cameras))

    rig.fuse_a_pair()

    assert rig.tester.count_subscribers('/robot/thermal/camera_info') == 1


def test_compressed_images_are_decoded_with_all_their_bits(
    rig: Any, helpers: SimpleNamespace
) -> None:
    from ir_vis_fusion.preprocessing.encodings import encode_png
    from sensor_msgs.msg import CompressedImage

    rig.make_node(thermal_transport='compressed', visible_transport='compressed').start()
    rig.listen()
    rig.cameras = {
        role: rig.tester.create_publisher(
            CompressedImage, f'{role.value}/image_raw/compressed', 10
        )
        for role in Role
    }
    rig.await_cameras()
    flat = np.full((24, 32, 3), (200, 100, 50), np.uint8)

    def feed() -> None:
        rig.publish_pair(
            CompressedImage(format='mono16; png compressed', data=encode_png(helpers.THERMAL)),
            CompressedImage(format='rgb8; jpeg compressed bgr8', data=jpeg(flat)),
        )

    rig.spin_until(lambda: rig.fused, feed)

    pair = rig.predictor.pairs[0]
    np.testing.assert_array_equal(pair.thermal.image, helpers.THERMAL)
    assert rig.fused[0].encoding == 'bgr8'
    fused_pixels = np.frombuffer(rig.fused[0].data, np.uint8).reshape(flat.shape).astype(int)
    assert np.abs(fused_pixels - flat[..., ::-1]).max() <= 3


def test_a_compressed_topic_on_a_raw_input_is_named(rig: Any) -> None:
    from sensor_msgs.msg import CompressedImage

    rig.make_node().start()
    rig.listen()
    rig.tester.create_publisher(CompressedImage, 'thermal/image_raw', 10)

    status = rig.spin_until_status('carries sensor_msgs/msg/CompressedImage')

    assert 'set thermal_transport' in status.message


def test_setting_the_data_of_a_fused_message_does_not_go_element_by_element() -> None:
    from ir_vis_fusion.node.messages import image_from
    from ir_vis_fusion.types import FusedFrame, ThermalState
    from std_msgs.msg import Header

    pixels = np.zeros((1080, 1920, 3), np.uint8)
    fused = FusedFrame(pixels, PixelEncoding.RGB8, 0, '', 0, ThermalState.LIVE)
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        image_from(fused, Header())
        seconds.append(time.perf_counter() - started)

    # 0.3 ms measured; by elements it takes 285 ms, so that even a busy machine tells them apart.
    assert min(seconds) < 0.05


def jpeg(rgb: np.ndarray) -> bytes:
    import io

    from PIL import Image as PilImage

    stream = io.BytesIO()
    PilImage.fromarray(rgb).save(stream, 'JPEG', quality=95)
    return stream.getvalue()
