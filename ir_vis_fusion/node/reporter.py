"""The status of the node: published on two topics, changes of it logged."""

from collections.abc import Callable, Sequence

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from ir_vis_fusion.node.diagnostics import key_values
from ir_vis_fusion.node.messages import status_from
from ir_vis_fusion.node.problems import assess, Level, Problem
from ir_vis_fusion.node.snapshot import Snapshot
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
        self._known: dict[str, Level] = {}
        self._status = node.create_publisher(DiagnosticStatus, '~/status', 1)
        self._diagnostics = node.create_publisher(DiagnosticArray, '/diagnostics', 1)

    def report(self) -> None:
        """Compare with the last report and publish."""
        now = self._take_snapshot()
        before, self._before = self._before or now, now
        problems = assess(now, before)
        self._log(problems, now.state == 'active')

        level = max((problem.level for problem in problems), default=Level.OK)
        text = '; '.join(problem.text for problem in problems)
        text = text or ('fusing' if now.state == 'active' else now.state)
        values = key_values(now, before)
        status = status_from(self._node.get_fully_qualified_name(), level, text, values)
        self._status.publish(status)
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def start_anew(self) -> None:
        """Forget the last report, as the counters begin at 0 again."""
        self._before = None

    def _log(self, problems: Sequence[Problem], active: bool) -> None:
        logger = self._node.get_logger()
        for problem in problems:
            if problem.key in self._known:
                continue
            # Not one call for all: rclpy wants the same severity of a line every time.
            if problem.level is Level.ERROR:
                logger.error(problem.text)
            elif problem.level is Level.WARN:
                logger.warning(problem.text)
            else:
                logger.info(problem.text)
        known, self._known = self._known, {problem.key: problem.level for problem in problems}
        if active and any(known.values()) and not any(self._known.values()):
            logger.info('all is well again')
