"""The status of the node: published on two topics, changes of it logged."""

from collections.abc import Callable

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from ir_vis_fusion.node.diagnostics import assess, key_values, Level, Snapshot
from ir_vis_fusion.node.messages import status_from
from rclpy.node import Node


class StatusReporter:
    """
    Publish what is wrong now and all counters on ``~/status`` and ``/diagnostics``.

    A problem is logged once when it begins, so that who watches the console only sees it too.
    """

    def __init__(self, node: Node, take_snapshot: Callable[[], Snapshot]) -> None:
        self._node = node
        self._take_snapshot = take_snapshot
        self._before: Snapshot | None = None
        self._keys: set[str] = set()
        self._status = node.create_publisher(DiagnosticStatus, '~/status', 1)
        self._diagnostics = node.create_publisher(DiagnosticArray, '/diagnostics', 1)

    def report(self) -> None:
        """Compare with the last report and publish."""
        now = self._take_snapshot()
        problems = assess(now, self._before or now)
        self._before = now
        logger = self._node.get_logger()
        for problem in problems:
            if problem.key not in self._keys:
                logger.warning(problem.text)
        if self._keys and not problems and now.state == 'active':
            logger.info('all is well again')
        self._keys = {problem.key for problem in problems}

        level = max((problem.level for problem in problems), default=Level.OK)
        text = '; '.join(problem.text for problem in problems)
        text = text or ('fusing' if now.state == 'active' else now.state)
        status = status_from(self._node.get_fully_qualified_name(), level, text, key_values(now))
        self._status.publish(status)
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._diagnostics.publish(message)
