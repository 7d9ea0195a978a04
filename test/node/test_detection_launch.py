"""detection.launch.py with the real launch, and yolo_ros as a file that notes its arguments."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip('rclpy')
launch = pytest.importorskip('launch', reason='comes with a ROS 2 installation, not from PyPI')
pytest.importorskip('launch_ros', reason='comes with a ROS 2 installation, not from PyPI')
pytestmark = pytest.mark.ros

FILE = Path(__file__).resolve().parents[2] / 'launch' / 'detection.launch.py'
YOLO = """
import json
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction

def note(context):
    with open({log!r}, 'w') as file:
        json.dump(dict(context.launch_configurations), file)
    return []

def generate_launch_description():
    return LaunchDescription([
        DeclareLaunchArgument('model', default_value='its own'),
        DeclareLaunchArgument('device', default_value='its own'),
        OpaqueFunction(function=note),
    ])
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Install a yolo_bringup that writes its arguments to the returned file."""
    log = tmp_path / 'arguments.json'
    folder = tmp_path / 'share' / 'yolo_bringup' / 'launch'
    folder.mkdir(parents=True)
    (folder / 'yolo.launch.py').write_text(YOLO.format(log=str(log)))
    marker = tmp_path / 'share/ament_index/resource_index/packages/yolo_bringup'
    marker.parent.mkdir(parents=True)
    marker.touch()
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path))
    return log


def source() -> Any:
    from launch.launch_description_sources import PythonLaunchDescriptionSource

    return PythonLaunchDescriptionSource(str(FILE))


def start(**given: str) -> tuple[Any, list[Any]]:
    """Run the part of the launch file that starts the detector; return context and actions."""
    from launch.actions import DeclareLaunchArgument, OpaqueFunction

    service = launch.LaunchService(noninteractive=True)
    configurations = service.context.launch_configurations
    configurations.update({'namespace': 'robot', 'fused_topic': 'fused/image', 'model': 'student'})
    configurations.update(given)
    entities = source().get_launch_description(launch.LaunchContext()).entities
    parts = [x for x in entities if isinstance(x, (DeclareLaunchArgument, OpaqueFunction))]
    started: list[Any] = []
    function = parts[-1]
    parts[-1] = OpaqueFunction(
        function=lambda context: started.extend(function.execute(context)) or list(started)
    )
    service.include_launch_description(launch.LaunchDescription(parts))
    assert service.run() == 0
    return service.context, started


def test_every_argument_is_declared_with_a_description() -> None:
    own = {'yolo_model', 'yolo_device', 'yolo_threshold', 'yolo_namespace'}
    entities = source().get_launch_description(launch.LaunchContext()).entities
    declared = {x.name: x for x in entities if isinstance(x, launch.actions.DeclareLaunchArgument)}
    assert set(declared) == own
    assert all(len(argument.description) > 10 for argument in declared.values())


def test_yolo_gets_the_fused_topic_reliably_and_none_of_the_fusion_nodes_arguments(
    log: Path,
) -> None:
    context, _ = start(yolo_device='cpu')

    assert json.loads(log.read_text()) == {
        'model': 'its own',
        'device': 'cpu',
        'namespace': 'yolo',
        'input_image_topic': '/robot/fused/image',
        'image_reliability': '1',
    }
    assert context.launch_configurations['model'] == 'student'


def test_without_yolo_the_topic_for_another_detector_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    monkeypatch.setenv('ROS_LOG_DIR', str(tmp_path))

    context, (word,) = start(fused_topic='/out/image')

    text = ''.join(part.perform(context) for part in word.msg)
    assert text == 'yolo_ros is not installed; remap your own detector to /out/image'
