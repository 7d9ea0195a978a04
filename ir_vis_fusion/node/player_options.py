"""The options of the player, for ``ivf play`` too: ROS-free."""

import argparse


def add_player_options(parser: argparse.ArgumentParser) -> None:
    """Add what is played and how."""
    parser.add_argument('bag', help='rosbag2 (folder, .mcap, .db3) or ROS 1 .bag')
    parser.add_argument('--thermal-topic', help='thermal image topic in the bag, else guessed')
    parser.add_argument('--visible-topic', help='visible image topic in the bag, else guessed')
    parser.add_argument('--rate', type=_rate, default=1.0, help='pace, 0.5 is half as fast')
    parser.add_argument('--loop', action='store_true', help='play for ever')
    parser.add_argument(
        '--clock', action='store_true', help='publish /clock and keep the stamps of the bag'
    )
    parser.add_argument(
        '--wait-s', type=float, default=20.0, help='how long to wait for subscribers'
    )


def _rate(text: str) -> float:
    rate = float(text)
    if not rate > 0:
        raise argparse.ArgumentTypeError(f'must be > 0, got {text}')
    return rate
