"""``ivf prompts``: sentences as vectors, for machines without a text tower."""

import argparse
from pathlib import Path
from typing import Any

from ir_vis_fusion.cli.options import add_clip_options, clip_settings


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser('prompts', help='turn sentences into an embedding bank')
    actions = parser.add_subparsers(metavar='ACTION', required=True)
    encode = actions.add_parser(
        'encode',
        help='write the vectors of sentences as an embedding bank',
        description='Encode sentences with the text tower of a CLIP and write an embedding bank '
        '(.safetensors). A robot that has the bank needs neither open_clip nor a network.',
    )
    encode.add_argument('sentences', nargs='+', metavar='SENTENCE', help='in quotes')
    encode.add_argument('--out', type=Path, required=True, help='bank to write')
    add_clip_options(encode)
    return parser


def run(options: argparse.Namespace) -> int:
    """Write the bank."""
    from ir_vis_fusion.backends.device import select_device
    from ir_vis_fusion.guidance.clip import load_text_tower
    from ir_vis_fusion.guidance.prompts import EmbeddingBank

    settings = clip_settings(options)
    tower = load_text_tower(settings, select_device(options.device))
    sentences = tuple(dict.fromkeys(options.sentences))
    clip = f'{settings.name} {settings.pretrained or Path(settings.file).name}'.strip()
    EmbeddingBank(sentences, tower.encode(sentences), clip).save(options.out)
    print(f'{len(sentences)} sentence(s) by {clip} written to {options.out}')
    return 0
