"""The page of ``ivf evaluate --html``."""

from collections.abc import Mapping, Sequence
from typing import Any

from ir_vis_fusion.evaluation.comparison import column, printed
from ir_vis_fusion.evaluation.gallery import (
    evenly,
    gallery,
    gallery_data,
    METHOD_CHOICE,
    most_pairs,
    shown,
)
from ir_vis_fusion.evaluation.image_sets import Pairs
from ir_vis_fusion.evaluation.measures import MEASURES
from ir_vis_fusion.evaluation.methods import Method
from ir_vis_fusion.evaluation.report import (
    all_but,
    Cell,
    configuration,
    distributions,
    page,
    parallel_coordinates,
    table,
)

FIGURES = ('mean', 'median', 'ci95', 'per_image')
# By which worst and best cases are chosen at first.
METRIC = 'VIF'
CASES = f"""<div class="controls"><label>by <select id="metric"></select></label>{METHOD_CHOICE}
</div>
<h3>Worst</h3><div id="worst" class="cards"></div>
<h3>Best</h3><div id="best" class="cards"></div>
"""


def quality_report(results: Mapping[str, Any], pairs: Pairs, methods: Mapping[str, Method]) -> str:
    """
    Return the page.

    Parameters
    ----------
    results
        What :func:`~ir_vis_fusion.evaluation.evaluate.evaluate` returned.
    pairs, methods
        What it was given.

    """
    rows = results['methods']
    kinds = {name: row['kind'] for name, row in rows.items()}
    stems = pictured(rows, pairs, methods)
    samples = {
        metric: {
            name: [x[metric] for x in row['per_image'].values() if x[metric] is not None]
            for name, row in rows.items()
        }
        for metric in MEASURES
    }
    higher = {name: one.higher_is_better for name, one in MEASURES.items()}
    count = f'{len(pairs)} pair' + 's' * (len(pairs) != 1)
    data = gallery_data(pairs, stems, methods) | _cases(rows, stems, methods)
    means = {name: row['mean'] for name, row in rows.items()}
    return page(
        f'Fusion of {count}',
        [
            ('Means and their 95 % intervals', _table(rows, kinds)),
            (
                'Methods beside each other (the better end on top)',
                parallel_coordinates(means, higher, kinds),
            ),
            ('Distributions over the images', distributions(samples, kinds)),
            ('Worst and best cases', CASES),
            ('Pictures', gallery(len(stems), len(pairs))),
            ('Configuration', configuration(all_but(results, FIGURES))),
        ],
        data,
    )


def pictured(
    rows: Mapping[str, Mapping[str, Any]], pairs: Pairs, methods: Mapping[str, Method]
) -> list[str]:
    """
    Choose the pairs to show, all where the page can hold them.

    Otherwise half of them are the worst and best cases by the metrics, in turn, and the rest is
    spread evenly.
    """
    most = most_pairs(methods)
    stems = list(pairs)
    if len(stems) <= most:
        return stems
    orders = []
    for metric in (METRIC, *MEASURES):
        for name in shown(methods):
            values = {stem: one[metric] for stem, one in rows[name]['per_image'].items()}
            known = [stem for stem in stems if values[stem] is not None]
            orders.append(sorted(known, key=values.get))
    ends = (
        order[at]
        for depth in range(2)
        for order in orders
        if len(order) > depth
        for at in (depth, -1 - depth)
    )
    chosen = list(dict.fromkeys(ends))[: most // 2]
    rest = [stem for stem in stems if stem not in chosen]
    chosen = {*chosen, *evenly(rest, most - len(chosen))}
    return [stem for stem in stems if stem in chosen]


def _table(rows: Mapping[str, Mapping[str, Any]], kinds: Mapping[str, str]) -> str:
    headings, cells = [], {name: [] for name in rows}
    for metric, measure in MEASURES.items():
        better = 'higher is better' if measure.higher_is_better else 'lower is better'
        arrow = '↑' if measure.higher_is_better else '↓'
        headings.append((f'{metric} {arrow}', f'{measure.variant}; {better}'))
        for (name, row), (text, mark) in zip(rows.items(), column(metric, rows), strict=True):
            interval = row['ci95'][metric]
            note = interval and '–'.join(f'{end:.{measure.digits}f}' for end in interval)
            cells[name].append(Cell(text, note or '', mark))
    headings.append(('Qcv median ↓', MEASURES['Qcv'].variant))
    for name, row in rows.items():
        cells[name].append(Cell(printed(row['median']['Qcv'], 'Qcv')))
    quiet = [name for name, kind in kinds.items() if kind == 'trivial']
    legend = (
        '<p class="hint">Green: best of the methods; underlined: second; yellow: trivial, and '
        'better than all of them. A click on a heading sorts.</p>\n'
    )
    return legend + table(headings, cells, quiet)


def _cases(
    rows: Mapping[str, Mapping[str, Any]], stems: Sequence[str], methods: Mapping[str, Method]
) -> dict[str, Any]:
    """Return what the script chooses the worst and best cases by."""
    values = {
        metric: {
            name: {stem: rows[name]['per_image'][stem][metric] for stem in stems}
            for name in shown(methods)
        }
        for metric in MEASURES
    }
    higher = {name: one.higher_is_better for name, one in MEASURES.items()}
    return {'values': values, 'higher': higher, 'metric': METRIC, 'position': 1.5}
