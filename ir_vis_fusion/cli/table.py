"""Plain text tables for terminals."""

from collections.abc import Sequence


def format_table(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as aligned columns; the first row is the heading and gets underlined."""
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    lines = [
        '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return '\n'.join([lines[0], '  '.join('-' * width for width in widths), *lines[1:]])
