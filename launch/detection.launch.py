"""
Start the fusion node and yolo_ros on what it publishes.

    ros2 launch ir_vis_fusion detection.launch.py thermal_topic:=/boson/image_raw \
        visible_topic:=/camera/image_raw yolo_model:=MODEL

Without yolo_ros (github.com/mgonzs13/yolo_ros) the fusion node runs alone; any detector that takes
a ``sensor_msgs/Image`` gets its fused images by a remapping.
"""

from pathlib import PurePosixPath

from launch import LaunchContext, LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    GroupAction,
    IncludeLaunchDescription,
    LogInfo,
    OpaqueFunction,
)
from launch.launch_description_entity import LaunchDescriptionEntity
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, SubstitutionFailure, ThisLaunchFileDir
from launch_ros.substitutions import FindPackageShare

# In yolo_ros's numbers. The fused images are offered reliably, and images of their size get lost
# by best effort.
RELIABLE = '1'


def generate_launch_description() -> LaunchDescription:
    """Declare the arguments; start the node and the detector."""
    return LaunchDescription(
        [
            DeclareLaunchArgument(
                'yolo_model',
                default_value='',
                description='model of yolo_ros (name or path); empty: its default',
            ),
            DeclareLaunchArgument(
                'yolo_device',
                default_value='',
                description='device of yolo_ros (cpu, cuda:0); empty: its default',
            ),
            DeclareLaunchArgument(
                'yolo_threshold',
                default_value='',
                description='least score of a detection of yolo_ros; empty: its default',
            ),
            DeclareLaunchArgument(
                'yolo_namespace', default_value='yolo', description='namespace of yolo_ros'
            ),
            # Topics, model, device and log_level are declared by fusion.launch.py.
            IncludeLaunchDescription(
                PythonLaunchDescriptionSource([ThisLaunchFileDir(), '/fusion.launch.py'])
            ),
            OpaqueFunction(function=detector),
        ]
    )


def detector(context: LaunchContext) -> list[LaunchDescriptionEntity]:
    """Return yolo_ros on the fused images, or a word about it where it is not installed."""

    def value(name: str) -> str:
        return LaunchConfiguration(name).perform(context)

    image = str(PurePosixPath('/', value('namespace'), value('fused_topic')))
    try:
        share = FindPackageShare('yolo_bringup').perform(context)
    except (LookupError, SubstitutionFailure):
        return [LogInfo(msg=f'yolo_ros is not installed; remap your own detector to {image}')]
    given = {
        'model': value('yolo_model'),
        'device': value('yolo_device'),
        'threshold': value('yolo_threshold'),
        'namespace': value('yolo_namespace'),
        'input_image_topic': image,
        'image_reliability': RELIABLE,
    }
    yolo = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(f'{share}/launch/yolo.launch.py'),
        launch_arguments=[(name, text) for name, text in given.items() if text],
    )
    # Its arguments have the names of ours (model, namespace, ...), so neither sees the other's.
    return [GroupAction([yolo], scoped=True, forwarding=False)]
