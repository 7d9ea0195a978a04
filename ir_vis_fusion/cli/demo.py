"""``ivf demo``: the main job end to end, as ``make demo`` runs it."""

import argparse
from pathlib import Path
from typing import Any

from ir_vis_fusion.cli.options import (
    add_predictor_options,
    frame_settings,
    missing_ros,
    predictor_settings,
)
from ir_vis_fusion.config import flatten


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        'demo',
        help='play a recording over DDS, fuse it in the real node, record the result',
        description='Without a source it makes a synthetic night scene. A folder is left with '
        'fused.mcap, fused.mp4, contact_sheet.png and summary.json. Needs rclpy.',
    )
    parser.add_argument('--out', type=Path, default=Path('demo'), help='folder to leave it in')
    parser.add_argument('--thermal', type=Path, help='video or folder of images')
    parser.add_argument('--visible', type=Path, help='video or folder of images')
    parser.add_argument('--fps', type=float, help='rate of folders of images (default 10)')
    parser.add_argument('--bag', type=Path, help='rosbag2 (MCAP or sqlite3) or ROS 1 bag')
    parser.add_argument('--thermal-topic', help='guessed from types and names otherwise')
    parser.add_argument('--visible-topic', help='guessed from types and names otherwise')
    add_predictor_options(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Run the demo and print its summary."""
    try:
        from ir_vis_fusion.node.demo import DemoSource, run_demo
    except ModuleNotFoundError as error:
        raise missing_ros(error) from None
    source = DemoSource(
        thermal=options.thermal,
        visible=options.visible,
        fps=options.fps,
        bag=options.bag,
        thermal_topic=options.thermal_topic,
        visible_topic=options.visible_topic,
    )
    chosen = flatten(predictor_settings(options)) | flatten(frame_settings(options))
    return run_demo(options.out, source, chosen)
