"""The page of ``ivf detect-eval --html``."""

from collections.abc import Mapping
from typing import Any

from ir_vis_fusion.evaluation.detection import column, MEASURES
from ir_vis_fusion.evaluation.detectors import Detections
from ir_vis_fusion.evaluation.gallery import (
    evenly,
    gallery,
    gallery_data,
    most_pairs,
    shown,
    SOURCES,
)
from ir_vis_fusion.evaluation.image_sets import Pairs
from ir_vis_fusion.evaluation.methods import Method
from ir_vis_fusion.evaluation.report import all_but, bars, Cell, COLORS, configuration, page, table
import numpy as np

# Weaker ones, of which the precision needs many, are not drawn.
LEAST_SCORE = 0.1
HINT = """<p class="hint">Dashed white: labels; coloured: what was found in the picture that fills
more of the frame.</p>
"""
SCORE = """<label>score from
<input id="score" type="range" min="0.1" max="0.9" step="0.01" value="0.45">
<span id="score-text"></span></label>"""


def detection_report(
    results: Mapping[str, Any],
    pairs: Pairs,
    methods: Mapping[str, Method],
    labels: Mapping[str, np.ndarray],
    found: Mapping[str, Mapping[str, Detections]],
) -> str:
    """
    Return the page.

    Parameters
    ----------
    results, found
        What :func:`~ir_vis_fusion.evaluation.detection.evaluate_detection` returned.
    pairs, methods, labels
        What it was given.

    """
    facts, rows = results['configuration'], results['methods']
    kinds = {name: row['kind'] for name, row in rows.items()}
    groups = [*facts['classes'], 'mean']
    stems = evenly(list(pairs), most_pairs(methods))
    data = gallery_data(pairs, stems, methods)
    names = (*SOURCES, *shown(methods))
    data |= {
        'classes': facts['classes'],
        'palette': COLORS,
        'position': 2,
        'truth': {stem: _truth(labels[stem], *data['sizes'][stem]) for stem in stems},
        'boxes': {stem: {name: _drawn(found[name][stem]) for name in names} for stem in stems},
    }
    counts = ', '.join(f'{count} {name}' for name, count in facts['labels'].items())
    legend = (
        f'<p class="hint">{len(pairs)} pairs with {counts}. Green: best; underlined: second. '
        'A click on a heading sorts.</p>\n'
    )
    return page(
        f'Detection by {facts["detector"]} on {len(pairs)} pairs',
        [
            ('Average precision', legend + _table(rows, groups, kinds)),
            ('AP50', bars({name: row['AP50'] for name, row in rows.items()}, groups, kinds)),
            ('Pictures', HINT + gallery(len(stems), len(pairs), SCORE)),
            ('Configuration', configuration(all_but(results, MEASURES))),
        ],
        data,
    )


def _table(
    rows: Mapping[str, Mapping[str, Any]], groups: list[str], kinds: Mapping[str, str]
) -> str:
    headings = []
    cells: dict[str, list[Cell]] = {name: [] for name in rows}
    for measure in MEASURES:
        for group in groups:
            headings.append((f'{measure} {group}', 'higher is better'))
            for name, (text, mark) in zip(rows, column(rows, measure, group), strict=True):
                cells[name].append(Cell(text, '', mark))
    return table(headings, cells, [name for name in rows if kinds[name] == 'trivial'])


def _truth(boxes: np.ndarray, width: int, height: int) -> list[list[float]]:
    """Return class, left, top, width and height in pixels."""
    centre, size = boxes[:, 1:3] * (width, height), boxes[:, 3:5] * (width, height)
    return np.hstack([boxes[:, :1], centre - size / 2, size]).round(1).tolist()


def _drawn(found: Detections) -> list[list[float]]:
    found = found[found.scores >= LEAST_SCORE]
    left_top, right_bottom = found.boxes[:, :2], found.boxes[:, 2:]
    rows = zip(found.classes, left_top, right_bottom - left_top, found.scores, strict=True)
    return [
        [int(kind), *corner.round(1).tolist(), *size.round(1).tolist(), round(float(score), 3)]
        for kind, corner, size, score in rows
    ]
