"""Pairs and methods as options: what `ivf evaluate` and `ivf detect-eval` share."""

import argparse
from collections.abc import Callable, Iterator, Sequence
import json
import os
from pathlib import Path
import shlex
import sys
from typing import Any

from ir_vis_fusion.cli.options import (
    add_predictor_options,
    frame_settings,
    predictor_settings,
)
from ir_vis_fusion.errors import EvaluationError


def add_method_options(parser: argparse.ArgumentParser, required_json: bool) -> None:
    """Add pairs, methods and files; the parser must resolve conflicts of options."""
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
    # --model stands for several here.
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
        help='where the models leave a folder of fused images each (default: beside the JSON or '
        'HTML file, as FILE_fused); the next run of the same configuration takes them up again',
    )
    parser.add_argument(
        '--overwrite', action='store_true', help='delete images there of another configuration'
    )
    parser.add_argument(
        '--json',
        type=Path,
        required=required_json,
        metavar='FILE',
        help='file for all results',
    )
    parser.add_argument(
        '--html', type=Path, metavar='FILE', help='one self-contained page with all results'
    )
    parser.add_argument(
        '--markdown',
        type=Path,
        metavar='FILE',
        help='Markdown file in which a table is put between <!-- COMMAND --> and '
        '<!-- /COMMAND -->',
    )


def prepare_files(options: argparse.Namespace) -> None:
    """Fail before the work rather than after it."""
    for file in (options.json, options.html):
        if file is None:
            continue
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise EvaluationError(f'{str(file.parent)!r}: no folder: {error.strerror}') from None
        if file.is_dir():
            raise EvaluationError(f'{str(file)!r}: is a folder, expected a file')
    if options.html:
        from ir_vis_fusion.evaluation.report import require_matplotlib

        require_matplotlib()


def prepare_table(options: argparse.Namespace, name: str) -> None:
    """Fail before the work where the table of this name has no place in a Markdown file."""
    if options.markdown:
        from ir_vis_fusion.evaluation.markdown import around

        around(options.markdown, name)


def make_methods(options: argparse.Namespace, pairs: Any) -> dict[str, Any]:
    """Return the trivial ways, the folders and, after they have fused, the models, by name."""
    from ir_vis_fusion.evaluation.methods import folder_method, model_method, trivial_methods

    methods = trivial_methods()
    for name, folder in named(options.fused, methods):
        methods[name] = folder_method(Path(folder), pairs)
    models = dict(named(options.model, methods))
    base = _images_folder(options) if models else None
    for name, model in models.items():
        one = argparse.Namespace(**(vars(options) | {'model': model}))
        methods[name] = model_method(
            predictor_settings(one), frame_settings(one), pairs, base / name, options.overwrite
        )
    return methods


def provenance(options: argparse.Namespace) -> dict[str, str]:
    """Return what was asked for, for the results."""
    return {
        'command': shlex.join(['ivf', *sys.argv[1:]]),
        'thermal': str(options.thermal),
        'visible': str(options.visible),
        'list': str(options.list or ''),
    }


def write_files(
    options: argparse.Namespace, results: dict[str, Any], draw_page: Callable[[], str]
) -> None:
    """Write what was asked for and say where it is; the figures first."""
    if options.json:
        _write(options.json, json.dumps(results, indent=1, allow_nan=False) + '\n')
        print(f'all results in {options.json}')
    if options.html:
        _write(options.html, draw_page())
        print(f'report in {options.html}')


def write_table(options: argparse.Namespace, name: str, rows: Sequence[Sequence[str]]) -> None:
    """Put the table of this name into a Markdown file, if that was asked for."""
    if options.markdown:
        from ir_vis_fusion.evaluation.comparison import without_marks
        from ir_vis_fusion.evaluation.markdown import markdown_table, write_between

        write_between(options.markdown, name, markdown_table(without_marks(rows)))
        print(f'table in {options.markdown}')


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding='utf-8')
    except OSError as error:
        raise EvaluationError(f'{str(file)!r}: cannot be written: {error.strerror}') from None


def _images_folder(options: argparse.Namespace) -> Path:
    file = options.json or options.html
    if options.out is None and file is None:
        raise EvaluationError('--model needs --out, --json or --html: a place for fused images')
    return options.out or file.with_name(f'{file.stem}_fused')


def named(arguments: list[str], taken: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield (name, value) of each NAME=VALUE; without a name it is that of the folder or file."""
    seen = set(taken)
    for argument in arguments:
        name, given, value = argument.partition('=')
        # An = deeper in a path belongs to the path.
        if not given or not name or Path(name).name != name:
            name = Path(os.path.abspath(argument)).name.removesuffix('.safetensors')
            value = argument
        if name in seen:
            raise EvaluationError(
                f'{argument!r}: the name {name!r} is taken; give another: NAME={value}'
            )
        seen.add(name)
        yield name, value
