"""``ivf doctor``: one table of the environment, what is missing and how to get it."""

import argparse
from collections.abc import Callable
import importlib
from importlib.metadata import PackageNotFoundError, version
import os
import platform
import sys
from typing import Any

from ir_vis_fusion import __version__
from ir_vis_fusion.cli.table import format_table
from ir_vis_fusion.errors import FusionError

Row = tuple[str, str, str]

LEAST_TORCH = 'torch>=2.3'


def add_parser(commands: Any) -> argparse.ArgumentParser:
    """Add the command to the parser."""
    return commands.add_parser(
        'doctor', help='show what of the environment is there, and how to get what is missing'
    )


def run(options: argparse.Namespace) -> int:
    """Print the table; returns 1 where fusing images is not possible."""
    rows: list[Row] = [
        ('ir_vis_fusion', __version__, ''),
        ('python', f'{platform.python_version()} ({sys.executable})', ''),
        probe_module('numpy', 'pip install numpy'),
        probe_module('torch', f'pip install {LEAST_TORCH!r}', least=LEAST_TORCH),
        _device(),
        probe_module('cv2', 'pip install opencv-python-headless'),
        probe_module('safetensors', 'pip install safetensors'),
        probe_module('av', 'pip install av (videos only)'),
        _rclpy(),
        probe_module(
            'cv_bridge', 'optional: comes with a ROS 2 installation (ros-DISTRO-cv-bridge)'
        ),
        probe_module('launch_ros', 'optional: comes with a ROS 2 installation'),
        probe_module('rosbags', "pip install 'ir_vis_fusion[bags]'"),
        probe_module('matplotlib', "optional: pip install 'ir_vis_fusion[report]' (pages)"),
        probe_module('onnxruntime', "optional: pip install 'ir_vis_fusion[onnx]'"),
        probe_module('onnxscript', "optional: pip install 'ir_vis_fusion[export]'"),
        probe_module('tensorrt', 'optional: pip install tensorrt (NVIDIA GPUs)'),
        probe_module('pycocotools', "optional: pip install 'ir_vis_fusion[detect]'"),
        probe_module('open_clip', "optional: pip install 'ir_vis_fusion[clip]'"),
        *_weights(),
    ]
    print(format_table([('part', 'found', 'to do'), *rows]))
    needed = {'numpy', 'torch', 'cv2', 'safetensors', 'weights'}
    return int(any(part.split()[0] in needed and remedy for part, _, remedy in rows))


def probe_module(name: str, remedy: str, least: str = '') -> Row:
    """Import a module; say its version, that it is missing, broken or older than ``least``."""

    def look() -> str:
        found = _version(name, importlib.import_module(name))
        wanted = least.partition('>=')[2]
        if wanted and _numbers(found) < _numbers(wanted):
            raise ImportError(f'{found} is too old, {least} is needed')
        return found

    return _probe(name, look, remedy)


def _numbers(version_text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version_text.split('+')[0].split('.')[:2])


def _probe(part: str, look: Callable[[], str], remedy: str) -> Row:
    try:
        return part, look(), ''
    except ImportError as error:
        # A module that is there but cannot be imported has another cause than a missing one.
        missing = isinstance(error, ModuleNotFoundError) and error.name == part
        return part, 'missing' if missing else _broken(error), remedy
    except (AttributeError, OSError, RuntimeError) as error:
        return part, _broken(error), remedy


def _broken(error: Exception) -> str:
    # rclpy adds a paragraph of advice, which no cell holds.
    return f'broken: {str(error).partition(chr(10))[0]}'


def _version(name: str, module: Any) -> str:
    try:
        return str(getattr(module, '__version__', None) or version(name))
    except PackageNotFoundError:
        return 'yes'


def _device() -> Row:
    def look() -> str:
        import torch

        if torch.cuda.is_available():
            return torch.cuda.get_device_name()
        from ir_vis_fusion.backends.device import multiplies_bfloat16

        kind = 'bfloat16' if multiplies_bfloat16() else 'float32'
        return f'CPU, {torch.get_num_threads()} threads, student in {kind} (no CUDA device)'

    return _probe('device', look, 'see torch')


def _rclpy() -> Row:
    def look() -> str:
        rclpy = importlib.import_module('rclpy')
        distro = os.environ.get('ROS_DISTRO', 'no ROS_DISTRO, from wheels')
        return f'{distro}, {rclpy.get_rmw_implementation_identifier()}'

    return _probe('rclpy', look, "source a ROS 2 setup file, or pip install 'ir_vis_fusion[ros]'")


def _weights() -> list[Row]:
    try:
        from ir_vis_fusion.checkpoint import load_checkpoint, shipped
    except ImportError as error:
        return [('weights', f'not readable: {error}', 'install what is missing above')]
    rows: list[Row] = []
    for path in shipped():
        try:
            rows.append((f'weights {path.stem}', f'sha256 {load_checkpoint(path).sha256}', ''))
        except FusionError as error:
            rows.append((f'weights {path.stem}', str(error), 'install the package again'))
    return rows or [('weights', 'missing', 'install the package again')]
