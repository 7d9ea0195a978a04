"""``ivf export``: a network as a file that other libraries run."""

import argparse
from pathlib import Path
from typing import Any

from ir_vis_fusion.errors import BackendError

FORMATS = {'onnx': '.onnx', 'tensorrt': '.engine'}


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    parser = commands.add_parser(
        'export',
        help='write a model as ONNX or as an engine of TensorRT',
        description='The file takes frames of any size and is named by the same model setting as '
        'the checkpoint. An engine is built on the GPU that will run it.',
    )
    parser.add_argument('model', help='shipped name (see `ivf models`) or .safetensors checkpoint')
    parser.add_argument('--format', choices=sorted(FORMATS), default='onnx')
    parser.add_argument('--out', type=Path, required=True, metavar='FILE', help='file to write')
    parser.add_argument(
        '--precision',
        choices=('fp32', 'fp16'),
        default='fp32',
        help='fp16: convolutions and products in half precision (default: %(default)s)',
    )
    return parser


def run(options: argparse.Namespace) -> int:
    """Write the file and say so."""
    suffix = FORMATS[options.format]
    if options.out.suffix != suffix:
        raise BackendError(
            f'--out {str(options.out)!r} must end in {suffix}: the ending says what runs the file'
        )
    from ir_vis_fusion.backends.onnx_export import export_onnx, to_onnx
    from ir_vis_fusion.backends.tensorrt_backend import build_engine, require_tensorrt
    from ir_vis_fusion.checkpoint import resolve

    checkpoint = resolve(options.model)
    try:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        if options.format == 'onnx':
            export_onnx(checkpoint, options.out, options.precision)
        else:
            require_tensorrt()
            build_engine(*to_onnx(checkpoint, options.precision), options.out)
    except OSError as error:
        raise BackendError(f'{str(options.out)!r}: cannot be written: {error.strerror}') from None
    size = options.out.stat().st_size / 1e6
    print(f'{options.model} written to {options.out} ({size:.2f} MB, {options.precision})')
    return 0
