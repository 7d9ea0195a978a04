"""The fused image as a point cloud: where it is, how it looks and how warm it is."""

from collections.abc import Set

from ir_vis_fusion.errors import CalibrationError, ConfigError
from ir_vis_fusion.node.inputs import image_topic
from ir_vis_fusion.node.live_predictor import LivePredictor
from ir_vis_fusion.node.outputs import make_publisher, SideOutput
from ir_vis_fusion.node.rig import camera_from, info_topic
from ir_vis_fusion.preprocessing.registration import depth_in_metres
from ir_vis_fusion.types import FramePair, FusedFrame, PixelEncoding, Role, SideProduct
import numpy as np
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo, PointCloud2, PointField
from std_msgs.msg import Header

_NAMES = ('x', 'y', 'z', 'rgb', 'temperature')


class PointsOutput(SideOutput):
    """
    Publish ``fused/points``: x, y, z in metres, rgb and temperature in kelvin.

    Parameters
    ----------
    node
        Publishes and subscribes.
    source
        ``depth``: points of the depth image, by the visible camera's calibration; ``cloud``: those
        of ``depth/points``, an organised cloud with a point for each visible pixel.
    predictor
        Tells whether the thermal camera's units are known; without them temperatures are NaN.

    Raises
    ------
    ConfigError
        Where sensor_msgs_py is not installed.

    """

    def __init__(self, node: Node, source: str, predictor: LivePredictor) -> None:
        try:
            from sensor_msgs_py import point_cloud2
        except ImportError:
            raise ConfigError(
                'points needs sensor_msgs_py, which comes with ROS 2 (ros-DISTRO-sensor-msgs-py); '
                'install it or set points to off'
            ) from None
        self._clouds = point_cloud2
        self._node = node
        self._source = source
        self._info_topic = info_topic(image_topic(node, Role.VISIBLE))
        self._predictor = predictor
        self._publisher = make_publisher(node, PointCloud2, 'fused/points')
        self._subscription = None
        self._latest: CameraInfo | PointCloud2 | None = None

    @property
    def wanted(self) -> Set[SideProduct]:
        """Temperatures, while somebody listens."""
        return {SideProduct.THERMAL_REGISTERED} if self.listeners() else frozenset()

    def activate(self) -> None:
        """Subscribe what tells where points are."""
        kind, topic = CameraInfo, self._info_topic
        if self._source == 'cloud':
            kind, topic = PointCloud2, 'depth/points'
        self._subscription = self._node.create_subscription(
            kind, topic, self._receive, qos_profile_sensor_data
        )

    def deactivate(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def publish(self, fused: FusedFrame, frames: FramePair | None, header: Header) -> None:
        """Publish the points of a frame whose places are known."""
        if frames is None or not self.listeners() or self._latest is None:
            return
        places = self._places(fused.image.shape[:2], frames)
        if places is None:
            return
        cloud = cloud_of(places, fused, self._predictor.current.thermal_report().celsius)
        fields = [
            PointField(name=name, offset=4 * index, datatype=PointField.FLOAT32, count=1)
            for index, name in enumerate(_NAMES)
        ]
        self._publisher.publish(self._clouds.create_cloud(header, fields, cloud))

    def listeners(self) -> int:
        """Return how many subscribe the points."""
        return self._publisher.get_subscription_count()

    def close(self) -> None:
        """Take back the publisher."""
        self._node.destroy_publisher(self._publisher)

    def _places(self, size: tuple[int, int], frames: FramePair) -> np.ndarray | None:
        """Return x, y, z of each pixel, (H, W, 3) float32, None where they are not known."""
        if self._source == 'cloud':
            cloud = self._latest
            if (cloud.height, cloud.width) != size:
                return None
            points = self._clouds.read_points(cloud, field_names=('x', 'y', 'z'))
            return np.stack([points[name] for name in 'xyz'], -1).reshape(*size, 3)
        if frames.depth is None or frames.depth.shape != size:
            return None
        try:
            camera = camera_from(self._latest).at(size[1], size[0])
        except CalibrationError:
            return None
        depth = depth_in_metres(frames.depth)
        x, y = (ray.numpy() for ray in camera.rays())
        return np.stack([x * depth, y * depth, depth], -1).astype(np.float32)

    def _receive(self, message: CameraInfo | PointCloud2) -> None:
        self._latest = message


def cloud_of(places: np.ndarray, fused: FusedFrame, celsius: bool) -> np.ndarray:
    """
    Return points as PointCloud2 holds them: (N,) with x, y, z, rgb, temperature, all float32.

    Points that are not known (not finite, not ahead of the camera) are left out; rgb holds the
    bytes 0x00RRGGBB, as PCL and RViz read it; temperature is in kelvin, NaN where not known.

    Parameters
    ----------
    places
        (H, W, 3) float32 [m].
    fused
        A frame of that size, with ``thermal_registered`` in centikelvin.
    celsius
        Whether these are centikelvin; else they are counts, and temperatures not known.

    """
    known = np.isfinite(places).all(axis=-1) & (places[..., 2] > 0)
    colours = fused.image[known].astype(np.uint32)
    if fused.encoding is PixelEncoding.BGR8:
        colours = colours[:, ::-1]
    cloud = np.empty(len(colours), [(name, np.float32) for name in _NAMES])
    for index, name in enumerate('xyz'):
        cloud[name] = places[known][:, index]
    packed = colours[:, 0] << 16 | colours[:, 1] << 8 | colours[:, 2]
    cloud['rgb'] = packed.view(np.float32)
    cloud['temperature'] = np.nan
    if celsius and fused.thermal_registered is not None:
        kelvin = fused.thermal_registered[known].astype(np.float32) / 100
        cloud['temperature'] = np.where(kelvin > 0, kelvin, np.nan)
    return cloud
