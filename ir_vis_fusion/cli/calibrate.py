"""``ivf calibrate``: how the thermal image lies in the visible one."""

import argparse
import json
from pathlib import Path
from typing import Any

from ir_vis_fusion.errors import CalibrationError


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        'calibrate',
        help='find how the thermal image lies in the visible one',
        description='Estimates the homography from thermal to visible pixels and writes the '
        'calibration file that registration.file takes: from a board that both cameras see, or '
        'from the edges of at least four different scenes. Refuses where it is not sure.',
    )
    parser.add_argument('--thermal', type=Path, help='folder of images, or video')
    parser.add_argument('--visible', type=Path, help='folder of images of the same names')
    parser.add_argument('--bag', type=Path, help='a bag instead of folders')
    parser.add_argument('--thermal-topic', metavar='TOPIC', help='guessed if left out')
    parser.add_argument('--visible-topic', metavar='TOPIC', help='guessed if left out')
    parser.add_argument(
        '--pattern',
        choices=('chessboard', 'circles', 'asymmetric_circles'),
        help='board that is seen in the pairs; without it edges of the scenes are aligned',
    )
    parser.add_argument(
        '--size', metavar='COLUMNSxROWS', help='inner corners or circles of the board, as 7x5'
    )
    parser.add_argument(
        '--start',
        type=Path,
        metavar='FILE',
        help='calibration file to begin with, for cameras that are turned by more than 5 degrees',
    )
    parser.add_argument('--out', type=Path, required=True, help='calibration file to write')
    parser.add_argument(
        '--overlays', type=Path, metavar='DIR', help='folder for pictures of before and after'
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='file for the figures')
    return parser


def run(options: argparse.Namespace) -> int:
    """Calibrate, write and say what was found."""
    from ir_vis_fusion.calibration import calibrate as work

    if (options.bag is None) == (options.thermal is None or options.visible is None):
        raise CalibrationError('give --thermal and --visible, or --bag')
    target = _target(options)
    if options.bag is not None:
        pairs = work.read_bag_pairs(options.bag, options.thermal_topic, options.visible_topic)
    else:
        pairs = work.read_pairs(options.thermal, options.visible)
    calibration, report = work.calibrate(pairs, target, options.start)
    work.save(calibration, report, options.out)
    print(
        f'{options.out}: confidence {report["confidence"]:.2f}, two halves of the evidence '
        f'disagree by {report["disagreement_px"]:.2f} px'
    )
    if options.overlays:
        count = work.write_overlays(pairs, calibration, options.overlays)
        print(f'{count} picture(s) of before and after in {options.overlays}')
    if options.json:
        try:
            options.json.write_text(json.dumps(report, indent=1, allow_nan=False) + '\n')
        except OSError as error:
            raise CalibrationError(
                f'{options.json}: cannot be written: {error.strerror}'
            ) from None
    return 0


def _target(options: argparse.Namespace) -> Any:
    from ir_vis_fusion.calibration.targets import Target

    if (options.pattern is None) != (options.size is None):
        raise CalibrationError('--pattern and --size go together')
    if options.pattern is None:
        return None
    numbers = options.size.lower().split('x')
    if len(numbers) != 2 or not all(one.isdecimal() and int(one) >= 2 for one in numbers):
        raise CalibrationError(f'--size must be COLUMNSxROWS, as 7x5, got {options.size!r}')
    return Target(options.pattern, *map(int, numbers))
