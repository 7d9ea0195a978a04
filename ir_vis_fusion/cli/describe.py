"""``ivf describe``: what CLIP sees in an image, in the words of an embedding bank."""

import argparse
from pathlib import Path
from typing import Any

from ir_vis_fusion.cli.options import add_bank_option, add_clip_options, clip_settings
from ir_vis_fusion.cli.table import format_table


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        'describe',
        help='name what an image shows',
        description='Zero-shot description by CLIP: the names of an embedding bank that fit an '
        'image best, with their probabilities among all names of the bank. The bank and the '
        'image tower must come from the same CLIP.',
    )
    parser.add_argument('image', type=Path, metavar='IMAGE', help='image file, colour or grey')
    add_bank_option(parser, required=True)
    parser.add_argument('--top', type=int, default=5, help='how many names')
    add_clip_options(parser)
    return parser


def run(options: argparse.Namespace) -> int:
    """Print one row a name."""
    from ir_vis_fusion.backends.device import select_device
    from ir_vis_fusion.guidance.clip import load_image_tower
    from ir_vis_fusion.guidance.prompts import describe, EmbeddingBank
    from ir_vis_fusion.preprocessing.color import to_rgb
    from ir_vis_fusion.preprocessing.encodings import read_image
    from ir_vis_fusion.types import Role
    import torch

    frame = read_image(options.image, Role.VISIBLE)
    bank = EmbeddingBank.load(options.bank)
    device = select_device(options.device)
    tower = load_image_tower(clip_settings(options), device)
    pixels = to_rgb(torch.from_numpy(frame.image.copy()).to(device), frame.encoding)
    with torch.inference_mode():
        description = describe(tower(pixels), bank, options.top)
    rows = zip(description.names[0], description.probabilities[0].tolist(), strict=True)
    print(format_table([('name', 'probability'), *((name, f'{p:.3f}') for name, p in rows)]))
    return 0
