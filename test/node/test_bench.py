"""The node under load is measured through real DDS."""

from ir_vis_fusion.cli.main import main
import pytest


@pytest.mark.ros
def test_latency_share_and_processor_time_of_the_node_are_measured(tmp_path):
    """Of a node that runs an exported model."""
    for library in ('rclpy', 'rosbags', 'onnxscript', 'onnxruntime'):
        pytest.importorskip(library)
    from ir_vis_fusion.node.bench import measure_node

    model = tmp_path / 'student.onnx'
    assert main(['export', 'student', '--out', str(model)]) == 0
    found = measure_node(10.0, 2.0, (48, 64), {'device': 'cpu', 'model': str(model)})
    assert (found['pairs'], found['size']) == (20, '64x48')
    # The first image may come before the node has found the player.
    assert 10 <= found['published'] <= 20
    assert found['received'] <= found['published']
    latency = found['latency']
    assert 0 < latency['p50_ms'] <= latency['p95_ms'] <= latency['p99_ms']
    assert found['cpu_percent'] > 0


@pytest.mark.ros
def test_the_command_adds_the_node(tmp_path, capsys):
    pytest.importorskip('rclpy')
    pytest.importorskip('rosbags')
    arguments = ['bench', '--size', '64x48', '--frames', '8', '--warm-up', '1', '--device', 'cpu']
    assert main([*arguments, '--node', '--rate', '10', '--node-seconds', '2']) == 0
    assert '10 Hz' in capsys.readouterr().out
