"""The rooms import only rooms before them, and each foreign library has one owner."""

import ast
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / 'ir_vis_fusion'

# In the order of one frame's way; a room may import the rooms that stand before it.
ROOMS = [
    'types',
    'errors',
    'files',
    'config',
    'runtime',
    'worker',
    'synchronization',
    'preprocessing',
    'models',
    'guidance',
    'checkpoint',
    'backends',
    'predictor',
    'metrics',
    'evaluation',
    'calibration',
    'benchmark',
    'node',
    'cli',
]
ROS = {
    'builtin_interfaces',
    'cv_bridge',
    'diagnostic_msgs',
    'launch',
    'launch_ros',
    'lifecycle_msgs',
    'rcl_interfaces',
    'rclpy',
    'rosgraph_msgs',
    'sensor_msgs',
    'sensor_msgs_py',
    'std_msgs',
    'std_srvs',
    'tf2_msgs',
}
OWNERS = {
    'cv2': ('ir_vis_fusion/preprocessing/', 'ir_vis_fusion/calibration/targets.py'),
    'rosbags': ('ir_vis_fusion/evaluation/bags.py', 'ir_vis_fusion/evaluation/cdr.py'),
    'av': 'ir_vis_fusion/evaluation/videos.py',
    'PIL': 'ir_vis_fusion/evaluation/contact_sheet.py',
    'open_clip': 'ir_vis_fusion/guidance/clip.py',
    'onnxruntime': 'ir_vis_fusion/backends/',
    'onnx': 'ir_vis_fusion/backends/onnx_export.py',
    'triton': ('ir_vis_fusion/preprocessing/kernels.py', 'ir_vis_fusion/backends/'),
    'tensorrt': 'ir_vis_fusion/backends/tensorrt_backend.py',
    'pycocotools': 'ir_vis_fusion/evaluation/detection.py',
    'matplotlib': (
        'ir_vis_fusion/evaluation/report.py',
        'ir_vis_fusion/evaluation/replay_report.py',
        'ir_vis_fusion/benchmark/report.py',
    ),
}
# Tensors in, tensors out.
TENSOR_ROOMS = ('ir_vis_fusion/models/', 'ir_vis_fusion/metrics/', 'training/losses/')
TENSOR_IMPORTS = {
    'torch',
    'math',
    'collections',
    'copy',
    'dataclasses',
    'typing',
    'difflib',
    'functools',
}


def imports_of(path: Path) -> set[str]:
    """Return the dotted names of all modules that a file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}: relative import'
            names |= {f'{node.module}.{alias.name}' for alias in node.names}
    return names


SOURCES = {
    path.relative_to(ROOT).as_posix(): imports_of(path)
    for folder in ('ir_vis_fusion', 'training', 'launch')
    for path in sorted((ROOT / folder).rglob('*.py'))
}


def top_level(names: set[str]) -> set[str]:
    return {name.split('.')[0] for name in names}


def test_the_walk_finds_the_sources() -> None:
    assert 'ir_vis_fusion/predictor.py' in SOURCES
    assert 'torch' in top_level(SOURCES['ir_vis_fusion/predictor.py'])


def test_rooms_import_only_rooms_before_them() -> None:
    faults = []
    for source, names in SOURCES.items():
        parts = Path(source).with_suffix('').parts
        if parts[0] != 'ir_vis_fusion' or parts[1] not in ROOMS:
            continue
        for name in names:
            target = name.split('.')
            if target[0] != 'ir_vis_fusion' or len(target) < 2 or target[1] not in ROOMS:
                continue
            if ROOMS.index(target[1]) > ROOMS.index(parts[1]):
                faults.append(f'{source} imports {name}')
    assert not faults


def test_only_the_node_and_launch_files_know_ros() -> None:
    faults = [
        f'{source} imports {sorted(top_level(names) & ROS)}'
        for source, names in SOURCES.items()
        if top_level(names) & ROS and not source.startswith(('ir_vis_fusion/node/', 'launch/'))
    ]
    assert not faults


@pytest.mark.parametrize('library', OWNERS)
def test_a_foreign_library_has_one_owner(library: str) -> None:
    users = {source for source, names in SOURCES.items() if library in top_level(names)}
    assert all(user.startswith(OWNERS[library]) for user in users), users


def test_networks_metrics_and_losses_know_tensors_only() -> None:
    faults = []
    for source, names in SOURCES.items():
        room = next((room for room in TENSOR_ROOMS if source.startswith(room)), None)
        if room is None:
            continue
        own = room.rstrip('/').replace('/', '.')
        allowed = (own, 'ir_vis_fusion.errors', 'ir_vis_fusion.metrics')
        for name in names:
            if name.split('.')[0] not in TENSOR_IMPORTS and not name.startswith(allowed):
                faults.append(f'{source} imports {name}')
    assert not faults


def test_nothing_that_is_installed_imports_training() -> None:
    users = {
        source
        for source, names in SOURCES.items()
        if 'training' in top_level(names) and not source.startswith('training/')
    }
    assert not users


def test_importing_the_package_loads_neither_torch_nor_rclpy() -> None:
    code = (
        'import sys, ir_vis_fusion, ir_vis_fusion.config, ir_vis_fusion.synchronization, '
        'ir_vis_fusion.cli.main; '
        'print(sorted({"torch", "rclpy", "cv2", "av", "rosbags"} & set(sys.modules)))'
    )
    result = subprocess.run(
        [sys.executable, '-W', 'error', '-c', code],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert result.stdout.strip() == '[]'
