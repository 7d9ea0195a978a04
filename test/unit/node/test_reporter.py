"""What the reporter logs: each problem once, at its level, and its end."""

import dataclasses
from types import SimpleNamespace
from unittest.mock import Mock

from ir_vis_fusion.node.parameters import NodeSettings
from ir_vis_fusion.node.snapshot import FrameSnapshot, Snapshot
from ir_vis_fusion.synchronization import SynchronizerCounters
import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros

GOOD = Snapshot('active', NodeSettings(), sync=SynchronizerCounters())
REMARK = dataclasses.replace(GOOD, camera_info='uncalibrated (K[0] is 0)')
FAILED = dataclasses.replace(REMARK, frames=FrameSnapshot(failures={'visible_empty': 1}))
JUMPED = dataclasses.replace(FAILED, sync=SynchronizerCounters(jumps=1))


@pytest.mark.parametrize(
    ('snapshots', 'expected'),
    [
        ([GOOD, REMARK, REMARK, GOOD], ['info visible camera_info is']),
        (
            [REMARK, FAILED, FAILED, FAILED],
            ['info visible camera_info is', 'error 1 images failed', 'info all is well again'],
        ),
        (
            [FAILED, JUMPED, JUMPED],
            ['info visible camera_info is', 'warning time jumped back', 'info all is well again'],
        ),
    ],
)
def test_a_problem_is_logged_once_at_its_level_and_a_remark_is_no_trouble(
    snapshots: list[Snapshot], expected: list[str]
) -> None:
    lines = logged(snapshots)

    assert len(lines) == len(expected), lines
    assert all(line.startswith(begin) for line, begin in zip(lines, expected, strict=True))


def logged(snapshots: list[Snapshot]) -> list[str]:
    """Report these one after the other and return level and text of what was logged."""
    from builtin_interfaces.msg import Time
    from ir_vis_fusion.node.reporter import StatusReporter

    lines = []
    logger = SimpleNamespace(
        **{
            level: lambda text, level=level: lines.append(f'{level} {text}')
            for level in ('info', 'warning', 'error')
        }
    )
    node = Mock()
    node.get_logger.return_value = logger
    node.get_fully_qualified_name.return_value = '/fusion_node'
    node.get_clock.return_value.now.return_value.to_msg.return_value = Time()
    reporter = StatusReporter(node, iter(snapshots).__next__)
    for _ in snapshots:
        reporter.report()
    return lines
