"""What registration needs of other topics: calibrations, transforms, depth."""

from collections import deque
from collections.abc import Callable
from typing import Any

from ir_vis_fusion.errors import CalibrationError, EncodingError
from ir_vis_fusion.node.inputs import image_topic
from ir_vis_fusion.node.messages import frame_from, stamp_ns
from ir_vis_fusion.node.parameters import NodeSettings
from ir_vis_fusion.node.transforms import TransformTree
from ir_vis_fusion.preprocessing.geometry import CameraModel
from ir_vis_fusion.preprocessing.registration import Rig
from ir_vis_fusion.types import PixelEncoding, Role
import numpy as np
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, qos_profile_sensor_data, QoSProfile
from sensor_msgs.msg import CameraInfo, Image

# Depth images are stamped as the visible ones they are registered to, or a period apart.
_LARGEST_OFFSET_NS = 60_000_000
_KEPT = 8


class RigListener:
    """
    Listen to camera_info of both cameras, and to TF where tf2_msgs is installed.

    Parameters
    ----------
    node
        Subscribes.
    tell
        Takes what is known of the cameras whenever that changes.

    """

    def __init__(self, node: Node, tell: Callable[[Rig], None]) -> None:
        self._node = node
        self._tell = tell
        self._tree = TransformTree()
        self._infos: dict[Role, CameraInfo] = {}
        self._told = Rig()
        self._names = {role: info_topic(image_topic(node, role)) for role in Role}
        self._subscriptions = [
            node.create_subscription(
                CameraInfo,
                name,
                lambda message, role=role: self._take_info(role, message),
                qos_profile_sensor_data,
            )
            for role, name in self._names.items()
        ]
        self._no_tf = ''
        try:
            from tf2_msgs.msg import TFMessage
        except ImportError:
            self._no_tf = 'tf2_msgs is not installed: put extrinsics into registration.file'
        else:
            latched = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
            for topic, qos in (('/tf_static', latched), ('/tf', QoSProfile(depth=100))):
                self._subscriptions.append(
                    node.create_subscription(TFMessage, topic, self._take_transforms, qos)
                )

    def close(self) -> None:
        """Unsubscribe."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _take_info(self, role: Role, message: CameraInfo) -> None:
        before = self._infos.get(role)
        self._infos[role] = message
        if before is None or _facts(before) != _facts(message):
            self._update()

    def _take_transforms(self, message: Any) -> None:
        for stamped in message.transforms:
            self._tree.add(stamped)
        self._update()

    def _update(self) -> None:
        known, faults = {}, []
        for role, name in self._names.items():
            try:
                known[role.value] = camera_from(self._infos[role])
            except KeyError:
                faults.append(f'nothing on {name} yet')
            except CalibrationError as error:
                faults.append(f'{name}: {error}')
        if len(self._infos) == len(Role):
            frames = [self._infos[role].header.frame_id for role in (Role.THERMAL, Role.VISIBLE)]
            known['transform'] = self._tree.find(*frames)
            if known['transform'] is None:
                faults.append(
                    self._no_tf or f'TF knows no way from {frames[0]!r} to {frames[1]!r}'
                )
        rig = Rig(**known, faults=tuple(faults))
        if rig != self._told:
            self._told = rig
            self._tell(rig)


class DepthInput:
    """
    Keep the last depth images, registered to the visible camera, for what is fused.

    Parameters
    ----------
    node
        Subscribes ``depth/image_raw``: 16UC1 in millimetres or 32FC1 in metres.

    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._images: deque[Image] = deque(maxlen=_KEPT)
        self._subscription = node.create_subscription(
            Image, 'depth/image_raw', self._receive, qos_profile_sensor_data
        )

    def close(self) -> None:
        """Unsubscribe."""
        self._node.destroy_subscription(self._subscription)

    def at(self, at_ns: int) -> np.ndarray | None:
        """
        Return the depth image nearest to a stamp, uint16 or float32, None where there is none.

        Called by the worker's thread.
        """
        images = list(self._images)
        apart = [abs(stamp_ns(image.header.stamp) - at_ns) for image in images]
        if not apart or min(apart) > _LARGEST_OFFSET_NS:
            return None
        try:
            frame = frame_from(images[apart.index(min(apart))], Role.THERMAL)
        except EncodingError:
            return None
        return None if frame.encoding is PixelEncoding.MONO8 else np.ascontiguousarray(frame.image)

    def _receive(self, message: Image) -> None:
        self._images.append(message)


class GeometryInputs:
    """
    Of these two what the settings ask for.

    Parameters
    ----------
    node
        Subscribes.
    settings
        registration.mode and points decide.
    tell
        See :class:`RigListener`.

    """

    def __init__(self, node: Node, settings: NodeSettings, tell: Callable[[Rig], None]) -> None:
        mode = settings.registration.mode
        self._rig = RigListener(node, tell) if mode in ('plane', 'depth') else None
        wants_depth = mode == 'depth' or settings.points == 'depth'
        self._depth = DepthInput(node) if wants_depth else None

    def depth_at(self, at_ns: int) -> np.ndarray | None:
        """Return the depth image that belongs to a stamp, None without one."""
        return self._depth.at(at_ns) if self._depth else None

    def close(self) -> None:
        """Unsubscribe."""
        for listener in (self._rig, self._depth):
            if listener is not None:
                listener.close()


def info_topic(topic: str) -> str:
    """Return the name of the calibration beside an image topic."""
    return f'{topic.rpartition("/")[0]}/camera_info'


def camera_from(message: CameraInfo) -> CameraModel:
    """
    Return the camera that a CameraInfo describes.

    Raises
    ------
    CalibrationError
        Where it describes none (K[0] is 0) or was binned or cropped.

    """
    roi = message.roi
    if max(message.binning_x, message.binning_y) > 1 or roi.x_offset or roi.y_offset:
        raise CalibrationError(
            'binned or cropped images are not registered: give a calibration of the images'
        )
    return CameraModel(
        message.width,
        message.height,
        tuple(message.k.tolist()),
        message.distortion_model or 'plumb_bob',
        tuple(message.d),
    )


def _facts(message: CameraInfo) -> tuple:
    return (
        message.header.frame_id,
        message.width,
        message.height,
        tuple(message.k),
        tuple(message.d),
        message.distortion_model,
    )
