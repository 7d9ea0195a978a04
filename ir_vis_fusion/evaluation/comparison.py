"""The results of ``ivf evaluate`` as rows of text, with the best figures marked."""

from collections.abc import Mapping
from typing import Any

from ir_vis_fusion.evaluation.measures import MEASURES

BEST = '*'
BEATEN = '!'
LEGEND = (
    f'{BEST} best of the methods; {BEATEN} trivial, and better than all of them; '
    f'lower is better: {", ".join(n for n, one in MEASURES.items() if not one.higher_is_better)}'
)


def table_rows(methods: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """
    Return a heading and one row a method with its means.

    Trivial rows are no candidates for the best: a copy of one source leads in some metrics,
    and that is marked as what it is. Equal figures, as printed, share a mark.
    """
    columns = [_column(name, methods) for name in MEASURES]
    median = {name: method['median']['Qcv'] for name, method in methods.items()}
    columns.append(['Qcv median', *(_text(median[name], 'Qcv') for name in methods)])
    return [list(row) for row in zip(['method', *methods], *columns, strict=True)]


def _column(metric: str, methods: Mapping[str, Mapping[str, Any]]) -> list[str]:
    texts = {name: _text(method['mean'][metric], metric) for name, method in methods.items()}
    # Compared as printed, so that what looks equal is equal.
    sign = 1 if MEASURES[metric].higher_is_better else -1
    scores = {name: sign * float(text) for name, text in texts.items() if text != '-'}
    others = [x for name, x in scores.items() if methods[name]['kind'] != 'trivial']
    best = max(others, default=None)
    marks = {name: '' for name in texts}
    for name, score in scores.items():
        if best is None:
            continue
        if methods[name]['kind'] == 'trivial':
            marks[name] = BEATEN if score > best else ''
        elif score == best and len(others) > 1:
            marks[name] = BEST
    return [metric, *(text + marks[name] for name, text in texts.items())]


def _text(value: float | None, metric: str) -> str:
    if value is None:
        return '-'
    digits = MEASURES[metric].digits
    # Adding zero takes the sign off a negative one.
    return f'{round(value, digits) + 0.0:.{digits}f}'
