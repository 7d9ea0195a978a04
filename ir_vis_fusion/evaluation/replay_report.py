"""A replay as one HTML page: figures, plots over time, contact sheet."""

import base64
from collections.abc import Mapping, Sequence
from html import escape
from io import BytesIO
from typing import Any
from urllib.parse import quote

from ir_vis_fusion.evaluation.contact_sheet import write_contact_sheet
from ir_vis_fusion.evaluation.replay_measures import METRICS, Moment
from ir_vis_fusion.evaluation.report import configuration, page
import numpy as np

_PANELS = (
    *((name, name) for name in METRICS),
    ('flicker', 'flicker [grey levels]'),
    ('offset_ms', 'thermal - visible stamp [ms]'),
    ('latency_ms', 'latency [ms]'),
)


def replay_page(report: Mapping[str, Any], moments: Sequence[Moment]) -> str:
    """Return a page that holds all it shows."""
    rows = '\n'.join(
        f'<tr><th>{escape(name)}</th><td style="text-align: left">{escape(text)}</td></tr>'
        for name, text in facts(report).items()
    )
    plots = _embedded(_plots(report), 'figures of all pairs')
    sheet = _embedded(_contact_sheet(moments), 'thermal, visible and fused images')
    hint = '<p class="hint">Grey: no live thermal image (FFC). Dashed: time starts over.</p>'
    sections = (
        ('Result', f'<div class="wide"><table>\n{rows}\n</table></div>'),
        ('Over time', f'{hint}\n{plots}'),
        ('Moments', sheet),
        ('Configuration', configuration(report['configuration'])),
    )
    return page(f'Replay of {report["bag"]}', sections)


def bags_page(title: str, rows: Sequence[Sequence[str]], pages: Mapping[str, str]) -> str:
    """Return a page with one row a bag, which leads to the page of that bag."""
    head = ''.join(f'<th>{escape(text)}</th>' for text in rows[0])
    lines = []
    for name, *cells in rows[1:]:
        columns = ''.join(f'<td>{escape(text)}</td>' for text in cells)
        text = escape(name)
        if name in pages:
            text = f'<a href="{escape(quote(pages[name]))}">{text}</a>'
        lines.append(f'<tr><th>{text}</th>{columns}</tr>')
    body = f'<thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody>'
    table = f'<div class="wide"><table class="figures">{body}</table></div>'
    return page(title, [('Bags', table)])


def facts(report: Mapping[str, Any]) -> dict[str, str]:
    """Put the figures of a report into words."""
    unmatched, counters = report['unmatched'], report['counters']
    failed = ', '.join(f'{count} {name}' for name, count in report['failed'].items())
    offline = report['configuration']['way'] == 'offline'
    found = {
        'thermal': report['topics']['thermal'],
        'visible': report['topics']['visible'],
        'fused': f'{report["topics"]["fused"]}, {"written" if offline else "recorded"}',
        'length': f'{report["duration_s"]:.1f} s',
        'pairs': f'{report["pairs"]} ({report["configuration"]["sync.mode"]}), of which '
        f'{report["fused"]} fused; failed: {failed or "none"}',
        'unmatched': f'{unmatched["thermal"]} thermal, {unmatched["visible"]} visible',
        'jumps': f'{counters["jumps"]}; {counters["out_of_order"]} images out of order',
        'offset': f'{_percentiles(report["offset_ms"])} (percentiles of its size)',
        'latency': _percentiles(report['latency_ms'])
        + (' (fusion alone)' if offline else ' (visible stamp to recording)'),
        'FFC': ', '.join(
            f'{x["state"]} {x["start_s"]:.1f}-{x["end_s"]:.1f} s' for x in report['ffc']
        )
        or 'none',
        'flicker': number(report['flicker'], 3),
        'stamp jitter': ', '.join(
            f'{role} {number(value, 2)} ms' for role, value in report['jitter_ms'].items()
        ),
        'metrics': ', '.join(f'{x} {number(y, 2)}' for x, y in report['metrics'].items()),
    }
    if 'missing' in report:
        found['missing'] = f'{report["missing"]} pairs have no fused image in the recording'
    return found


def number(value: float | None, digits: int) -> str:
    """Return a figure as text."""
    return 'undefined' if value is None else f'{value:.{digits}f}'


def _plots(report: Mapping[str, Any]) -> bytes:
    from matplotlib.figure import Figure

    columns = report['frames']
    times = np.array(columns['time_s'])
    restarts = times[1:][np.diff(columns['generation']) != 0]
    figure = Figure(figsize=(14, 1.7 * len(_PANELS)), layout='constrained')
    panels = figure.subplots(len(_PANELS), sharex=True)
    for axes, (name, label) in zip(panels, _PANELS, strict=True):
        values = np.array(columns[name], float)
        axes.plot(times, values, linewidth=1, color='#1f5fa8')
        axes.set_title(label, loc='left', fontsize=10)
        axes.grid(alpha=0.3)
        for event in report['ffc']:
            axes.axvspan(event['start_s'], event['end_s'], color='#000', alpha=0.12)
        for restart in restarts:
            axes.axvline(restart, color='#b03030', linestyle='--', linewidth=1)
    panels[-1].set_xlabel('time in the bag [s]')
    # As pixels, for SVG grows with the length of the bag.
    file = BytesIO()
    figure.savefig(file, format='png', dpi=100)
    return file.getvalue()


def _contact_sheet(moments: Sequence[Moment]) -> bytes:
    file = BytesIO()
    names = moments[0].images
    rows = {name: [moment.images[name] for moment in moments] for name in names}
    write_contact_sheet(file, rows, [f't = {moment.time_s:.1f} s' for moment in moments])
    return file.getvalue()


def _embedded(png: bytes, alternative: str) -> str:
    data = base64.b64encode(png).decode()
    return f'<img alt="{alternative}" style="width: 100%" src="data:image/png;base64,{data}">'


def _percentiles(values: Mapping[str, float | None]) -> str:
    return ', '.join(f'{x} {number(y, 1)} ms' for x, y in values.items()) or 'unknown'
