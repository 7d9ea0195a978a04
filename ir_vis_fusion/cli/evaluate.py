"""``ivf evaluate``: how good fusion is, on one's own pairs, beside others."""

import argparse
from typing import Any

from ir_vis_fusion.cli.methods import (
    add_method_options,
    make_methods,
    prepare_files,
    prepare_table,
    provenance,
    write_files,
    write_table,
)
from ir_vis_fusion.cli.table import format_table


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        'evaluate',
        help='measure fused images and models on pairs, side by side',
        description='Measures EN, SD, SF, MI, VIF, Qabf and others for models and for folders '
        'of fused images, beside the trivial ways to fuse (one input alone, mean, maximum, '
        'Laplacian pyramid). What models fuse is saved and read back before it is measured.',
        conflict_handler='resolve',
    )
    add_method_options(parser, required_json=True)
    parser.add_argument(
        '--stretch',
        action='store_true',
        help='stretch each fused image to 0-255 before it is measured, as some papers do',
    )
    return parser


def run(options: argparse.Namespace) -> int:
    """Fuse, measure, print the table and write the results."""
    from ir_vis_fusion.backends.device import select_device
    from ir_vis_fusion.evaluation.comparison import LEGEND, short_rows, table_rows
    from ir_vis_fusion.evaluation.evaluate import evaluate
    from ir_vis_fusion.evaluation.image_sets import list_pairs

    device = select_device(options.device)
    pairs = list_pairs(options.thermal, options.visible, options.list)
    prepare_files(options)
    prepare_table(options, 'evaluate')
    methods = make_methods(options, pairs)
    results = evaluate(pairs, methods, options.stretch, device)
    results['configuration'] |= provenance(options)
    print(format_table(table_rows(results['methods'])))
    print(f'\nmeans over {len(pairs)} pair(s); {LEGEND}')

    def draw_page() -> str:
        from ir_vis_fusion.evaluation.quality_report import quality_report

        return quality_report(results, pairs, methods)

    write_files(options, results, draw_page)
    write_table(options, 'evaluate', short_rows(results['methods']))
    return 0
