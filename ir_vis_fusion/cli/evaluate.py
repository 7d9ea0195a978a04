"""``ivf evaluate``: how good fusion is, on one's own pairs, beside others."""

import argparse
from collections.abc import Iterator
import json
from pathlib import Path
import shlex
import sys
from typing import Any

from ir_vis_fusion.cli.options import (
    add_predictor_options,
    frame_settings,
    predictor_settings,
)
from ir_vis_fusion.cli.table import format_table
from ir_vis_fusion.errors import EvaluationError


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        'evaluate',
        help='measure fused images and models on pairs, side by side',
        description='Measures EN, SD, SF, MI, VIF, Qabf and others for models and for folders '
        'of fused images, beside the trivial ways to fuse (one input alone, mean, maximum, '
        'Laplacian pyramid). What models fuse is saved and read back before it is measured.',
        # --model stands for several here.
        conflict_handler='resolve',
    )
    parser.add_argument('--thermal', type=Path, required=True, help='folder of images')
    parser.add_argument(
        '--visible', type=Path, required=True, help='folder of images of the same names'
    )
    parser.add_argument(
        '--list', type=Path, metavar='FILE', help='text file with the names to take, one a line'
    )
    parser.add_argument(
        '--fused',
        nargs='+',
        action='extend',
        default=[],
        metavar='[NAME=]DIR',
        help='folders of fused images of the same names, of whatever origin',
    )
    add_predictor_options(parser)
    parser.add_argument(
        '--model',
        nargs='+',
        action='extend',
        default=[],
        metavar='[NAME=]MODEL',
        help='names of shipped models (see `ivf models`) or paths of .safetensors checkpoints',
    )
    parser.add_argument(
        '--out',
        type=Path,
        metavar='DIR',
        help='where the models leave a folder of fused images each (default: beside the '
        'JSON file, as FILE_fused); the next run of the same configuration takes them up again',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='delete images there of another configuration'
    )
    parser.add_argument(
        '--stretch',
        action='store_true',
        help='stretch each fused image to 0-255 before it is measured, as some papers do',
    )
    parser.add_argument(
        '--json', type=Path, required=True, metavar='FILE', help='file for all results'
    )
    return parser


def run(options: argparse.Namespace) -> int:
    """Fuse, measure, print the table and write the results."""
    from ir_vis_fusion.evaluation.comparison import LEGEND, table_rows
    from ir_vis_fusion.evaluation.evaluate import (
        evaluate,
        folder_method,
        model_method,
        trivial_methods,
    )
    from ir_vis_fusion.evaluation.image_sets import list_pairs
    from ir_vis_fusion.predictor import select_device

    device = select_device(options.device)
    pairs = list_pairs(options.thermal, options.visible, options.list)
    methods = trivial_methods()
    for name, folder in _named(options.fused, methods):
        methods[name] = folder_method(Path(folder), pairs)
    models = dict(_named(options.model, methods))
    _make_parent(options.json)
    for name, model in models.items():
        one = argparse.Namespace(**(vars(options) | {'model': model}))
        folder = (options.out or options.json.with_name(f'{options.json.stem}_fused')) / name
        methods[name] = model_method(
            predictor_settings(one), frame_settings(one), pairs, folder, options.overwrite
        )
    results = evaluate(pairs, methods, options.stretch, device)
    results['configuration'] |= {
        'command': shlex.join(['ivf', *sys.argv[1:]]),
        'thermal': str(options.thermal),
        'visible': str(options.visible),
        'list': str(options.list or ''),
    }
    print(format_table(table_rows(results['methods'])))
    print(f'\nmeans over {len(pairs)} pair(s); {LEGEND}')
    _write(options.json, json.dumps(results, indent=1, allow_nan=False) + '\n')
    print(f'all results in {options.json}')
    return 0


def _named(arguments: list[str], taken: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Split NAME=VALUE; without a name it is that of the folder or file."""
    seen = set(taken)
    for argument in arguments:
        name, given, value = argument.partition('=')
        # An = deeper in a path belongs to the path.
        if not given or not name or Path(name).name != name:
            name, value = Path(argument).stem, argument
        if name in seen:
            raise EvaluationError(
                f'{argument!r}: the name {name!r} is taken; give another: NAME={value}'
            )
        seen.add(name)
        yield name, value


def _make_parent(file: Path) -> None:
    """Fail before the work rather than after it."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise EvaluationError(f'{str(file.parent)!r}: no folder: {error.strerror}') from None
    if file.is_dir():
        raise EvaluationError(f'{str(file)!r}: is a folder; --json takes a file')


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text)
    except OSError as error:
        raise EvaluationError(f'{str(file)!r}: cannot be written: {error.strerror}') from None
