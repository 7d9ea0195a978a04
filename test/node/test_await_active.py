"""Who waits for the node goes on when it is active, and is told when it never is."""

import os
import subprocess
import sys

import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros


def start(*arguments):
    command = [sys.executable, '-m', 'ir_vis_fusion.node.await_active', *arguments]
    return subprocess.Popen(command, env=os.environ, stderr=subprocess.PIPE, text=True)


def test_it_ends_when_the_node_has_become_active_and_not_before(rig):
    node = rig.make_node(autostart=False)
    node.trigger_configure()
    # Inactive: the node answers, and the time runs out all the same.
    early = start('/fusion_node', '--timeout-s', '1.5')
    rig.spin_until(lambda: early.poll() is not None)
    assert early.returncode == 1
    assert '/fusion_node is not active after 1.5 s' in early.stderr.read()
    node.trigger_activate()
    waiting = start('/fusion_node')
    rig.spin_until(lambda: waiting.poll() is not None)
    assert waiting.returncode == 0
