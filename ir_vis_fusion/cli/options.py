"""Options that several commands share."""

import argparse


def add_model_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--model`` and ``--device``."""
    parser.add_argument(
        '--model',
        default='student',
        help='name of a shipped model (see `ivf models`) or path of a .safetensors checkpoint',
    )
    parser.add_argument(
        '--device', default='auto', help='auto (CUDA where it is), cpu, cuda or cuda:N'
    )
