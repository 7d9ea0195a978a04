"""``ivf models``: the networks and weights that are at hand."""

import argparse
from typing import Any

from ir_vis_fusion.cli.table import format_table


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    return commands.add_parser('models', help='list the models that are at hand')


def run(options: argparse.Namespace) -> int:
    """Print one row a shipped checkpoint."""
    from ir_vis_fusion.checkpoint import load_checkpoint, shipped
    from ir_vis_fusion.models.registry import count_macs, count_parameters

    rows = [('model', 'network', 'parameters', 'GMAC 640x480', 'licence', 'trained on', 'SHA-256')]
    for path in shipped():
        checkpoint = load_checkpoint(path)
        rows.append(
            (
                path.stem,
                checkpoint.name,
                f'{count_parameters(checkpoint.model):,}',
                f'{count_macs(checkpoint.model, 480, 640) / 1e9:.2f}',
                str(checkpoint.provenance.get('licence', '-')),
                str(checkpoint.provenance.get('data', '-')),
                checkpoint.sha256[:12],
            )
        )
    print(format_table(rows))
    return 0
