"""The commands that replay.launch.py runs, by its arguments."""

from pathlib import Path
import runpy
from typing import Any

import pytest

pytest.importorskip('launch', reason='comes with a ROS 2 installation, not from PyPI')
pytest.importorskip('launch_ros', reason='comes with a ROS 2 installation, not from PyPI')

FILE = Path(__file__).resolve().parents[2] / 'launch' / 'replay.launch.py'
DEFAULTS = {
    'bag': 'night',
    'output': 'out',
    'topics': '',
    'rate': '1.0',
    'loop': 'false',
    'delay': '1.0',
    'player': 'auto',
    'json': '',
    'params_file': 'replay.yaml',
    'namespace': '',
    'thermal_topic': 'thermal/image_raw',
    'visible_topic': 'visible/image_raw',
    'fused_topic': 'fused/image',
}


@pytest.fixture(scope='module')
def replay() -> dict[str, Any]:
    """Return what the launch file defines."""
    return runpy.run_path(str(FILE))


@pytest.mark.parametrize(
    ('given', 'topics'),
    [
        ({'topics': '/fused/image /other'}, '/fused/image|/other'),
        ({}, '/fused/image|/fused/camera_info|/fusion_node/status'),
        (
            {'namespace': 'robot', 'fused_topic': 'out/image'},
            '/robot/out/image|/robot/out/camera_info|/robot/fusion_node/status',
        ),
        (
            {'namespace': '/robot', 'fused_topic': '/out/image'},
            '/out/image|/out/camera_info|/robot/fusion_node/status',
        ),
    ],
)
def test_ros2_bag_records_full_names(
    replay: dict[str, Any], given: dict[str, str], topics: str
) -> None:
    record, play = replay['ros2_commands']((DEFAULTS | {'loop': 'true'} | given).get)

    assert record[-3:] == ['--regex', f'^({topics})$', '--use-sim-time']
    assert play[-1] == '--loop'


def test_our_player_gets_the_topics_of_the_bag_and_the_names_of_the_node(
    replay: dict[str, Any],
) -> None:
    given = {'namespace': 'robot', 'thermal_topic': '/boson/image_raw', 'rate': '0.5'}

    record, play = replay['own_commands']((DEFAULTS | given).get)

    assert record[2:] == [
        *('ir_vis_fusion.node.recorder', '--out', 'out.mcap'),
        *('--topic', '/robot/fused/image', '--topic', '/robot/fused/camera_info'),
        *('--status', '/robot/fusion_node/status', '--ros-args', '-p', 'use_sim_time:=true'),
    ]
    assert play[2:9] == [
        *('ir_vis_fusion.node.player', 'night', '--clock', '--rate', '0.5'),
        *('--thermal-topic', '/boson/image_raw'),
    ]
    assert 'thermal/image_raw:=/boson/image_raw' in play
    assert 'visible/image_raw/compressed:=/robot/visible/image_raw/compressed' in play
    assert 'visible/camera_info:=/robot/visible/camera_info' in play


@pytest.mark.parametrize(
    ('player', 'bag', 'installed', 'expected'),
    [
        ('auto', 'night', True, True),
        ('auto', 'night', False, False),
        ('auto', 'night.bag', True, False),
        ('ros2', 'night', False, True),
        ('ivf', 'night', True, False),
    ],
)
def test_ros2_bag_is_taken_where_it_is_and_can_read_the_bag(
    replay: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    player: str,
    bag: str,
    installed: bool,
    expected: bool,
) -> None:
    program = tmp_path / 'bin' / 'ros2'
    module = tmp_path / 'lib' / 'ros2bag' / '__init__.py'
    for file in (program, module):
        file.parent.mkdir(parents=True)
        file.touch(0o755)
    monkeypatch.setenv('PATH', str(program.parent) if installed else '')
    if installed:
        monkeypatch.syspath_prepend(module.parent.parent)

    assert replay['with_ros2_bag']((DEFAULTS | {'player': player, 'bag': bag}).get) is expected


def test_the_evaluation_reads_what_was_recorded(replay: dict[str, Any]) -> None:
    ros2, own = (
        replay['evaluation']((DEFAULTS | {'player': player, 'output': 'out'}).get)
        for player in ('ros2', 'ivf')
    )

    assert ros2[3:] == [
        *('replay', 'night', '--recorded', 'out', '--json', 'out.json'),
        *('--fused-topic', '/fused/image', '--params-file', 'replay.yaml'),
    ]
    assert own[6] == 'out.mcap'
