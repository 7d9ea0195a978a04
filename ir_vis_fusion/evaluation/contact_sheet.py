"""Pictures of several moments side by side; the only module that knows Pillow."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont

_CELL_WIDTH = 480
_GAP = 6
_HEAD = 34
_BACKGROUND = (18, 20, 24)
_TEXT = (235, 235, 235)


def write_contact_sheet(
    file: str | Path | BinaryIO, rows: Mapping[str, Sequence[np.ndarray]], columns: Sequence[str]
) -> None:
    """
    Draw one row of images a name and one column a moment, with their labels, as a PNG.

    Images are (H, W) or (H, W, 3) RGB uint8 of any size; all get the shape of the first one of
    the last row.
    """
    last = list(rows.values())[-1][0]
    height = round(_CELL_WIDTH * last.shape[0] / last.shape[1])
    size = (
        _GAP + len(columns) * (_CELL_WIDTH + _GAP),
        _HEAD + len(rows) * (height + _GAP),
    )
    sheet = Image.new('RGB', size, _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(20)
    for column, label in enumerate(columns):
        left = _GAP + column * (_CELL_WIDTH + _GAP)
        draw.text((left + _CELL_WIDTH // 2, _HEAD // 2), label, _TEXT, font, anchor='mm')
    for row, (name, images) in enumerate(rows.items()):
        top = _HEAD + row * (height + _GAP)
        for column, image in enumerate(images):
            left = _GAP + column * (_CELL_WIDTH + _GAP)
            cell = Image.fromarray(image).convert('RGB')
            cell = cell.resize((_CELL_WIDTH, height), Image.Resampling.LANCZOS)
            sheet.paste(cell, (left, top))
        outline = {'stroke_width': 2, 'stroke_fill': _BACKGROUND}
        draw.text((_GAP + 10, top + 8), name, _TEXT, font, **outline)
    sheet.save(file, format='PNG')
