"""``ivf sample``: a synthetic thermal and visible night scene as a rosbag2."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        'sample',
        help='write a synthetic night scene as a rosbag2 (MCAP)',
        description='A street at night with people, a car, lamps, drifting smoke and one shutter '
        'calibration (FFC): thermal in centikelvin and visible in colour, at 30 Hz.',
    )
    parser.add_argument('--out', type=Path, required=True, help='bag to write')
    parser.add_argument('--duration', type=float, default=10.0, help='length in seconds')
    parser.add_argument('--seed', type=int, default=0, help='seed of textures and noise')
    return parser


def run(options: argparse.Namespace) -> int:
    """Write the bag."""
    from ir_vis_fusion.evaluation.scene import write_sample_bag

    write_sample_bag(options.out, options.duration, options.seed)
    print(f'{options.duration:g} s of a synthetic night scene written to {options.out}')
    return 0
