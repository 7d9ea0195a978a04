"""The launch files with the real launch and launch_ros, wherever those are installed."""

import json
import os
from pathlib import Path
import signal
import subprocess
import sys
from typing import Any

from ir_vis_fusion.evaluation.bags import BagWriter
from ir_vis_fusion.types import RawImage, Role
import pytest

pytest.importorskip('rclpy')
launch = pytest.importorskip('launch', reason='comes with a ROS 2 installation, not from PyPI')
pytest.importorskip('launch_ros', reason='comes with a ROS 2 installation, not from PyPI')
pytestmark = pytest.mark.ros

ROOT = Path(__file__).resolve().parents[2]
BAG_NS, PERIOD_NS, COUNT = 1_700_000_000_000_000_000, 100_000_000, 20
RUN = """
import sys
from launch import LaunchDescription, LaunchService
from launch.actions import IncludeLaunchDescription
from launch.launch_description_sources import PythonLaunchDescriptionSource

arguments = [argument.split(':=') for argument in sys.argv[2:]]
source = PythonLaunchDescriptionSource(sys.argv[1])
service = LaunchService(noninteractive=True)
service.include_launch_description(
    LaunchDescription([IncludeLaunchDescription(source, launch_arguments=arguments)])
)
sys.exit(service.run())
"""
STUB = """#!/bin/sh
echo "$@" >> {log}
case "$2" in record) exec sleep 60 ;; *) exec sleep 1 ;; esac
"""


@pytest.fixture(scope='module')
def prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the package as colcon would, with links into the source."""
    prefix = tmp_path_factory.mktemp('install')
    share = prefix / 'share' / 'ir_vis_fusion'
    marker = prefix / 'share/ament_index/resource_index/packages/ir_vis_fusion'
    executable = prefix / 'lib' / 'ir_vis_fusion' / 'fusion_node'
    for folder in (share, marker.parent, executable.parent):
        folder.mkdir(parents=True)
    marker.touch()
    for folder in ('launch', 'config'):
        (share / folder).symlink_to(ROOT / folder)
    executable.write_text(
        f'#!{sys.executable}\nimport sys\nfrom ir_vis_fusion.node.main import main\n'
        'sys.exit(main())\n'
    )
    executable.chmod(0o755)
    return prefix


@pytest.fixture(autouse=True)
def installed(prefix: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [str(prefix), os.environ.get('AMENT_PREFIX_PATH', '')]
    monkeypatch.setenv('AMENT_PREFIX_PATH', os.pathsep.join(path for path in paths if path))
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(ROOT), *sys.path]))
    # Where launch files find python3.
    monkeypatch.setenv('PATH', f'{Path(sys.executable).parent}{os.pathsep}{os.environ["PATH"]}')
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path))


def load(name: str) -> Any:
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    source = PythonLaunchDescriptionSource(str(ROOT / 'launch' / name))
    return source.get_launch_description(launch.LaunchContext())


def node_action(**arguments: str) -> tuple[Any, Any]:
    """Return the node that fusion.launch.py starts with these arguments, and its context."""
    from launch.actions import OpaqueFunction

    description = load('fusion.launch.py')
    context = launch.LaunchContext()
    context.launch_configurations.update(arguments)
    for entity in description.entities:
        result = entity.visit(context)
        if isinstance(entity, OpaqueFunction):
            (node,) = result
    return node, context


def perform(context: Any, substitutions: Any) -> str:
    from launch.utilities import perform_substitutions

    return perform_substitutions(context, list(substitutions))


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        (
            'fusion.launch.py',
            'namespace thermal_topic visible_topic fused_topic params_file model device '
            'use_sim_time log_level respawn',
        ),
        (
            'replay.launch.py',
            'bag output topics rate loop delay player evaluate json params_file',
        ),
    ],
)
def test_every_argument_is_declared_with_a_description(name: str, expected: str) -> None:
    declared = {argument.name: argument for argument in load(name).get_launch_arguments()}

    assert set(expected.split()) <= set(declared)
    for argument in declared.values():
        assert len(argument.description) > 10, argument.name


def test_topics_are_remapped_with_camera_info_beside_the_fused_image() -> None:
    node, context = node_action(
        thermal_topic='/boson/image_raw', visible_topic='/cam/image', fused_topic='/out/image'
    )
    node._perform_substitutions(context)

    remappings = dict(node.expanded_remapping_rules)
    assert remappings == {
        'thermal/image_raw': '/boson/image_raw',
        'visible/image_raw': '/cam/image',
        'fused/image': '/out/image',
        'fused/camera_info': '/out/camera_info',
    }


def test_only_given_arguments_override_the_parameter_file() -> None:
    import yaml

    node, context = node_action(device='cpu', use_sim_time='true')
    node._perform_substitutions(context)

    files = [Path(argument) for argument, is_file in node._Node__expanded_parameter_arguments]
    assert files[0].name == 'fusion.yaml'
    (given,) = yaml.safe_load(files[1].read_text()).values()
    assert given == {'ros__parameters': {'device': 'cpu', 'use_sim_time': True}}


def test_the_node_runs_fuses_and_ends_cleanly_when_launched(rig: Any, weights: Path) -> None:
    from rcl_interfaces.srv import GetParameters
    from sensor_msgs.msg import Image

    process = start(
        'fusion.launch.py',
        'namespace:=robot',
        f'model:={weights}',
        'visible_topic:=/cam/image_raw',
        'fused_topic:=/out/image',
    )
    try:
        rig.listen('/out')
        rig.cameras = {
            Role.THERMAL: rig.tester.create_publisher(Image, '/robot/thermal/image_raw', 10),
            Role.VISIBLE: rig.tester.create_publisher(Image, '/cam/image_raw', 10),
        }
        rig.spin_until(lambda: rig.fused, rig.publish_pair)
        client = rig.tester.create_client(GetParameters, '/robot/fusion_node/get_parameters')
        answer = client.call_async(GetParameters.Request(names=['model', 'qos.depth']))
        rig.spin_until(answer.done)
    finally:
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=120)

    assert (rig.fused[0].height, rig.fused[0].width) == (24, 32)
    model, depth = answer.result().values
    assert model.string_value == str(weights)
    assert depth.integer_value == 5
    assert '[fusion_node-1]: process has finished cleanly' in output
    assert 'Traceback' not in output
    assert process.returncode == 0, output


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put a ``ros2`` in place that writes its arguments to the returned file."""
    log = tmp_path / 'calls'
    stub = tmp_path / 'bin' / 'ros2'
    stub.parent.mkdir()
    stub.write_text(STUB.format(log=log))
    stub.chmod(0o755)
    monkeypatch.setenv('PATH', f'{stub.parent}{os.pathsep}{os.environ["PATH"]}')
    return log


def test_replay_waits_for_the_node_plays_and_records_and_ends_with_the_bag(
    weights: Path, calls: Path
) -> None:
    process = start(
        'replay.launch.py',
        'bag:=night',
        'output:=fused_night',
        'rate:=0.5',
        'player:=ros2',
        f'model:={weights}',
    )
    output = output_of(process)

    topics = '/fused/image|/fused/camera_info|/fusion_node/status'
    assert calls.read_text().splitlines() == [
        f'bag record --output fused_night --regex ^({topics})$ --use-sim-time',
        'bag play night --clock 100 --rate 0.5 --delay 1.0',
    ]
    assert '[fusion_node-1]: process has finished cleanly' in output
    assert 'Traceback' not in output
    assert process.returncode == 0, output


def test_replay_by_our_own_player_is_measured(weights: Path, tmp_path: Path) -> None:
    bag = write_bag(tmp_path / 'night.mcap', COUNT)
    process = start(
        'replay.launch.py',
        f'bag:={bag}',
        f'output:={tmp_path / "fused"}',
        'player:=ivf',
        'evaluate:=true',
        'namespace:=robot',
        'thermal_topic:=/boson/image_raw',
        f'model:={weights}',
    )
    output = output_of(process)

    assert process.returncode == 0, output
    assert 'Traceback' not in output
    report = json.loads((tmp_path / 'fused.json').read_text())
    assert report['topics'] == {
        'thermal': '/boson/image_raw',
        'visible': '/camera/image_raw',
        'fused': '/robot/fused/image',
    }
    assert report['pairs'] == COUNT
    # A busy machine may drop a pair.
    assert COUNT - 3 <= report['fused'] == COUNT - report['missing']
    assert set(report['frames']['stamp_ns']) <= {BAG_NS + i * PERIOD_NS for i in range(COUNT)}
    assert -20 < report['latency_ms']['p50'] < 2000


def test_replay_of_what_is_no_bag_fails_with_the_reason(weights: Path, tmp_path: Path) -> None:
    given = ('bag:=nowhere', f'output:={tmp_path / "fused"}', f'model:={weights}')
    process = start('replay.launch.py', *given, 'player:=ivf')
    output = output_of(process)

    assert "'nowhere': not a readable bag" in output
    assert 'player: exit code 1, see above' in output
    assert process.returncode == 1, output


def write_bag(path: Path, count: int) -> Path:
    """Write small images of two cameras at 10 Hz."""
    with BagWriter(path) as bag:
        for index in range(count):
            at_ns = BAG_NS + index * PERIOD_NS
            for topic, encoding, size in (('boson', 'mono8', 1), ('camera', 'rgb8', 3)):
                data = bytes((3 * x + index) % 256 for x in range(40 * 32 * size))
                image = RawImage(32, 40, encoding, False, 40 * size, data, at_ns, topic)
                bag.write_image(f'/{topic}/image_raw', image)
    return path


def test_replay_fails_when_the_node_cannot_start_and_plays_no_further(
    calls: Path,
) -> None:
    stub = calls.parent / 'bin' / 'ros2'
    stub.write_text('#!/bin/sh\nexec sleep 60\n')

    process = start(
        'replay.launch.py', 'bag:=night', 'player:=ros2', 'model:=/nowhere.safetensors'
    )
    output = output_of(process)

    assert "model '/nowhere.safetensors' is neither a file" in output
    assert 'the fusion node ended with exit code 1' in output
    assert process.returncode == 1, output


def start(name: str, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, '-c', RUN, str(ROOT / 'launch' / name), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def output_of(process: subprocess.Popen) -> str:
    """Return what a process has said when it has ended by itself."""
    try:
        return process.communicate(timeout=120)[0]
    finally:
        process.kill()
