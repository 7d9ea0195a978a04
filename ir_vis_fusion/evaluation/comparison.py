"""The results of ``ivf evaluate`` as rows of text, with the best figures marked."""

from collections.abc import Mapping, Sequence
from typing import Any

from ir_vis_fusion.evaluation.measures import MEASURES

BEST = '*'
SECOND = '+'
BEATEN = '!'
SHORT = ('Qabf', 'VIF', 'SSIM', 'SCD', 'SD', 'Nabf', 'Qcv median')
LEGEND = (
    f'{BEST} best, {SECOND} second of the methods; {BEATEN} trivial, and better than all of them; '
    f'lower is better: {", ".join(n for n, one in MEASURES.items() if not one.higher_is_better)}'
)


def table_rows(methods: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return a heading and one row a method with its means."""
    columns = [[name, *(text + mark for text, mark in column(name, methods))] for name in MEASURES]
    median = {name: method['median']['Qcv'] for name, method in methods.items()}
    columns.append(['Qcv median', *(printed(median[name], 'Qcv') for name in methods)])
    return [list(row) for row in zip(['method', *methods], *columns, strict=True)]


def short_rows(methods: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Return those columns of :func:`table_rows` by which fusion is judged here."""
    rows = table_rows(methods)
    places = [rows[0].index(name) for name in ('method', *SHORT)]
    return [[row[place] for place in places] for row in rows]


def without_marks(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """Take the marks off a table, for pages on which they are not explained."""
    marks = BEST + SECOND + BEATEN
    return [[cell.rstrip(marks) for cell in row] for row in rows]


def column(metric: str, methods: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, str]]:
    """
    Return each method's mean as printed, and its mark.

    Trivial rows are no candidates for the best: a copy of one source leads in some metrics,
    and that is marked as what it is. Equal figures, as printed, share a mark.
    """
    texts = [printed(method['mean'][metric], metric) for method in methods.values()]
    candidates = [method['kind'] != 'trivial' for method in methods.values()]
    marks = ranks(texts, candidates, MEASURES[metric].higher_is_better)
    return list(zip(texts, marks, strict=True))


def ranks(
    texts: Sequence[str],
    candidates: Sequence[bool] | None = None,
    higher_is_better: bool = True,
) -> list[str]:
    """
    Return the mark of each printed figure: best, second, or beaten by one that is no candidate.

    Compared as printed, so that what looks equal is equal. One candidate alone is not called
    the best, and of two the other is not called the second.
    """
    sign = 1 if higher_is_better else -1
    scores = [None if text == '-' else sign * float(text) for text in texts]
    candidates = candidates or [True] * len(texts)
    rivals = [x for x, one in zip(scores, candidates, strict=True) if one and x is not None]
    if not rivals:
        return [''] * len(texts)
    best, *others = sorted(set(rivals), reverse=True)
    marks = {best: BEST} if len(rivals) > 1 else {}
    if others and len(rivals) > 2:
        marks[others[0]] = SECOND
    return [
        (marks.get(x, '') if one else BEATEN if x is not None and x > best else '')
        for x, one in zip(scores, candidates, strict=True)
    ]


def printed(value: float | None, metric: str) -> str:
    """Return a figure with the digits of its metric, a hyphen where there is none."""
    if value is None:
        return '-'
    digits = MEASURES[metric].digits
    # Adding zero takes the sign off a negative one.
    return f'{round(value, digits) + 0.0:.{digits}f}'
