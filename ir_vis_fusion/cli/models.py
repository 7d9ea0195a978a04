"""``ivf models``: the networks and weights that are at hand."""

import argparse
from typing import Any, TYPE_CHECKING

from ir_vis_fusion.cli.table import format_table

if TYPE_CHECKING:
    from ir_vis_fusion.checkpoint import Checkpoint

COLUMNS = (
    'model',
    'network',
    'parameters',
    'GMAC 640x480',
    'CLIP at run time',
    'licence',
    'trained on',
    'SHA-256',
)


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        'models',
        help='list the models that are at hand',
        description='Lists the shipped checkpoints, or those that are named.',
    )
    parser.add_argument('model', nargs='*', metavar='FILE', help='checkpoint, or a shipped name')
    return parser


def run(options: argparse.Namespace) -> int:
    """Print one row a checkpoint."""
    from ir_vis_fusion.checkpoint import load_checkpoint, resolve, shipped
    from ir_vis_fusion.models.registry import count_macs, count_parameters

    named = {model: resolve(model) for model in options.model}
    rows = [COLUMNS]
    for name, path in (named or {path.stem: path for path in shipped()}).items():
        checkpoint = load_checkpoint(path)
        rows.append(
            (
                name,
                checkpoint.name,
                f'{count_parameters(checkpoint.model):,}',
                f'{count_macs(checkpoint.model, 480, 640) / 1e9:.2f}',
                _clip(checkpoint),
                str(checkpoint.provenance.get('licence', '-')),
                str(checkpoint.provenance.get('data', '-')),
                checkpoint.sha256[:12],
            )
        )
    print(format_table(rows))
    return 0


def _clip(checkpoint: 'Checkpoint') -> str:
    names = checkpoint.model.guidance
    if not names:
        return 'none'
    what = 'text features' if 'text_features' in names else 'image tower'
    made_by = checkpoint.preprocessing.get('clip', {}).get('name')
    return f'{what}, optional' + (f' ({made_by})' if made_by else '')
