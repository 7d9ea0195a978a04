"""Results as text, as Markdown and as a plot."""

from collections.abc import Mapping, Sequence
import math
from pathlib import Path
from typing import Any

from ir_vis_fusion.benchmark.bench import FLAT
from ir_vis_fusion.benchmark.path import STAGES
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.markdown import markdown_table
from ir_vis_fusion.evaluation.report import COLORS, GREYS, require_matplotlib

_HEAD = (
    'model', 'back-end', 'size', 'whole path p50', 'p95', 'p99', 'network alone p50', 'frames/s',
    '× floor', 'GMAC', 'share of roofline', 'peak MB',
)  # fmt: skip
# Less is what a desktop has while nothing runs.
_IDLE = 0.7
_NODE_HEAD = ('rate', 'size', 'pairs published', 'p50', 'p95', 'p99', 'CPU of one core')


def rows_of(results: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return the heading and a row of text for each result."""
    rows: list[tuple[str, ...]] = [_HEAD]
    for one in results:
        total = one['total']
        memory = one['peak_memory_mb']
        rows.append(
            (
                one['model'] + (f', CLIP every {e}' if (e := one['guidance_every']) else ''),
                one['backend'],
                one['size'],
                *(_ms(total[name]) for name in ('p50_ms', 'p95_ms', 'p99_ms')),
                _ms(one['network']['p50_ms']),
                f'{one["frames_per_s"]:.4g}',
                f'{one["ratio_to_floor"]:.4g}',
                f'{one["macs"] / 1e9:.2f}',
                f'{100 * one["share_of_roofline"]:.0f} %',
                '-' if memory is None else f'{memory:.0f}',
            )
        )
    return rows


def stage_rows(results: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return the median of each stage of each result."""
    there = [name for name in STAGES if any(name in one['stages'] for one in results)]
    rows: list[tuple[str, ...]] = [('model', 'back-end', 'size', *there)]
    for one in results:
        medians = (one['stages'].get(name, {}).get('p50_ms') for name in there)
        cells = ('-' if value is None else f'{value:.2f}' for value in medians)
        rows.append((one['model'], one['backend'], one['size'], *cells))
    return rows


def scaling_rows(scaling: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return the cost of a pixel at each size, in nanoseconds; empty with a single size."""
    if not scaling:
        return []
    found = {size for one in scaling for size in one['ns_per_pixel']}
    sizes = sorted(found, key=lambda size: math.prod(map(int, size.split('x'))))
    rows: list[tuple[str, ...]] = [
        ('model', 'back-end', *(f'{s} [ns]' for s in sizes), 'spread', 'fixed [ms]')
    ]
    for one in scaling:
        costs = (one['ns_per_pixel'].get(size) for size in sizes)
        cells = ('-' if value is None else f'{value:.1f}' for value in costs)
        note = '' if one['spread'] <= FLAT else f' (more than {100 * FLAT:.0f} %)'
        spread = f'{100 * one["spread"]:.0f} %{note}'
        rows.append((one['model'], one['backend'], *cells, spread, f'{one["fixed_ms"]:.2f}'))
    return rows


def node_rows(node: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """Return what was measured through the node; empty where nothing was."""
    if not node:
        return []
    rows: list[tuple[str, ...]] = [_NODE_HEAD]
    for one in node:
        latency = one['latency']
        rows.append(
            (
                f'{one["rate_hz"]:g} Hz',
                one['size'],
                f'{one["published"]} of {one["pairs"]}',
                *(_ms(latency[name]) for name in ('p50_ms', 'p95_ms', 'p99_ms')),
                f'{one["cpu_percent"]:.0f} %',
            )
        )
    return rows


def markdown(bench: Mapping[str, Any]) -> str:
    """Return all tables with what they were measured on."""
    facts = bench['metadata']
    where = facts['gpu'] or f'{facts["cores"]} cores of {facts["cpu"]}'
    roof = facts['roofline']
    rates = ', '.join(f'{rate:g} GMAC/s in {name}' for name, rate in roof['gmac_per_s'].items())
    parts = [
        f'On {where}, torch {facts["torch"]}, {facts["torch_threads"]} threads, '
        f'{facts["date"][:10]}; the machine copies {roof["copy_gb_per_s"]:g} GB/s and multiplies '
        f'matrices at {rates}. Milliseconds.{_busy(facts)}',
        markdown_table(rows_of(bench['results'])),
        'Stages, medians:',
        markdown_table(stage_rows(bench['results'])),
    ]
    if scaling := scaling_rows(bench.get('scaling', ())):
        parts += ['Cost of a pixel of the whole path:', markdown_table(scaling)]
    if node := node_rows(bench.get('node', ())):
        parts += ['Through the node, from the visible stamp to the fused image at a subscriber:']
        parts += [markdown_table(node)]
    if facts['gpu'] is None:
        parts.append('Not measured, for want of the device: CUDA, TensorRT.')
    return '\n\n'.join(parts)


def plot(bench: Mapping[str, Any], path: Path) -> None:
    """Draw the stages of each result as stacked bars; the suffix says what is written."""
    require_matplotlib()
    from matplotlib.figure import Figure

    results = bench['results']
    figure = Figure(figsize=(8, 1.5 + 0.35 * len(results)), layout='constrained')
    axes = figure.subplots()
    names = [f'{one["model"]}, {one["backend"]}, {one["size"]}' for one in results]
    left = [0.0] * len(results)
    for name, color in zip(STAGES, (*COLORS, GREYS[0]), strict=True):
        widths = [one['stages'].get(name, {}).get('p50_ms', 0.0) for one in results]
        axes.barh(names, widths, left=left, label=name, color=color)
        left = [start + width for start, width in zip(left, widths, strict=True)]
    floors = [one['floor']['p50_ms'] for one in results]
    axes.plot(floors, names, '|', color='black', markersize=14, label='floor')
    axes.invert_yaxis()
    axes.set_xlabel('milliseconds a frame (medians of the stages)')
    axes.legend(ncols=3, fontsize='small')
    try:
        figure.savefig(path)
    except (OSError, ValueError) as error:
        raise EvaluationError(f'{str(path)!r}: cannot be drawn: {error}') from None


def _busy(facts: Mapping[str, Any]) -> str:
    """Say so where others used the machine, for they are in the figures."""
    load = (facts['load_before'] or [0.0])[0]
    if load < _IDLE:
        return ''
    return f' Others used the machine meanwhile: load average {load:.1f} at the start.'


def _ms(value: float) -> str:
    return f'{value:.1f}' if value >= 100 else f'{value:.2f}'
