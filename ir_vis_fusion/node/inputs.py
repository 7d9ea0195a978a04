"""One camera's image subscription, whose QoS follows the publishers."""

from collections.abc import Callable
import time
from typing import Any

from ir_vis_fusion.node.declaration import checked_overrides
from ir_vis_fusion.node.messages import describe_image, stamp_ns, TRANSPORTS
from ir_vis_fusion.node.meter import StreamMeter
from ir_vis_fusion.node.parameters import NodeSettings
from ir_vis_fusion.node.snapshot import InputSnapshot
from ir_vis_fusion.types import Role
from rclpy.node import Node
from rclpy.qos import HistoryPolicy, QoSPolicyKind, QoSProfile, ReliabilityPolicy
from rclpy.qos_overriding_options import QoSOverridingOptions

try:
    from rclpy.event_handler import SubscriptionEventCallbacks
except ImportError:  # Humble
    from rclpy.qos_event import SubscriptionEventCallbacks

RELIABILITIES = {
    'reliable': ReliabilityPolicy.RELIABLE,
    'best_effort': ReliabilityPolicy.BEST_EFFORT,
}
# Not reliability: the declared override would hold on to the first one mirrored.
OVERRIDABLE = (QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH)


def image_topic(node: Node, role: Role) -> str:
    """Return the full name of a camera's image topic, whatever its transport."""
    # As in image_transport: what is remapped is the image topic, /compressed is below it.
    return node.resolve_topic_name(f'{role.value}/image_raw').removesuffix('/compressed')


class ImageInput:
    """
    Subscribe to one camera's images and hand each message on.

    :meth:`watch` is to be called every now and then: with reliability ``auto`` it subscribes
    when a publisher is known, reliable only where all of them are, and again when that changes.
    Large best-effort images are lost on a busy machine (65 to 95 % of them at 1 MB with Fast
    DDS), and a reliable subscription gets nothing at all from a best-effort publisher.
    """

    def __init__(
        self,
        node: Node,
        role: Role,
        settings: NodeSettings,
        on_image: Callable[[Role, Any], None],
    ) -> None:
        transport = getattr(settings, f'{role.value}_transport')
        name = f'{role.value}/image_raw'
        topic = image_topic(node, role)
        self._name = name if transport == 'raw' else f'{topic}/compressed'
        self._topic = node.resolve_topic_name(self._name)
        self._type = TRANSPORTS[transport]
        self._other_transport = 'compressed' if transport == 'raw' else 'raw'
        self._other_topic = topic + ('/compressed' if transport == 'raw' else '')
        self._node = node
        self._role = role
        self._qos = settings.qos
        self._on_image = on_image
        self._subscription = None
        self._reliability = ''
        self._publishers = 0
        self._foreign_type = ''
        self._publishers_elsewhere = 0
        self._offered: set[ReliabilityPolicy] = set()
        self._incompatible = 0
        self._meter = StreamMeter()
        self._last: Any = None
        self._paused = False

    @property
    def overrides(self) -> list[str]:
        """The parameters that change the QoS, declared when the topic is subscribed."""
        kinds = (kind.name.lower() for kind in OVERRIDABLE)
        return [f'qos_overrides.{self._topic}.subscription.{kind}' for kind in kinds]

    def watch(self, wanted: bool = True) -> None:
        """Look at the publishers and subscribe as they offer; unsubscribe what is not wanted."""
        infos = self._node.get_publishers_info_by_topic(self._name)
        wanted_type = f'sensor_msgs/msg/{self._type.__name__}'
        self._publishers = len(infos)
        self._publishers_elsewhere = 0 if infos else self._node.count_publishers(self._other_topic)
        foreign = [info.topic_type for info in infos if info.topic_type != wanted_type]
        self._foreign_type = foreign[0] if foreign else ''
        self._offered = {
            info.qos_profile.reliability for info in infos if info.topic_type == wanted_type
        }
        self._paused = not wanted
        if self._paused:
            self.close()
            return
        reliability = self._qos.reliability
        if reliability == 'auto':
            if not self._offered:
                return
            all_reliable = self._offered == {ReliabilityPolicy.RELIABLE}
            reliability = 'reliable' if all_reliable else 'best_effort'
        if reliability != self._reliability:
            self._subscribe(reliability)

    def close(self) -> None:
        """Unsubscribe."""
        if self._subscription is not None:
            self._node.destroy_subscription(self._subscription)
            self._subscription = None
        self._reliability = ''

    def snapshot(self) -> InputSnapshot:
        """Return what is known of this input now."""
        now_s, last_s = time.monotonic(), self._meter.last_s
        return InputSnapshot(
            role=self._role,
            topic=self._topic,
            publishers=self._publishers,
            subscribed=self._reliability,
            silent_s=None if last_s is None else now_s - last_s,
            incompatible_qos=self._incompatible,
            fault=self._fault(),
            type=f'sensor_msgs/msg/{self._type.__name__}',
            image='' if self._last is None else describe_image(self._last),
            rate_hz=self._meter.rate_hz(now_s),
            age_ms=self._meter.age_ms(),
            lost=self._meter.lost,
            paused=self._paused,
        )

    def _subscribe(self, reliability: str) -> None:
        self.close()
        with checked_overrides(self._node):
            self._subscription = self._node.create_subscription(
                self._type,
                self._name,
                self._receive,
                QoSProfile(
                    history=HistoryPolicy.KEEP_LAST,
                    depth=self._qos.depth,
                    reliability=RELIABILITIES[reliability],
                ),
                event_callbacks=SubscriptionEventCallbacks(
                    incompatible_qos=self._count_incompatible
                ),
                qos_overriding_options=QoSOverridingOptions(OVERRIDABLE),
            )
        self._reliability = reliability
        self._node.get_logger().info(f'{self._role.value}: {self._topic}, {reliability}')

    def _receive(self, message: Any) -> None:
        at_ns = stamp_ns(message.header.stamp)
        self._meter.add(at_ns, self._node.get_clock().now().nanoseconds, time.monotonic())
        self._last = message
        self._on_image(self._role, message)

    def _count_incompatible(self, event: Any) -> None:
        self._incompatible += event.total_count_change

    def _fault(self) -> str:
        if self._publishers_elsewhere:
            return (
                f'nothing on {self._topic}, but {self._other_topic} is published: set '
                f'{self._role.value}_transport to {self._other_transport}'
            )
        if self._foreign_type:
            return (
                f'{self._topic} carries {self._foreign_type}: set {self._role.value}_transport '
                'or remap the topic'
            )
        if self._reliability == 'reliable' and ReliabilityPolicy.BEST_EFFORT in self._offered:
            return (
                f'QoS incompatible, a publisher of {self._topic} is best effort while '
                'qos.reliability asks for reliable: set it to auto or best_effort'
            )
        return ''
