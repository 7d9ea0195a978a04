"""
Play a bag through the fusion node and record what comes out.

    ros2 launch ir_vis_fusion replay.launch.py bag:=night output:=night_fused \
        thermal_topic:=/boson/image_raw visible_topic:=/camera/image_raw evaluate:=true

Everything runs on the bag's clock. The bag is played when the node is active, and all ends two
seconds after the bag does. Without ``ros2 bag``, and for ROS 1 bags, the package's own player
and recorder do the work.
"""

from collections.abc import Callable
import importlib.util
from pathlib import PurePosixPath
import shutil

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    ExecuteProcess,
    IncludeLaunchDescription,
    OpaqueFunction,
    RegisterEventHandler,
    TimerAction,
)
from launch.event_handlers import OnProcessExit
from launch.events import matches_action, Shutdown
from launch.events.process import ProcessExited, ShutdownProcess
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, ThisLaunchFileDir
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

LAST_IMAGES_S = 2.0
# From PATH, for ros2 itself runs the system's interpreter, without the virtual environment.
PROGRAM = ('python3', '-m')
# What programs end with after SIGINT.
INTERRUPTED = (2, -2, 130)
# Gives the value of an argument.
Value = Callable[[str], str]


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; start node, recorder and player."""
    # Topics, model, device and log_level are declared by fusion.launch.py.
    fusion = IncludeLaunchDescription(
        PythonLaunchDescriptionSource([ThisLaunchFileDir(), '/fusion.launch.py']),
        launch_arguments={
            'params_file': LaunchConfiguration('params_file'),
            'use_sim_time': 'true',
        }.items(),
    )
    work = OpaqueFunction(function=recorder_and_player)
    return LaunchDescription([*playing_arguments(), *evaluation_arguments(), fusion, work])


def playing_arguments() -> list[DeclareLaunchArgument]:
    """Return the arguments of node, player and recorder."""
    return [
        DeclareLaunchArgument('bag', description='bag to play'),
        DeclareLaunchArgument(
            'output', default_value='fused', description='bag to record, must not exist yet'
        ),
        DeclareLaunchArgument(
            'topics',
            default_value='',
            description='topics to record, separated by spaces; empty: fused_topic, '
            'camera_info beside it and, with ros2 bag, the status of the node',
        ),
        DeclareLaunchArgument(
            'rate', default_value='1.0', description='pace, 0.5 plays half as fast'
        ),
        DeclareLaunchArgument(
            'loop',
            default_value='false',
            choices=['true', 'false'],
            description='play the bag for ever',
        ),
        DeclareLaunchArgument(
            'delay',
            default_value='1.0',
            description='seconds before the first image, for the active node to subscribe',
        ),
        DeclareLaunchArgument(
            'player',
            default_value='auto',
            choices=['auto', 'ros2', 'ivf'],
            description="ros2: ros2 bag; ivf: this package's player and recorder; auto: ros2 "
            'where it is and can read the bag',
        ),
        DeclareLaunchArgument(
            'params_file',
            default_value=PathJoinSubstitution(
                [FindPackageShare('ir_vis_fusion'), 'config', 'replay.yaml']
            ),
            description='parameter file of the node',
        ),
    ]


def evaluation_arguments() -> list[DeclareLaunchArgument]:
    """Return the arguments of what comes after the recording."""
    return [
        DeclareLaunchArgument(
            'evaluate',
            default_value='false',
            choices=['true', 'false'],
            description='measure what was recorded, as `ivf replay` does, into a JSON file',
        ),
        DeclareLaunchArgument(
            'json', default_value='', description='that file; empty: OUTPUT.json'
        ),
    ]


def recorder_and_player(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the processes in their order; the end of the bag or of the node ends all."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    evaluate = value('evaluate') == 'true'
    if evaluate and value('loop') == 'true':
        raise RuntimeError('evaluate:=true measures when the bag has ended: leave out loop:=true')
    commands = ros2_commands if with_ros2_bag(value) else own_commands
    record, play = commands(value)
    fusion = absolute(value('namespace'), 'fusion_node')
    await_active = [*PROGRAM, 'ir_vis_fusion.node.await_active', fusion]
    waiting, recorder, player = (
        ExecuteProcess(cmd=command, output='screen') for command in (await_active, record, play)
    )
    end = EmitEvent(event=Shutdown(reason='the bag has ended'))
    ending, recorded = [end], after(recorder, 'recorder', [])
    handlers = []
    if evaluate:
        # The recorder closes its bag before it is read.
        ending = [EmitEvent(event=ShutdownProcess(process_matcher=matches_action(recorder)))]
        measuring = ExecuteProcess(cmd=evaluation(value), output='screen')
        recorded = after(recorder, 'recorder', [measuring])
        handlers = [RegisterEventHandler(after(measuring, 'evaluation', [end]))]
    last = [TimerAction(period=LAST_IMAGES_S, actions=ending)]
    return [
        recorder,
        waiting,
        RegisterEventHandler(after(waiting, 'wait for the node', [player])),
        RegisterEventHandler(after(player, 'player', last)),
        RegisterEventHandler(recorded),
        *handlers,
        RegisterEventHandler(OnProcessExit(on_exit=fail_without_node)),
    ]


def with_ros2_bag(value: Value) -> bool:
    """Say whether ``ros2 bag`` is to play and record."""
    if value('player') != 'auto':
        return value('player') == 'ros2'
    there = shutil.which('ros2') and importlib.util.find_spec('ros2bag')
    return bool(there) and not value('bag').endswith('.bag')


def ros2_commands(value: Value) -> tuple[list[str], list[str]]:
    """Return the commands that record and play with ``ros2 bag``."""
    # A pattern: positional topics are gone from Lyrical, --topics is not there in Humble.
    pattern = f'^({"|".join(topics_to_record(value) or [*fused_topics(value), status(value)])})$'
    record = ['ros2', 'bag', 'record', '--output', value('output'), '--regex', pattern]
    play = ['ros2', 'bag', 'play', value('bag'), '--clock', '100']
    play += ['--rate', value('rate'), '--delay', value('delay')]
    return [*record, '--use-sim-time'], play + looped(value)


def own_commands(value: Value) -> tuple[list[str], list[str]]:
    """Return the commands that record and play with this package's own programs."""
    topics = topics_to_record(value) or fused_topics(value)
    record = [*PROGRAM, 'ir_vis_fusion.node.recorder', '--out', own_output(value)]
    record += [option for topic in topics for option in ('--topic', topic)]
    record += ['--status', status(value), '--ros-args', '-p', 'use_sim_time:=true']
    play = [*PROGRAM, 'ir_vis_fusion.node.player', value('bag'), '--clock']
    play += ['--rate', value('rate'), *looped(value), *camera_topics(value), '--ros-args']
    for role in ('thermal', 'visible'):
        image = absolute(value('namespace'), value(f'{role}_topic'))
        info = str(PurePosixPath(image).with_name('camera_info'))
        names = {'image_raw': image, 'image_raw/compressed': f'{image}/compressed'}
        for name, to in (names | {'camera_info': info}).items():
            play += ['-r', f'{role}/{name}:={to}']
    return record, play


def evaluation(value: Value) -> list[str]:
    """Return the command that measures what was recorded."""
    output = value('output') if with_ros2_bag(value) else own_output(value)
    measure = [*PROGRAM, 'ir_vis_fusion', 'replay', value('bag'), '--recorded', output]
    measure += ['--json', value('json') or f'{value("output")}.json', *camera_topics(value)]
    return measure + [
        *('--fused-topic', absolute(value('namespace'), value('fused_topic'))),
        *('--params-file', value('params_file')),
    ]


def camera_topics(value: Value) -> list[str]:
    """Return the options that name the topics in the bag; those not given are guessed."""
    options = []
    for role in ('thermal', 'visible'):
        if value(f'{role}_topic') != f'{role}/image_raw':
            topic = absolute(value('namespace'), value(f'{role}_topic'))
            options += [f'--{role}-topic', topic]
    return options


def topics_to_record(value: Value) -> list[str]:
    """Return the topics that were asked for."""
    return value('topics').split()


def fused_topics(value: Value) -> list[str]:
    """Return the full names of the images that the node publishes and of their camera_info."""
    fused = PurePosixPath(absolute(value('namespace'), value('fused_topic')))
    return [str(fused), str(fused.with_name('camera_info'))]


def status(value: Value) -> str:
    """Return the full name of the status of the node."""
    return absolute(value('namespace'), 'fusion_node/status')


def absolute(namespace: str, name: str) -> str:
    """Return the full name of a topic or node."""
    return str(PurePosixPath('/', namespace, name))


def looped(value: Value) -> list[str]:
    """Return the option for ever."""
    return ['--loop'] if value('loop') == 'true' else []


def own_output(value: Value) -> str:
    """Return the file that our recorder writes."""
    return f'{value("output").removesuffix(".mcap")}.mcap'


def after(
    process: ExecuteProcess, name: str, actions: list[LaunchDescriptionEntity]
) -> OnProcessExit:
    """Return a handler that goes on when a process has done its work, and fails otherwise."""

    def ended(
        event: ProcessExited, context: LaunchContext
    ) -> list[LaunchDescriptionEntity] | None:
        if context.is_shutdown:
            return None
        if event.returncode not in (0, *INTERRUPTED):
            # An exception is the only way to an exit code other than 0.
            raise RuntimeError(f'{name}: exit code {event.returncode}, see above')
        return actions

    return OnProcessExit(target_action=process, on_exit=ended)


def fail_without_node(event: ProcessExited, context: LaunchContext) -> None:
    """End with a failure when the node does before the bag: nothing would be recorded."""
    if isinstance(event.action, Node) and not context.is_shutdown:
        raise RuntimeError(f'the fusion node ended with exit code {event.returncode}, see above')
