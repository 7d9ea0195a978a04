"""``ivf replay``: bags through the fusion, offline."""

import argparse
import os
from pathlib import Path
from typing import Any

from ir_vis_fusion.cli.methods import prepare_files, write_files
from ir_vis_fusion.cli.options import (
    add_predictor_options,
    count,
    frame_settings,
    predictor_settings,
)
from ir_vis_fusion.cli.table import format_table
from ir_vis_fusion.config import flatten, nested_to_dotted, parameter_table, read_yaml, unflatten
from ir_vis_fusion.errors import EvaluationError


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        'replay',
        help='fuse every pair of a bag, without ROS, and measure it',
        description='Reads rosbag2 (MCAP or sqlite3) and ROS 1 bags, compressed images too. '
        'Pairs and images are those of the node, but none is dropped and the same bag gives '
        'the same images. A folder of bags is worked through, and what is finished is skipped.',
    )
    parser.add_argument('bag', type=Path, metavar='BAG', help='bag, or folder of bags')
    parser.add_argument(
        '--out',
        type=Path,
        help='.mcap file for the fused topic; for a folder of bags a folder, with a .mcap and a '
        '.json (and .html) file each',
    )
    parser.add_argument('--json', type=Path, metavar='FILE', help='file for all results')
    parser.add_argument('--html', type=Path, metavar='FILE', help='self-contained report')
    parser.add_argument(
        '--recorded',
        type=Path,
        metavar='FUSED',
        help='bag with what a node fused of BAG while it was played with its own stamps: that '
        'is measured, and nothing is fused',
    )
    _add_topics(parser)
    _add_many(parser)
    add_predictor_options(parser)
    parser.add_argument(
        '--param',
        nargs='+',
        action='extend',
        default=[],
        metavar='NAME=VALUE',
        help='parameters of the node: sync.*, thermal.*, strength, output_encoding, ...; '
        'sync.mode is chosen by the rates of the cameras otherwise',
    )
    parser.add_argument(
        '--params-file', type=Path, metavar='YAML', help="the node's parameter file, for the same"
    )
    return parser


def _add_topics(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('topics')
    group.add_argument('--thermal-topic', help='guessed from types and names otherwise')
    group.add_argument('--visible-topic', help='guessed from types and names otherwise')
    group.add_argument('--fused-topic', default='/fused/image', help='default: %(default)s')
    group.add_argument(
        '--all-topics', action='store_true', help='copy all other topics into FUSED too'
    )


def _add_many(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('many bags')
    group.add_argument(
        '--workers', type=count, metavar='N', help='bags at a time (default: half the cores)'
    )
    group.add_argument(
        '--ray',
        nargs='?',
        const='auto',
        metavar='ADDRESS',
        help='on a Ray cluster (default: the one that runs here); needs paths that all machines '
        'see',
    )


def run(options: argparse.Namespace) -> int:
    """Replay; returns 1 where one of several bags failed."""
    try:
        from ir_vis_fusion.evaluation.replay_many import find_bags
    except ModuleNotFoundError as error:
        raise EvaluationError(
            f"{error.name} is missing: pip install 'ir_vis_fusion[bags]'"
        ) from None
    prepare_files(options)
    bags = find_bags(options.bag, options.out)
    if bags == [options.bag]:
        _replay_one(options)
        return 0
    return _replay_many(options, bags)


def _replay_one(options: argparse.Namespace) -> None:
    from ir_vis_fusion.evaluation.replay import replay
    from ir_vis_fusion.evaluation.replay_recorded import measure_recording
    from ir_vis_fusion.evaluation.replay_report import facts, replay_page

    if (options.out is None) == (options.recorded is None):
        raise EvaluationError('give --out FUSED.mcap, or --recorded FUSED to measure what was')
    settings, topics = _settings(options), _topics(options)
    if options.recorded:
        done = measure_recording(options.bag, options.recorded, settings, topics)
    else:
        done = replay(options.bag, options.out, settings, topics, options.all_topics)
    print('\n'.join(f'{name + ":":<14}{text}' for name, text in facts(done.report).items()))
    moments = done.measurements.moments()
    write_files(options, done.report, lambda: replay_page(done.report, moments))


def _replay_many(options: argparse.Namespace, bags: list[Path]) -> int:
    from ir_vis_fusion.evaluation.replay_many import bag_name, Job, replay_bags, table_rows
    from ir_vis_fusion.evaluation.replay_report import bags_page

    if options.out is None or options.recorded:
        raise EvaluationError(f'{str(options.bag)!r} holds {len(bags)} bags; give --out FOLDER')
    settings, topics, html = _settings(options), _topics(options), options.html is not None
    jobs = [
        Job(bag, options.out / f'{bag_name(bag)}.mcap', settings, topics, options.all_topics, html)
        for bag in bags
    ]
    reports = replay_bags(jobs, options.workers, options.ray)
    rows = table_rows(reports)
    print(format_table(rows))

    def draw_page() -> str:
        pages = {
            bag_name(job.bag): os.path.relpath(job.out.with_suffix('.html'), options.html.parent)
            for job in jobs
            if 'error' not in reports[bag_name(job.bag)]
        }
        return bags_page(f'Replays of {options.bag}', rows, pages)

    write_files(options, {'bags': reports}, draw_page)
    return int(any('error' in report for report in reports.values()))


def _topics(options: argparse.Namespace) -> Any:
    from ir_vis_fusion.evaluation.replay import ReplayTopics

    return ReplayTopics(options.thermal_topic, options.visible_topic, options.fused_topic)


def _settings(options: argparse.Namespace) -> Any:
    """Merge options, parameter file and single parameters; the later of them win."""
    from ir_vis_fusion.evaluation.replay import ReplaySettings
    import yaml

    given = _of_file(options.params_file) if options.params_file else {}
    for assignment in options.param:
        name, assigned, text = assignment.partition('=')
        if not assigned:
            raise EvaluationError(f'--param {assignment!r}: expected NAME=VALUE')
        given[name] = yaml.safe_load(text) if text else ''
    # A recording was made by a node, which guesses nothing.
    given['guess_mode'] = 'sync.mode' not in given and not options.recorded
    chosen = flatten(predictor_settings(options)) | flatten(frame_settings(options))
    return unflatten(ReplaySettings, chosen | given, '--param')


def _of_file(path: Path) -> dict[str, Any]:
    """Return what a parameter file has for fusion_node, without what is for the node alone."""
    from ir_vis_fusion.evaluation.replay import ReplaySettings
    from ir_vis_fusion.node.parameters import NodeSettings

    values = {}
    for node, content in read_yaml(path).items():
        if node.rpartition('/')[2] in ('**', 'fusion_node') and isinstance(content, dict):
            values |= nested_to_dotted(content.get('ros__parameters') or {})
    ours, nodes = (
        {row.name for row in parameter_table(settings)}
        for settings in (ReplaySettings, NodeSettings)
    )
    alone = (nodes - ours) | {'use_sim_time'}
    return {name: value for name, value in values.items() if name not in alone}
