"""What is published of the thermal image, and what the camera tells, over real rclpy."""

from typing import Any

from ir_vis_fusion.types import Role, ThermalReport
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros

HOT_C, COLD_C = 45.0, 20.0


def scene(seed: int) -> np.ndarray:
    """Return a cold wall with noise and a hot square, centikelvin."""
    noise = np.random.default_rng(seed).integers(0, 20, (24, 32))
    image = round((COLD_C + 273.15) * 100) + noise
    image[6:12, 10:20] = round((HOT_C + 273.15) * 100)
    return image.astype(np.uint16)


@pytest.fixture
def real(rig: Any, helpers: Any) -> Any:
    """Return a rig with the shipped network and a way to feed it; ``feed()`` publishes a pair."""
    from ir_vis_fusion.predictor import FusionPredictor

    count = iter(range(100_000))

    def build(settings: Any, background: bool) -> Any:
        return FusionPredictor(settings, background=background)

    def feed() -> None:
        rig.publish_pair(thermal=helpers.image(scene(next(count)), 'mono16'))

    rig.feed = feed
    rig.start_real = lambda **parameters: rig.start(predictor=build, device='cpu', **parameters)
    return rig


def listen(rig: Any, topic: str) -> list[Any]:
    """Subscribe an image topic and return the list that its messages go into."""
    from sensor_msgs.msg import Image

    received: list[Any] = []
    rig.tester.create_subscription(Image, topic, received.append, 10)
    return received


def pixels(message: Any, dtype: Any, *channels: int) -> np.ndarray:
    data = np.frombuffer(message.data, dtype)
    return data.reshape(message.height, message.width, *channels)


def test_a_detector_reads_degrees_at_a_box_under_the_header_of_the_fused_image(
    real: Any, helpers: Any
) -> None:
    real.start_real(thermal__units='centikelvin')
    registered = listen(real, 'thermal/image_registered')
    real.spin_until(lambda: registered and real.fused, feed=real.feed)
    message = registered[-1]
    assert message.encoding == 'mono16'
    assert message.header.frame_id == 'visible_optical_frame'
    celsius = pixels(message, np.uint16) / 100 - 273.15
    assert celsius[7:11, 12:18].mean() == pytest.approx(HOT_C, abs=0.02)
    assert celsius[14:, :].mean() == pytest.approx(COLD_C + 0.095, abs=0.05)
    stamps = {helpers.stamp_of(fused) for fused in real.fused}
    assert helpers.stamp_of(message) in stamps


def test_the_hot_mask_follows_a_threshold_that_changes_live(real: Any) -> None:
    from rclpy.parameter import Parameter

    node = real.start_real(thermal__units='centikelvin')
    masks = listen(real, 'fusion_node/hot_mask')
    real.spin_until(lambda: masks, feed=real.feed)
    assert masks[-1].encoding == 'mono8'
    expected = np.zeros((24, 32), np.uint8)
    expected[6:12, 10:20] = 255
    np.testing.assert_array_equal(pixels(masks[-1], np.uint8), expected)
    assert node.set_parameters([Parameter('hot_mask.threshold_c', value=50.0)])[0].successful
    real.spin_until(lambda: not any(masks[-1].data), feed=real.feed)


def test_side_by_side_shows_thermal_visible_and_fused(real: Any, helpers: Any) -> None:
    real.start_real()
    views = listen(real, 'fusion_node/debug/side_by_side')
    real.spin_until(lambda: views and real.fused, feed=real.feed)
    message = views[-1]
    assert (message.encoding, message.width, message.height) == ('rgb8', 96, 24)
    image = pixels(message, np.uint8, 3)
    assert image[7:11, 12:18].min() > 200 > 100 > image[14:, :32].mean()
    np.testing.assert_array_equal(image[:, 32:64], helpers.VISIBLE)
    fused = next(one for one in real.fused if one.header.stamp == message.header.stamp)
    np.testing.assert_array_equal(image[:, 64:], pixels(fused, np.uint8, 3))


def test_nothing_is_made_that_nobody_subscribes(rig: Any) -> None:
    rig.start()
    rig.fuse_a_pair()
    assert not rig.predictor.wanted[-1]
    listen(rig, 'fusion_node/hot_mask')
    rig.spin_until(lambda: rig.predictor.wanted[-1], feed=rig.publish_pair)
    assert {product.value for product in rig.predictor.wanted[-1]} == {'hot_mask'}


def test_a_window_in_celsius_may_change_while_the_node_runs(rig: Any) -> None:
    from rclpy.parameter import Parameter

    node = rig.start()
    for name, value in (('window_high_c', 40.0), ('window_low_c', 10.0)):
        assert node.set_parameters([Parameter(f'thermal.{name}', value=value)])[0].successful
    refused = node.set_parameters([Parameter('thermal.window_low_c', value=50.0)])[0]
    assert 'thermal.window_low_c (50) must be below' in refused.reason
    rig.fuse_a_pair()
    assert rig.predictor.frame_settings[-1].thermal.window_c == (10.0, 40.0)


def test_status_tells_units_range_and_calibrations(real: Any) -> None:
    real.start_real()
    real.spin_until(
        lambda: real.statuses and real.value('thermal_units') == 'centikelvin', feed=real.feed
    )
    assert real.value('thermal_units_why').startswith('guessed from the median 29')
    real.spin_until(lambda: real.value('thermal_high_c') == '45.00', feed=real.feed)
    assert float(real.value('thermal_low_c')) == pytest.approx(COLD_C, abs=0.2)
    assert real.value('ffc_events') == '0'


def test_false_colour_is_warned_about_in_the_status(rig: Any) -> None:
    rig.start()
    rig.predictor.report = ThermalReport(false_color=True)
    rig.spin_until_status('colours of a palette')
    assert rig.value('thermal_false_color') == 'True'


def test_a_telemetry_topic_tells_calibrations(rig: Any) -> None:
    from std_msgs.msg import Bool

    rig.start(thermal__ffc_topic='boson/ffc')
    publisher = rig.tester.create_publisher(Bool, 'boson/ffc', 1)
    rig.spin_until(publisher.get_subscription_count)
    for calibrating in (True, False):
        publisher.publish(Bool(data=calibrating))
        rig.spin_until(lambda: rig.predictor.calibrating)
        assert rig.predictor.calibrating.pop() is calibrating


@pytest.mark.parametrize(('policy', 'mode'), [('visible_only', 'visible_only'), ('drop', 'none')])
def test_the_policy_for_calibrations_holds_in_the_node(
    real: Any, helpers: Any, policy: str, mode: str
) -> None:
    """The shutter is seen for as long as the test likes; then the scene is back."""
    real.start_real(thermal__ffc_policy=policy, input_timeout_s=0.5)
    real.spin_until(lambda: real.statuses and real.value('mode') == 'fused', feed=real.feed)
    shutter = np.full((24, 32), 30_000, np.uint16)

    def close() -> None:
        real.publish_pair(thermal=helpers.image(shutter, 'mono16'))

    real.spin_until(lambda: real.value('mode') == mode, feed=close)
    assert real.value('ffc_events') == '1'
    assert real.value('thermal_state') == 'flat'
    assert real.told('thermal image is flat')
    if policy == 'drop':
        assert int(real.value('dropped_frozen')) > 0
        real.fused.clear()
        for _ in range(5):
            close()
        real.spin_until(lambda: int(real.value('dropped_frozen')) > 5, feed=close)
        assert not real.fused
    real.spin_until(lambda: real.value('mode') == 'fused', feed=real.feed)
    assert len(real.cameras) == len(Role)
