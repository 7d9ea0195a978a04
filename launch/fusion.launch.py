"""
Start the fusion node.

    ros2 launch ir_vis_fusion fusion.launch.py thermal_topic:=/boson/image_raw \
        visible_topic:=/camera/image_raw

``--show-args`` lists all arguments. What is given here goes before the parameter file; what is
not given leaves it as it is.
"""

from launch import LaunchContext, LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.substitutions import FindPackageShare

OVERRIDES = ('model', 'device', 'points', 'use_sim_time')


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments and start the node."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'namespace', default_value='', description='namespace of the node and its topics'
            ),
            DeclareLaunchArgument(
                'thermal_topic',
                default_value='thermal/image_raw',
                description='thermal images; without /compressed, see thermal_transport',
            ),
            DeclareLaunchArgument(
                'visible_topic',
                default_value='visible/image_raw',
                description='visible images; camera_info is looked for beside them',
            ),
            DeclareLaunchArgument(
                'fused_topic',
                default_value='fused/image',
                description='fused images; camera_info is published beside them',
            ),
            DeclareLaunchArgument(
                'params_file',
                default_value=PathJoinSubstitution(
                    [FindPackageShare('ir_vis_fusion'), 'config', 'fusion.yaml']
                ),
                description='parameter file of the node',
            ),
            DeclareLaunchArgument(
                'model',
                default_value='',
                description='name of a shipped model, path of a checkpoint or '
                'package://PACKAGE/PATH; empty: as in params_file',
            ),
            DeclareLaunchArgument(
                'device',
                default_value='',
                description='auto, cpu, cuda or cuda:N; empty: as in params_file',
            ),
            DeclareLaunchArgument(
                'points',
                default_value='',
                choices=['', 'off', 'depth', 'cloud'],
                description='fused/points, a point cloud with colour and temperature: of a depth '
                'image or of an organised cloud; empty: as in params_file',
            ),
            DeclareLaunchArgument(
                'depth_topic',
                default_value='depth/image_raw',
                description='depth images registered to the visible camera',
            ),
            DeclareLaunchArgument(
                'cloud_topic',
                default_value='depth/points',
                description='organised cloud of the visible pixels',
            ),
            DeclareLaunchArgument(
                'use_sim_time',
                default_value='',
                choices=['', 'true', 'false'],
                description='time from /clock, for bags; empty: as in params_file',
            ),
            DeclareLaunchArgument(
                'log_level',
                default_value='info',
                choices=['debug', 'info', 'warn', 'error', 'fatal'],
                description='least severe messages to show',
            ),
            DeclareLaunchArgument(
                'respawn',
                default_value='false',
                choices=['true', 'false'],
                description='start the node again when it has died',
            ),
            OpaqueFunction(function=fusion_node),
        ]
    )


def fusion_node(context: LaunchContext) -> list[Node]:
    """Return the node, with the parameters that were given on the command line."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    given = {name: value(name) for name in OVERRIDES if value(name)}
    if 'use_sim_time' in given:
        given['use_sim_time'] = given['use_sim_time'] == 'true'
    fused_info = '/'.join([*value('fused_topic').split('/')[:-1], 'camera_info'])
    return [
        Node(
            package='ir_vis_fusion',
            executable='fusion_node',
            name='fusion_node',
            namespace=value('namespace'),
            parameters=[value('params_file'), given],
            remappings=[
                ('thermal/image_raw', value('thermal_topic')),
                ('visible/image_raw', value('visible_topic')),
                ('depth/image_raw', value('depth_topic')),
                ('depth/points', value('cloud_topic')),
                ('fused/image', value('fused_topic')),
                ('fused/camera_info', fused_info),
            ],
            ros_arguments=['--log-level', value('log_level')],
            respawn=value('respawn') == 'true',
            respawn_delay=2.0,
            output='screen',
            emulate_tty=True,
        )
    ]
