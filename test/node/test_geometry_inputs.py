"""Calibrations, transforms and depth reach the predictor, and fused points come out."""

from types import SimpleNamespace
from typing import Any

from ir_vis_fusion.errors import CalibrationError
from ir_vis_fusion.types import FusedFrame, PixelEncoding, ThermalState
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros

K = [30.0, 0.0, 15.5, 0.0, 30.0, 11.5, 0.0, 0.0, 1.0]


@pytest.fixture
def calibrated(rig: Any) -> Any:
    """Return a rig; ``tell(role, k)`` publishes a camera's calibration."""
    from sensor_msgs.msg import CameraInfo

    publishers = {
        role: rig.tester.create_publisher(CameraInfo, f'{role}/camera_info', 10)
        for role in ('thermal', 'visible')
    }

    def tell(role: str, k: list[float] = K) -> None:
        message = CameraInfo(width=32, height=24, k=k, d=[0.0] * 5, distortion_model='plumb_bob')
        message.header.frame_id = f'{role}_optical_frame'
        publishers[role].publish(message)

    rig.tell = tell
    return rig


def test_both_calibrations_reach_the_predictor_and_what_is_missing_is_named(
    calibrated: Any,
) -> None:
    calibrated.start(registration__mode='plane')
    predictor = calibrated.predictor

    def feed() -> None:
        calibrated.tell('thermal')
        calibrated.tell('visible')

    def both_known() -> bool:
        return bool(predictor.rigs) and None not in (
            predictor.rigs[-1].thermal,
            predictor.rigs[-1].visible,
        )

    calibrated.spin_until(both_known, feed=feed)
    told = predictor.rigs[-1]
    assert told.visible.matrix == tuple(K)
    assert told.transform is None
    assert any('tf' in fault.lower() for fault in told.faults)


def test_a_camera_that_is_not_calibrated_is_named(calibrated: Any) -> None:
    calibrated.start(registration__mode='plane')
    predictor = calibrated.predictor
    calibrated.spin_until(
        lambda: predictor.rigs and any('K[0] is 0' in x for x in predictor.rigs[-1].faults),
        feed=lambda: calibrated.tell('thermal', [0.0] * 9),
    )
    assert predictor.rigs[-1].thermal is None


def test_the_depth_image_of_the_same_moment_is_fused_with_the_pair(rig: Any, helpers: Any) -> None:
    from sensor_msgs.msg import Image

    rig.start(registration__mode='depth')
    publisher = rig.tester.create_publisher(Image, 'depth/image_raw', 10)
    depth = np.full((24, 32), 1500, np.uint16)

    def feed() -> None:
        message = helpers.image(depth, '16UC1')
        helpers.stamp(message, rig.publish_pair())
        publisher.publish(message)

    rig.spin_until(lambda: any(pair.depth is not None for pair in rig.predictor.pairs), feed=feed)
    found = next(pair.depth for pair in rig.predictor.pairs if pair.depth is not None)
    np.testing.assert_array_equal(found, depth)


def test_cropped_calibrations_are_refused_by_name() -> None:
    from ir_vis_fusion.node.rig import camera_from
    from sensor_msgs.msg import CameraInfo

    message = CameraInfo(width=32, height=24, k=K, binning_x=2, binning_y=2)
    with pytest.raises(CalibrationError, match='binned or cropped'):
        camera_from(message)


@pytest.mark.parametrize('encoding', [PixelEncoding.RGB8, PixelEncoding.BGR8])
def test_points_hold_place_colour_and_kelvin(encoding: PixelEncoding) -> None:
    from ir_vis_fusion.node.points import cloud_of

    places = np.full((2, 3, 3), 1.0, np.float32)
    places[0, 0] = np.nan
    places[0, 1] = (0.0, 0.0, 0.0)
    colour = (10, 20, 30) if encoding is PixelEncoding.RGB8 else (30, 20, 10)
    fused = FusedFrame(
        np.full((2, 3, 3), colour, np.uint8),
        encoding,
        0,
        '',
        0,
        ThermalState.LIVE,
        thermal_registered=np.array([[1, 1, 30000], [0, 31000, 29315]], np.uint16),
    )
    cloud = cloud_of(places, fused, celsius=True)
    assert len(cloud) == 4
    assert set(cloud['rgb'].view(np.uint32).tolist()) == {0x0A141E}
    np.testing.assert_allclose(cloud['temperature'], [300.0, np.nan, 310.0, 293.15], atol=1e-3)
    assert np.isnan(cloud_of(places, fused, celsius=False)['temperature']).all()


def test_points_without_sensor_msgs_py_are_refused_at_the_start(
    rig: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sys

    from ir_vis_fusion.errors import ConfigError
    from ir_vis_fusion.node.points import PointsOutput

    monkeypatch.setitem(sys.modules, 'sensor_msgs_py', None)
    with pytest.raises(ConfigError, match='points needs sensor_msgs_py'):
        PointsOutput(rig.tester, 'depth', SimpleNamespace())


def test_fused_points_come_out_beside_the_image(calibrated: Any, helpers: Any) -> None:
    point_cloud2 = pytest.importorskip(
        'sensor_msgs_py.point_cloud2', reason='sensor_msgs_py comes with ROS 2'
    )
    from ir_vis_fusion.predictor import FusionPredictor
    from sensor_msgs.msg import Image, PointCloud2

    def build(settings: Any, background: bool) -> Any:
        return FusionPredictor(settings, background=background)

    calibrated.start(predictor=build, device='cpu', points='depth', thermal__units='centikelvin')
    publisher = calibrated.tester.create_publisher(Image, 'depth/image_raw', 10)
    clouds: list[Any] = []
    calibrated.tester.create_subscription(PointCloud2, 'fused/points', clouds.append, 10)
    noise = np.random.default_rng(0)

    def feed() -> None:
        calibrated.tell('visible')
        thermal = noise.integers(29000, 29400, (24, 32)).astype(np.uint16)
        at_ns = calibrated.publish_pair(thermal=helpers.image(thermal, 'mono16'))
        message = helpers.image(np.full((24, 32), 2.0, np.float32), '32FC1')
        helpers.stamp(message, at_ns)
        publisher.publish(message)

    calibrated.spin_until(lambda: bool(clouds), feed=feed)
    points = point_cloud2.read_points(clouds[-1])
    assert len(points) == 24 * 32
    assert points['z'].min() == points['z'].max() == 2.0
    # The first pixel: x = (0 - 15.5) / 30 * 2.
    assert points['x'].min() == pytest.approx(-15.5 / 15, abs=1e-4)
    assert 289 < np.nanmean(points['temperature']) < 295
