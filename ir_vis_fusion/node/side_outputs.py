"""What is published of the thermal image besides the fused one, while somebody listens."""

from collections.abc import Set

from ir_vis_fusion.node.messages import image_of
from ir_vis_fusion.node.outputs import make_publisher, SideOutput
from ir_vis_fusion.types import FramePair, FusedFrame, SideProduct
from rclpy.node import Node
from sensor_msgs.msg import Image
from std_msgs.msg import Header

# Product, topic, encoding.
_TOPICS = (
    (SideProduct.THERMAL_REGISTERED, 'thermal/image_registered', 'mono16'),
    (SideProduct.HOT_MASK, '~/hot_mask', 'mono8'),
    (SideProduct.SIDE_BY_SIDE, '~/debug/side_by_side', 'rgb8'),
)


class ThermalOutputs(SideOutput):
    """
    Temperatures, hot regions and a view to check, each with the header of the fused image.

    Parameters
    ----------
    node
        Publishes.

    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._publishers = {
            product: make_publisher(node, Image, topic) for product, topic, _ in _TOPICS
        }

    @property
    def wanted(self) -> Set[SideProduct]:
        """The products that somebody subscribes now; nothing else is computed."""
        return {
            product
            for product, publisher in self._publishers.items()
            if publisher.get_subscription_count()
        }

    def publish(self, fused: FusedFrame, frames: FramePair | None, header: Header) -> None:
        """Publish the products that were made of this frame."""
        for product, _, encoding in _TOPICS:
            pixels = getattr(fused, product.value)
            if pixels is not None:
                self._publishers[product].publish(image_of(pixels, encoding, header))

    def listeners(self) -> int:
        """Return how many subscribe any of the products."""
        return sum(each.get_subscription_count() for each in self._publishers.values())

    def close(self) -> None:
        """Take back the publishers."""
        for publisher in self._publishers.values():
            self._node.destroy_publisher(publisher)
