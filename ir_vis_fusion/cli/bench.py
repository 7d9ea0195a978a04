"""``ivf bench``: what a frame costs on this machine."""

import argparse
import json
from pathlib import Path
from typing import Any

from ir_vis_fusion.cli.options import add_clip_options, clip_settings, missing_ros
from ir_vis_fusion.cli.table import format_table
from ir_vis_fusion.config import GuidanceSettings, PredictorSettings
from ir_vis_fusion.errors import ConfigError, EvaluationError

SIZES = ('640x480', '1280x1024')
RATES = (30.0, 60.0)


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        'bench',
        help='time every stage of the path, the network alone and the node',
        description='Times the code that the node runs, from two images in memory to a colour '
        'image in memory, beside the least that any fusion has to do and what the machine could '
        'do at most. Nothing else should run meanwhile.',
    )
    parser.add_argument(
        '--size', nargs='+', default=SIZES, metavar='WxH', help=f'default: {" ".join(SIZES)}'
    )
    parser.add_argument(
        '--model',
        nargs='+',
        default=['student'],
        metavar='MODEL',
        help='shipped names or .safetensors checkpoints; all: everything that ships',
    )
    parser.add_argument(
        '--backend',
        nargs='+',
        choices=('torch', 'onnxruntime', 'tensorrt'),
        default=['torch'],
        help='models are exported for the other two (default: torch)',
    )
    parser.add_argument('--precision', choices=('fp32', 'fp16'), default='fp32', help='of exports')
    parser.add_argument('--frames', type=int, default=200, help='default: %(default)s')
    parser.add_argument(
        '--seconds', type=float, default=20.0, help='most time for each row (default: %(default)s)'
    )
    parser.add_argument('--warm-up', type=int, default=20, help='frames (default: %(default)s)')
    parser.add_argument(
        '--guidance-every',
        type=int,
        default=0,
        metavar='FRAMES',
        help='CLIP looks at the scene in the time of so many frames, in its own thread; needs '
        '--pretrained or --clip-file (default: without CLIP)',
    )
    add_clip_options(parser)
    node = parser.add_argument_group('node', 'through real DDS, with rclpy and rosbags')
    node.add_argument(
        '--node', action='store_true', help='measure the node too, at the first size'
    )
    node.add_argument('--rate', nargs='+', type=float, default=RATES, metavar='HZ')
    node.add_argument('--node-seconds', type=float, default=20.0, metavar='SECONDS')
    parser.add_argument('--json', type=Path, metavar='FILE', help='file for all results')
    parser.add_argument('--plot', type=Path, metavar='FILE', help='.png or .svg of the stages')
    parser.add_argument(
        '--markdown',
        type=Path,
        metavar='FILE',
        help='Markdown file in which the tables are put between <!-- bench --> and '
        '<!-- /bench -->',
    )
    parser.add_argument(
        '--from-json', type=Path, metavar='FILE', help='take results from there, measure nothing'
    )
    return parser


def run(options: argparse.Namespace) -> int:
    """Measure, print the tables and write what was asked for."""
    from ir_vis_fusion.benchmark import report
    from ir_vis_fusion.evaluation.markdown import around, write_between

    if options.markdown:
        # Fails before the minutes of measuring rather than after them.
        around(options.markdown, 'bench')
    bench = _read(options.from_json) if options.from_json else _measure(options)
    if options.json and not options.from_json:
        _write(options.json, json.dumps(bench, indent=1, allow_nan=False) + '\n')
    tables = (
        report.rows_of(bench['results']),
        report.stage_rows(bench['results']),
        report.scaling_rows(bench.get('scaling', [])),
        report.node_rows(bench.get('node', [])),
    )
    print('\n\n'.join(format_table(rows) for rows in tables if rows))
    if options.plot:
        report.plot(bench, options.plot)
    if options.markdown:
        write_between(options.markdown, 'bench', report.markdown(bench))
    return 0


def parse_size(text: str) -> tuple[int, int]:
    """Turn ``640x480`` into (height, width)."""
    sides = text.split('x')
    if len(sides) != 2 or not all(side.isdecimal() and int(side) >= 32 for side in sides):
        raise ConfigError(f'--size must be WIDTHxHEIGHT, each 32 or more, got {text!r}')
    return int(sides[1]), int(sides[0])


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    from ir_vis_fusion.benchmark.bench import BenchSettings, run_bench
    from ir_vis_fusion.benchmark.path import Effort
    from ir_vis_fusion.checkpoint import shipped

    clip = clip_settings(options)
    if options.guidance_every and not clip.has_weights:
        raise ConfigError(
            '--guidance-every needs the weights of a CLIP: --pretrained, --clip-file'
        )
    models = [path.stem for path in shipped()] if options.model == ['all'] else options.model
    base = PredictorSettings(device=options.device, guidance=GuidanceSettings(clip=clip))
    sizes = [parse_size(text) for text in options.size]
    bench = run_bench(
        BenchSettings(
            models,
            sizes,
            options.backend,
            base,
            Effort(options.frames, options.seconds, options.warm_up),
            options.precision,
            options.guidance_every,
        )
    )
    if options.node:
        bench['node'] = _measure_node(options, sizes[0], models[0])
    return bench


def _measure_node(
    options: argparse.Namespace, size: tuple[int, int], model: str
) -> list[dict[str, Any]]:
    try:
        from ir_vis_fusion.node.bench import measure_node
    except ModuleNotFoundError as error:
        raise missing_ros(error) from None
    parameters = {'model': model, 'device': options.device}
    return [
        {'model': model} | measure_node(rate, options.node_seconds, size, parameters)
        for rate in options.rate
    ]


def _read(path: Path) -> dict[str, Any]:
    try:
        bench = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise EvaluationError(f'{str(path)!r}: cannot be read: {error.strerror}') from None
    except ValueError as error:
        raise EvaluationError(f'{str(path)!r}: not JSON: {error}') from None
    if not isinstance(bench, dict) or not {'metadata', 'results'} <= bench.keys():
        raise EvaluationError(f'{str(path)!r}: not results of `ivf bench`')
    return bench


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding='utf-8')
    except OSError as error:
        raise EvaluationError(f'{str(path)!r}: cannot be written: {error.strerror}') from None
