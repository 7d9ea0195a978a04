"""
Pages that hold all they show: plots, pictures and script.

matplotlib, which only this module and replay_report.py know, is imported when a plot is drawn.
Plots become SVG inside the page, pictures WebP.
"""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
import io
import json
from pathlib import Path
from typing import Any

from ir_vis_fusion import __version__
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.comparison import BEATEN, BEST, SECOND
from ir_vis_fusion.preprocessing.encodings import encode_webp
import numpy as np
import torch
from torch.nn import functional

# A page of 700 pictures of this kind has 8 to 20 MB.
MOST_PICTURES = 700
PICTURE_WIDTH = 640
QUALITY = 65

MARKS = {BEST: 'best', SECOND: 'second', BEATEN: 'beaten', '': ''}
# Okabe and Ito's colours, which most colour-blind people tell apart.
COLORS = ('#d55e00', '#0072b2', '#009e73', '#cc79a7', '#e69f00', '#56b4e9', '#7a5195', '#b8a800')
GREYS = ('#444444', '#777777', '#9a9a9a', '#b4b4b4', '#cccccc')


@dataclass(frozen=True)
class Cell:
    """A figure as printed, a smaller note under it, and one of the marks of a comparison."""

    text: str
    note: str = ''
    mark: str = ''


def require_matplotlib() -> None:
    """Raise EvaluationError with the remedy where matplotlib is missing."""
    try:
        import matplotlib  # noqa: F401
    except ModuleNotFoundError:
        raise EvaluationError(
            "matplotlib is missing: pip install 'ir_vis_fusion[report]'"
        ) from None


def page(
    title: str, sections: Iterable[tuple[str, str]], data: Mapping[str, Any] | None = None
) -> str:
    """
    Return a whole HTML page.

    Parameters
    ----------
    title
        Plain text.
    sections
        Headings as plain text with their content as HTML.
    data
        What the script reads; the gallery needs it.

    """
    style, script = (_asset(f'report.{kind}') for kind in ('css', 'js'))
    content = '\n'.join(
        f'<section><h2>{escape(heading)}</h2>\n{body}</section>' for heading, body in sections
    )
    # Within a script element only this one sequence could end it.
    values = json.dumps(data or {}, allow_nan=False, separators=(',', ':')).replace('</', '<\\/')
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<title>{escape(title)}</title>\n<link rel="icon" href="data:,">\n'
        f'<style>\n{style}</style>\n</head>\n<body>\n'
        f'<header><h1>{escape(title)}</h1><p>ir_vis_fusion {escape(__version__)}</p></header>\n'
        f'<main>\n{content}\n</main>\n'
        f'<script type="application/json" id="data">{values}</script>\n'
        f'<script>\n{script}</script>\n</body>\n</html>\n'
    )


def table(
    headings: Sequence[tuple[str, str]], rows: Mapping[str, Sequence[Cell]], quiet: Iterable[str]
) -> str:
    """
    Return a table that a click on a heading sorts.

    Parameters
    ----------
    headings
        Of the columns after the first: text and explanation.
    rows
        By name.
    quiet
        Names of rows in grey.

    """
    quiet = set(quiet)
    head = ''.join(f'<th title="{escape(why)}">{escape(text)}</th>' for text, why in headings)
    body = []
    for name, cells in rows.items():
        columns = ''.join(
            f'<td class="{MARKS[cell.mark]}"><span>{escape(cell.text)}</span>'
            f'{f"<small>{escape(cell.note)}</small>" if cell.note else ""}</td>'
            for cell in cells
        )
        kind = ' class="quiet"' if name in quiet else ''
        body.append(f'<tr{kind}><th>{escape(name)}</th>{columns}</tr>')
    return (
        f'<div class="wide"><table class="figures"><thead><tr><th>method</th>{head}</tr></thead>\n'
        f'<tbody>\n{chr(10).join(body)}\n</tbody></table></div>\n'
    )


def configuration(values: Mapping[str, Any]) -> str:
    """Return nested values as text to unfold."""
    text = escape(json.dumps(values, indent=2, ensure_ascii=False))
    return f'<details open><summary>as in the JSON file</summary><pre>{text}</pre></details>\n'


def all_but(results: Mapping[str, Any], figures: Iterable[str]) -> dict[str, Any]:
    """Return results without the figures of each method: what was done, and with what."""
    methods = {
        name: {key: value for key, value in row.items() if key not in figures}
        for name, row in results['methods'].items()
    }
    return {'configuration': results['configuration'], 'methods': methods}


def picture(image: np.ndarray) -> str:
    """Return (H, W, 3) uint8 RGB as the address of a WebP, at most PICTURE_WIDTH wide."""
    height, width = image.shape[:2]
    if width > PICTURE_WIDTH:
        size = (max(1, round(height * PICTURE_WIDTH / width)), PICTURE_WIDTH)
        pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
        pixels = functional.interpolate(pixels, size, mode='bilinear', antialias=True)
        image = pixels[0].permute(1, 2, 0).round().clamp(0, 255).byte().numpy()
    return f'data:image/webp;base64,{base64.b64encode(encode_webp(image, QUALITY)).decode()}'


def colors(kinds: Mapping[str, str]) -> dict[str, str]:
    """Give each method a colour, greys to the trivial ones."""
    greys, others = iter(GREYS), 0
    chosen = {}
    for name, kind in kinds.items():
        if kind == 'trivial':
            chosen[name] = next(greys, GREYS[-1])
        else:
            chosen[name] = COLORS[others % len(COLORS)]
            others += 1
    return chosen


def parallel_coordinates(
    figures: Mapping[str, Mapping[str, float | None]],
    higher_is_better: Mapping[str, bool],
    kinds: Mapping[str, str],
) -> str:
    """Draw one line a method over one axis a metric, the best of each on top, as SVG."""
    names, axes_at = list(higher_is_better), range(len(higher_is_better))
    drawing, axes = _figure(1.0 + 0.78 * len(names), 4.6)
    palette = colors(kinds)
    scaled: dict[str, list[float]] = {method: [] for method in figures}
    for at, name in enumerate(names):
        values = {method: row[name] for method, row in figures.items()}
        known = [value for value in values.values() if value is not None]
        ends = (min(known), max(known)) if known else (0.0, 0.0)
        worst, best = ends if higher_is_better[name] else ends[::-1]
        for method, value in values.items():
            flat = value is None or best == worst
            scaled[method].append(np.nan if flat else (value - worst) / (best - worst))
        axes.axvline(at, color='#dddddd', linewidth=1, zorder=0)
        for y, end, side in ((1.03, best, 'bottom'), (-0.03, worst, 'top')):
            text = _short(end) if known else '-'
            axes.text(at, y, text, ha='center', va=side, fontsize=8, color='#555555')
    for method, line in scaled.items():
        trivial = kinds[method] == 'trivial'
        style = {'linestyle': '--', 'linewidth': 1} if trivial else {'linewidth': 2, 'zorder': 3}
        axes.plot(axes_at, line, marker='o', ms=3, color=palette[method], label=method, **style)
    axes.set_xticks(axes_at, names)
    axes.set_yticks([])
    axes.set_ylim(-0.12, 1.12)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    _legend_below(drawing, axes)
    return _svg(drawing)


def distributions(
    samples: Mapping[str, Mapping[str, Sequence[float]]], kinds: Mapping[str, str]
) -> str:
    """Draw a box plot a metric with a box a method, over the images, as SVG."""
    columns = 3 if len(samples) < 6 else 6
    rows = -(-len(samples) // columns)
    methods, palette = list(kinds), colors(kinds)
    height = 0.7 + 0.2 * len(methods)
    drawing, grid = _figure(2.3 * columns + 1, rows * height, rows, columns)
    for at, axes in enumerate(np.ravel(grid)):
        if at >= len(samples):
            axes.set_visible(False)
            continue
        name, values = list(samples.items())[at]
        boxes = axes.boxplot(
            [values[method] for method in methods],
            orientation='horizontal',
            widths=0.65,
            patch_artist=True,
            medianprops={'color': 'black'},
            flierprops={'marker': '.', 'markersize': 2, 'markeredgecolor': '#888888'},
        )
        for box, method in zip(boxes['boxes'], methods, strict=True):
            box.set(facecolor=palette[method], linewidth=0.6)
        axes.invert_yaxis()
        axes.set_yticks(range(1, len(methods) + 1), methods if at % columns == 0 else [])
        axes.set_title(name, fontsize=10)
        axes.tick_params(labelsize=8, length=2)
        axes.spines[['top', 'right']].set_visible(False)
    return _svg(drawing)


def bars(
    figures: Mapping[str, Mapping[str, float | None]],
    groups: Sequence[str],
    kinds: Mapping[str, str],
) -> str:
    """Draw groups of one bar a method, with their figures, as SVG."""
    palette, width = colors(kinds), 0.84 / len(figures)
    drawing, axes = _figure(max(7.0, 0.42 * len(figures) * len(groups) + 1.5), 3.6)
    for at, (method, row) in enumerate(figures.items()):
        places = [group + (at + 0.5) * width - 0.42 for group in range(len(groups))]
        heights = [row[group] or 0.0 for group in groups]
        drawn = axes.bar(places, heights, 0.92 * width, color=palette[method], label=method)
        labels = ['-' if row[group] is None else f'{row[group]:.2f}' for group in groups]
        axes.bar_label(drawn, labels, fontsize=7, padding=1)
    axes.set_xticks(range(len(groups)), groups)
    axes.spines[['top', 'right']].set_visible(False)
    axes.tick_params(labelsize=9, length=2)
    _legend_below(drawing, axes)
    return _svg(drawing)


def _short(value: float) -> str:
    return f'{value:.0f}' if abs(value) >= 100 else f'{value:.3g}'


def _figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Any, Any]:
    from matplotlib.figure import Figure

    # Without pyplot there is no state that a caller's own plots would share.
    drawing = Figure(figsize=(width, height), layout='constrained')
    return drawing, drawing.subplots(rows, columns)


def _legend_below(drawing: Any, axes: Any) -> None:
    drawing.legend(
        *axes.get_legend_handles_labels(),
        loc='outside lower center',
        ncols=6,
        frameon=False,
        fontsize=9,
    )


def _svg(drawing: Any) -> str:
    import matplotlib

    text = io.StringIO()
    with matplotlib.rc_context({'svg.fonttype': 'none', 'svg.hashsalt': 'ir_vis_fusion'}):
        drawing.savefig(text, format='svg', transparent=True, metadata=_NO_METADATA)
    # The declarations before it are those of a file by itself.
    svg = text.getvalue()
    return f'<div class="plot">{svg[svg.index("<svg") :]}</div>\n'


_NO_METADATA = dict.fromkeys(('Creator', 'Date', 'Format', 'Type'))


def _asset(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding='utf-8')
