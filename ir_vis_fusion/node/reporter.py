"""The status of the node: published on two topics, changes of it logged."""

from collections.abc import Callable, Sequence

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from ir_vis_fusion.node.diagnostics import by_part, key_values
from ir_vis_fusion.node.messages import status_from
from ir_vis_fusion.node.problems import assess, Level, Problem
from ir_vis_fusion.node.self_check import self_check
from ir_vis_fusion.node.snapshot import Snapshot
from ir_vis_fusion.types import ThermalReport
from rclpy.node import Node


class StatusReporter:
    """
    Publish what is wrong now and all counters on ``~/status`` and ``/diagnostics``.

    The first is one status that says all, the second has one for each part of the node. A problem
    is logged once when it begins, so that who watches the console only sees it too; so is the
    table of the self-check, once the cameras have been seen.
    """

    def __init__(self, node: Node, take_snapshot: Callable[[], Snapshot]) -> None:
        self._node = node
        self._take_snapshot = take_snapshot
        self._before: Snapshot | None = None
        self._checked = False
        self._known: dict[str, Level] = {}
        self._units = ''
        self._status = node.create_publisher(DiagnosticStatus, '~/status', 1)
        self._diagnostics = node.create_publisher(DiagnosticArray, '/diagnostics', 1)

    def report(self) -> None:
        """Compare with the last report and publish."""
        now = self._take_snapshot()
        before, self._before = self._before or now, now
        problems = assess(now, before)
        self._log(problems, now.state == 'active')
        self._log_units(now.thermal)

        if not self._checked and (table := self_check(now)):
            self._checked = True
            self._node.get_logger().info(table)

        name = self._node.get_fully_qualified_name()
        well = 'fusing' if now.state == 'active' else now.state
        self._status.publish(status_of(name, problems, well, key_values(now, before)))
        message = DiagnosticArray()
        for part, values in by_part(now, before).items():
            concerned = [problem for problem in problems if problem.part == part]
            well = 'ok' if now.state == 'active' else now.state
            message.status.append(status_of(f'{name}: {part}', concerned, well, values))
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._diagnostics.publish(message)

    def values(self) -> dict[str, str]:
        """Return the values of ~/status as they are now."""
        now = self._take_snapshot()
        return key_values(now, self._before or now)

    def start_anew(self) -> None:
        """Forget the last report, as the counters begin at 0 again."""
        self._before, self._checked = None, False

    def _log_units(self, thermal: ThermalReport) -> None:
        """Say once what the thermal numbers were taken for."""
        if thermal.units not in ('', self._units):
            text = f'thermal image: units are {thermal.units}, {thermal.units_why}'
            self._node.get_logger().info(text)
            self._units = thermal.units

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


def status_of(
    name: str, problems: Sequence[Problem], well: str, values: dict[str, str]
) -> DiagnosticStatus:
    """Build a status that says what is wrong, worst first, or that all is well."""
    level = max((problem.level for problem in problems), default=Level.OK)
    text = '; '.join(problem.text for problem in problems) or well
    return status_from(name, level, text, values)
