"""
Play a bag through the fusion node and record what comes out.

    ros2 launch ir_vis_fusion replay.launch.py bag:=night output:=night_fused \
        thermal_topic:=/boson/image_raw visible_topic:=/camera/image_raw

Everything runs on the bag's clock and ends two seconds after the bag does.
"""

from pathlib import PurePosixPath

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
from launch.events import Shutdown
from launch.events.process import ProcessExited
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, ThisLaunchFileDir
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

LAST_IMAGES_S = 2.0


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; start node, recorder and player."""
    return LaunchDescription(
        [
            DeclareLaunchArgument('bag', description='bag to play'),
            DeclareLaunchArgument(
                'output', default_value='fused', description='bag to record, must not exist yet'
            ),
            DeclareLaunchArgument(
                'topics',
                default_value='',
                description='topics to record, separated by spaces; empty: fused_topic, '
                'camera_info beside it and the status of the node',
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
                default_value='5.0',
                description='seconds before the first image, for the node to load the network',
            ),
            DeclareLaunchArgument(
                'params_file',
                default_value=PathJoinSubstitution(
                    [FindPackageShare('ir_vis_fusion'), 'config', 'replay.yaml']
                ),
                description='parameter file of the node',
            ),
            # Topics, model, device and log_level are declared by fusion.launch.py.
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource([ThisLaunchFileDir(), '/fusion.launch.py']),
                launch_arguments={
                    'params_file': LaunchConfiguration('params_file'),
                    'use_sim_time': 'true',
                }.items(),
            ),
            OpaqueFunction(function=recorder_and_player),
        ]
    )


def recorder_and_player(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return the two ``ros2 bag`` processes; the end of the player or the node ends all."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    # A pattern: positional topics are gone from Lyrical, --topics is not there in Humble.
    topics = value('topics').split() or fused_topics(value('namespace'), value('fused_topic'))
    pattern = f'^({"|".join(topics)})$'
    record = ['ros2', 'bag', 'record', '--output', value('output'), '--regex', pattern]
    play = ['ros2', 'bag', 'play', value('bag'), '--clock', '100']
    play += ['--rate', value('rate'), '--delay', value('delay')]
    if value('loop') == 'true':
        play.append('--loop')
    player = ExecuteProcess(cmd=play, output='screen')
    ending = TimerAction(
        period=LAST_IMAGES_S, actions=[EmitEvent(event=Shutdown(reason='the bag has ended'))]
    )
    return [
        ExecuteProcess(cmd=[*record, '--use-sim-time'], output='screen'),
        player,
        RegisterEventHandler(OnProcessExit(target_action=player, on_exit=[ending])),
        RegisterEventHandler(OnProcessExit(on_exit=fail_without_node)),
    ]


def fused_topics(namespace: str, fused_topic: str) -> list[str]:
    """Return the full names of what the node publishes."""
    fused = PurePosixPath('/', namespace, fused_topic)
    status = PurePosixPath('/', namespace, 'fusion_node', 'status')
    return [str(fused), str(fused.with_name('camera_info')), str(status)]


def fail_without_node(event: ProcessExited, context: LaunchContext) -> None:
    """End with a failure when the node does before the bag: nothing would be recorded."""
    if isinstance(event.action, Node) and not context.is_shutdown:
        # An exception is the only way to an exit code other than 0.
        raise RuntimeError(f'the fusion node ended with exit code {event.returncode}, see above')
