"""Models, sizes and back-ends, one after the other, and what they ran on."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
import os
from pathlib import Path
import platform
import tempfile
from typing import Any

from ir_vis_fusion import __version__
from ir_vis_fusion.backends import onnx_backend, tensorrt_backend
from ir_vis_fusion.backends.device import select_device
from ir_vis_fusion.backends.onnx_export import to_onnx
from ir_vis_fusion.benchmark.path import Effort, measure_path
from ir_vis_fusion.benchmark.roofline import measure_roofline
from ir_vis_fusion.checkpoint import resolve, SUFFIX
from ir_vis_fusion.config import PredictorSettings
from ir_vis_fusion.errors import EvaluationError
import numpy as np
import torch
from tqdm import tqdm

BACKENDS = ('torch', 'onnxruntime', 'tensorrt')
# Beyond it the cost of a pixel is not the same at every size.
FLAT = 0.15


@dataclass(frozen=True)
class BenchSettings:
    """What is measured; sizes are (height, width), ``base`` says all but the model."""

    models: Sequence[str]
    sizes: Sequence[tuple[int, int]]
    backends: Sequence[str] = ('torch',)
    base: PredictorSettings = field(default_factory=PredictorSettings)
    effort: Effort = field(default_factory=Effort)
    precision: str = 'fp32'
    guidance_every: int = 0


def run_bench(settings: BenchSettings) -> dict[str, Any]:
    """
    Measure everything and return it with its metadata.

    Raises
    ------
    FusionError
        Where a model, a device or a library is missing.

    """
    device = select_device(settings.base.device)
    roofline = measure_roofline(device)
    results = []
    with tempfile.TemporaryDirectory(prefix='ivf_bench_') as folder:
        for row in tqdm(list(_rows(settings)), 'measuring', unit=' rows', disable=None):
            model, backend, size = row
            file = _file(model, backend, settings.precision, Path(folder))
            one = replace(settings.base, model=str(file))
            result = measure_path(
                one, str(resolve(model)), size, settings.effort, roofline, settings.guidance_every
            )
            results.append({'model': Path(model).stem, 'backend': backend} | result)
    return {
        'metadata': metadata(device) | {'roofline': _told(roofline)},
        'results': results,
        'scaling': scaling(results),
    }


def scaling(results: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """
    Return the cost of a pixel by model and back-end, where several sizes were measured.

    ``spread`` is by how much the dearest size is above the cheapest one; ``fixed_ms`` is what a
    frame costs beside its pixels, by the line through the medians (least squares of the relative
    errors), ``marginal_ns`` the slope of that line.
    """
    rows: dict[tuple[str, str], dict[str, float]] = {}
    points: dict[tuple[str, str], list[tuple[int, float]]] = {}
    for one in results:
        width, height = map(int, one['size'].split('x'))
        key, taken_ms = (one['model'], one['backend']), one['total']['p50_ms']
        rows.setdefault(key, {})[one['size']] = round(1e6 * taken_ms / (width * height), 3)
        points.setdefault(key, []).append((width * height, taken_ms))
    lines = {key: _line(pairs) for key, pairs in points.items() if len(pairs) > 1}
    return [
        {
            'model': model,
            'backend': backend,
            'ns_per_pixel': costs,
            'spread': round(max(costs.values()) / min(costs.values()) - 1, 3),
            'fixed_ms': round(lines[model, backend][1], 3),
            'marginal_ns': round(1e6 * lines[model, backend][0], 3),
        }
        for (model, backend), costs in rows.items()
        if len(costs) > 1
    ]


def _line(points: Sequence[tuple[int, float]]) -> tuple[float, float]:
    """Return slope and offset of the line nearest to points, by relative errors."""
    pixels, taken_ms = np.array(points).T
    slope, offset = np.polyfit(pixels, taken_ms, 1, w=1 / taken_ms)
    return float(slope), float(offset)


def metadata(device: torch.device) -> dict[str, Any]:
    """Return what the figures belong to."""
    return {
        'version': __version__,
        'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        'cpu': _cpu(),
        'cores': len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else None,
        'gpu': torch.cuda.get_device_name(device) if device.type == 'cuda' else None,
        'torch': torch.__version__,
        'torch_threads': torch.get_num_threads(),
        'python': platform.python_version(),
        'system': platform.platform(),
        'load_before': list(os.getloadavg()) if hasattr(os, 'getloadavg') else None,
        # As every program of this package does; see runtime.py.
        'allocator': 'glibc, mmap threshold 32 MiB, trim threshold 512 MiB (prepare_process)',
        'omp_wait_policy': os.environ.get('OMP_WAIT_POLICY'),
        'gomp_spincount': os.environ.get('GOMP_SPINCOUNT'),
    }


def _rows(settings: BenchSettings) -> Iterator[tuple[str, str, tuple[int, int]]]:
    for model in settings.models:
        for backend in settings.backends:
            for size in settings.sizes:
                yield model, backend, size


def _file(model: str, backend: str, precision: str, folder: Path) -> Path:
    """Return the file of a model for a back-end; it is exported once."""
    path = resolve(model)
    if path.suffix != SUFFIX:
        raise EvaluationError(f'model {model!r}: give the checkpoint; --backend exports it')
    if backend == 'torch':
        return path
    suffix = {'onnxruntime': onnx_backend.SUFFIX, 'tensorrt': tensorrt_backend.SUFFIX}[backend]
    file = folder / f'{path.stem}{suffix}'
    if not file.exists():
        content, facts = to_onnx(path, precision)
        if backend == 'tensorrt':
            tensorrt_backend.build_engine(content, facts, file)
        else:
            file.write_bytes(content)
    return file


def _told(roofline: Any) -> dict[str, Any]:
    rates = {name: round(rate / 1e9, 1) for name, rate in roofline.macs_per_s.items()}
    return {'copy_gb_per_s': round(roofline.bytes_per_s / 1e9, 2), 'gmac_per_s': rates}


def _cpu() -> str:
    facts = Path('/proc/cpuinfo')
    if facts.is_file():
        for line in facts.read_text().splitlines():
            if line.startswith('model name'):
                return line.partition(':')[2].strip()
    return platform.processor() or platform.machine()
