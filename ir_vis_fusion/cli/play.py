"""``ivf play``: the image topics of a bag over ROS 2, where there is no ``ros2 bag``."""

import argparse
from typing import Any

from ir_vis_fusion.cli.options import missing_ros
from ir_vis_fusion.node.player_options import add_player_options


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        'play',
        help='play the image topics of a bag over ROS 2, for a node to fuse',
        description='Publishes thermal/image_raw and visible/image_raw (with /compressed for '
        'compressed images) and their camera_info, as if the cameras ran now. Waits for '
        'subscribers and says at the end what was sent. Needs rclpy.',
    )
    add_player_options(parser)
    parser.add_argument(
        '--ros-args',
        nargs=argparse.REMAINDER,
        default=[],
        help='the rest goes to ROS: remappings, for example',
    )
    return parser


def run(options: argparse.Namespace) -> int:
    """Play and print a summary."""
    try:
        from ir_vis_fusion.node.player import run as play
    except ModuleNotFoundError as error:
        raise missing_ros(error) from None
    return play(options, ['ivf', '--ros-args', *options.ros_args])
