"""Tables in a Markdown file, put between two markers that name them."""

from collections.abc import Sequence
from pathlib import Path

from ir_vis_fusion.errors import EvaluationError


def markers(name: str) -> tuple[str, str]:
    """Return the comments between which the table of this name stands."""
    return f'<!-- {name} -->', f'<!-- /{name} -->'


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as a Markdown table; the first is the heading."""
    lines = [f'| {" | ".join(row)} |' for row in rows]
    return '\n'.join([lines[0], f'|{" --- |" * len(rows[0])}', *lines[1:]])


def around(path: Path, name: str) -> tuple[str, str]:
    """
    Return what stands before and after the markers of this name, the markers included.

    Raises
    ------
    EvaluationError
        Where the file cannot be read or has no such markers.

    """
    begin, end = markers(name)
    try:
        before, first, rest = path.read_text(encoding='utf-8').partition(begin)
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f'{str(path)!r}: cannot be read: {error}') from None
    _, last, after = rest.partition(end)
    if not first or not last:
        raise EvaluationError(f'{str(path)!r}: no {begin} … {end} to write between')
    return before + begin, end + after


def write_between(path: Path, name: str, text: str) -> None:
    """Put text between the markers of this name; see :func:`around`."""
    before, after = around(path, name)
    try:
        path.write_text(f'{before}\n{text}\n{after}', encoding='utf-8')
    except OSError as error:
        raise EvaluationError(f'{str(path)!r}: cannot be written: {error.strerror}') from None
