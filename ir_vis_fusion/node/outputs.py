"""What the node publishes of a frame: the fused image, and side outputs as plug-ins beside it."""

from collections.abc import Set

from ir_vis_fusion.node.declaration import checked_overrides
from ir_vis_fusion.node.messages import camera_info_for, image_from
from ir_vis_fusion.types import FramePair, FusedFrame, SideProduct
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import HistoryPolicy, qos_profile_sensor_data, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header


class SideOutput:
    """
    Something that is published beside the fused image; a base whose methods do nothing.

    Made when the node is configured, with its publishers (:func:`make_publisher`), and told when
    to subscribe and unsubscribe what else it needs. All is called by the executor's thread but
    :meth:`publish` and ``wanted``, which the worker's uses for every fused frame.

    Attributes
    ----------
    wanted
        What the predictor is to make for this output now.

    """

    wanted: Set[SideProduct] = frozenset()

    def activate(self) -> None:
        """Subscribe; publish is called from now on."""

    def deactivate(self) -> None:
        """Unsubscribe; publish is not called any more."""

    def publish(self, fused: FusedFrame, frames: FramePair | None, header: Header) -> None:
        """
        Publish what belongs to a fused frame.

        Parameters
        ----------
        fused
            What the predictor gave; its image was published just now.
        frames
            What it was made from; None where one of the two was missing or could not be decoded.
        header
            The header under which it was published: the visible image's.

        """

    def listeners(self) -> int:
        """Return how many subscribe this."""
        return 0

    def close(self) -> None:
        """Take back the publishers."""


class CameraInfoOutput(SideOutput):
    """
    The visible camera's calibration, fitted to the fused image, with the stamp of each.

    Parameters
    ----------
    node
        Publishes and subscribes.
    visible_topic
        Full name of the visible camera's images; its calibration is taken from camera_info
        beside them.

    """

    def __init__(self, node: Node, visible_topic: str) -> None:
        self._node = node
        self._topic = f'{visible_topic.rpartition("/")[0]}/camera_info'
        self._publisher = make_publisher(node, CameraInfo, 'fused/camera_info')
        self._subscription: Subscription | None = None
        self._latest: CameraInfo | None = None

    @property
    def calibration(self) -> str:
        """Say in a word or two what calibration there is."""
        if self._latest is None:
            return 'none'
        return 'calibrated' if self._latest.k[0] else 'uncalibrated (K[0] is 0)'

    def activate(self) -> None:
        """Subscribe the calibration."""
        self._subscription = self._node.create_subscription(
            CameraInfo, self._topic, self._receive, qos_profile_sensor_data
        )

    def deactivate(self) -> None:
        """Keep what is known, the camera stays the same."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None

    def publish(self, fused: FusedFrame, frames: FramePair | None, header: Header) -> None:
        """Publish nothing before a calibration is known."""
        if self._latest is not None:
            height, width = fused.image.shape[:2]
            self._publisher.publish(camera_info_for(self._latest, header, height, width))

    def listeners(self) -> int:
        """Return how many subscribe the calibration."""
        return self._publisher.get_subscription_count()

    def close(self) -> None:
        """Take back the publisher."""
        self._node.destroy_publisher(self._publisher)

    def _receive(self, message: CameraInfo) -> None:
        self._latest = message


class Outputs:
    """
    The fused image and the side outputs, opened and closed together.

    Parameters
    ----------
    node
        Publishes.

    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._side_outputs: list[SideOutput] = []
        self._publisher = make_publisher(node, Image, 'fused/image')

    def add(self, output: SideOutput) -> None:
        """Publish this too, after the image and after those that were added before."""
        self._side_outputs.append(output)

    @property
    def wanted(self) -> Set[SideProduct]:
        """What the predictor is to make besides the fused image now."""
        return frozenset().union(*(output.wanted for output in self._side_outputs))

    def activate(self) -> None:
        """Let the side outputs subscribe what they need."""
        for output in self._side_outputs:
            output.activate()

    def deactivate(self) -> None:
        """Let the side outputs unsubscribe."""
        for output in self._side_outputs:
            output.deactivate()

    def publish(self, fused: FusedFrame, frames: FramePair | None, header: Header) -> None:
        """Publish a frame; from the worker's thread."""
        self._publisher.publish(image_from(fused, header))
        for output in self._side_outputs:
            output.publish(fused, frames, header)

    def listeners(self) -> int:
        """Return how many subscribe anything of all this."""
        own = self._publisher.get_subscription_count()
        return own + sum(output.listeners() for output in self._side_outputs)

    def close(self) -> None:
        """Take back all publishers."""
        self._node.destroy_publisher(self._publisher)
        for output in self._side_outputs:
            output.close()


def make_publisher(node: Node, kind: type, topic: str) -> Publisher:
    """
    Offer a topic of images, or of what goes with them, whose QoS may be overridden.

    Raises
    ------
    ConfigError
        Where an override has a wrong value.

    """
    # Reliable matches both kinds of subscriber; few, because an old image is worth nothing.
    qos = QoSProfile(
        history=HistoryPolicy.KEEP_LAST, depth=2, reliability=ReliabilityPolicy.RELIABLE
    )
    overriding = QoSOverridingOptions.with_default_policies()
    with checked_overrides(node):
        return node.create_publisher(kind, topic, qos, qos_overriding_options=overriding)
