"""``ivf fuse``: images, folders of images, or videos."""

import argparse
from pathlib import Path
import sys
from typing import Any

from ir_vis_fusion.cli.options import add_predictor_options, frame_settings, predictor_settings


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        'fuse',
        help='fuse two images, two folders (matched by file name) or two videos',
        description='Fuse thermal and visible images; the result has the size and the colours '
        'of the visible ones. A thermal image of another size is resized to the visible one.',
    )
    parser.add_argument('--thermal', type=Path, required=True, help='image, folder or video')
    parser.add_argument('--visible', type=Path, required=True, help='image, folder or video')
    parser.add_argument(
        '--out', type=Path, required=True, help='image file, folder, or .mp4 for two videos'
    )
    add_predictor_options(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Fuse and say what was written."""
    from ir_vis_fusion.evaluation.fuse import fuse_files
    from ir_vis_fusion.predictor import FusionPredictor

    predictor = FusionPredictor(predictor_settings(options))
    if predictor.guidance_note:
        print(f'note: {predictor.guidance_note}', file=sys.stderr)
    settings = frame_settings(options)
    predictor.check(settings)
    count = fuse_files(predictor, options.thermal, options.visible, options.out, settings)
    print(f'{count} fused image(s) written to {options.out}')
    return 0
