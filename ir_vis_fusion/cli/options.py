"""Options that several commands share."""

import argparse

from ir_vis_fusion.config import ClipSettings


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--model`` and ``--device``."""
    parser.add_argument(
        '--model',
        default='student',
        help='name of a shipped model (see `ivf models`) or path of a .safetensors checkpoint',
    )
    _add_device_option(parser)


def add_clip_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--clip``, ``--pretrained`` or ``--clip-file``, and ``--device``."""
    parser.add_argument(
        '--clip',
        default=ClipSettings.name,
        metavar='NAME',
        help="open_clip's name of the model (default: %(default)s)",
    )
    weights = parser.add_mutually_exclusive_group()
    weights.add_argument(
        '--pretrained', default='', metavar='TAG', help="open_clip's tag of its weights (openai)"
    )
    weights.add_argument(
        '--clip-file', default='', metavar='FILE', help='.safetensors file with its weights'
    )
    _add_device_option(parser)


def clip_settings(options: argparse.Namespace) -> ClipSettings:
    """Return what the options of :func:`add_clip_options` mean."""
    return ClipSettings(options.clip, options.pretrained, options.clip_file)


def _add_device_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        '--device', default='auto', help='auto (CUDA where it is), cpu, cuda or cuda:N'
    )
