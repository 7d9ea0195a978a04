"""``ivf``: what the package does, from a shell."""

import argparse
from collections.abc import Sequence
import sys

from ir_vis_fusion import __version__
from ir_vis_fusion.cli import (
    bench,
    calibrate,
    demo,
    describe,
    detect_eval,
    doctor,
    evaluate,
    export,
    fuse,
    models,
    play,
    prompts,
    replay,
    sample,
)
from ir_vis_fusion.errors import FusionError
from ir_vis_fusion.runtime import prepare_process

COMMANDS = (
    fuse,
    evaluate,
    detect_eval,
    replay,
    calibrate,
    play,
    demo,
    sample,
    models,
    bench,
    export,
    describe,
    prompts,
    doctor,
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every command."""
    parser = argparse.ArgumentParser(
        prog='ivf', description='Fuse thermal and visible images, folders, videos and bags.'
    )
    parser.add_argument('--version', action='version', version=f'ir_vis_fusion {__version__}')
    commands = parser.add_subparsers(metavar='COMMAND', required=True)
    for command in COMMANDS:
        command.add_parser(commands).set_defaults(run=command.run)
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, 1 for an error that was told, 130 for Ctrl-C."""
    options = build_parser().parse_args(arguments)
    prepare_process()
    try:
        return options.run(options)
    except FusionError as error:
        print(f'ivf: {error}', file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == '__main__':
    sys.exit(main())
