"""The camera's own word on its calibrations."""

from collections.abc import Callable

from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from std_msgs.msg import Bool


class FfcTelemetry:
    """
    Subscribes a topic that is true while the thermal camera calibrates itself.

    Parameters
    ----------
    node
        Subscribes.
    topic
        Relative names are in the node's namespace.
    tell
        Takes what was received.

    """

    def __init__(self, node: Node, topic: str, tell: Callable[[bool], None]) -> None:
        self._node = node
        self._tell = tell
        # Best effort takes publishers of either reliability.
        self._subscription = node.create_subscription(
            Bool, topic, self._receive, qos_profile_sensor_data
        )

    def close(self) -> None:
        """Unsubscribe; what was told last is over."""
        self._node.destroy_subscription(self._subscription)
        self._tell(False)

    def _receive(self, message: Bool) -> None:
        self._tell(message.data)
