"""Thermal images in the colours of a palette, from which no temperature can be had."""

import numpy as np

_STEP = 8
# A palette colours nearly all pixels; burnt-in text colours few of them, JPEG all a little.
_GREY = 0.1
_COLORFUL = 0.2


def is_false_color(pixels: np.ndarray) -> bool:
    """
    Say whether many pixels are colourful; a grey image in three equal channels is not.

    Parameters
    ----------
    pixels
        (H, W) or (H, W, 3) of any type; a sample of it is looked at.

    """
    if pixels.ndim == 2:
        return False
    sample = pixels[::_STEP, ::_STEP]
    chroma = sample.max(axis=-1) - sample.min(axis=-1)
    white = np.iinfo(pixels.dtype).max if pixels.dtype.kind == 'u' else sample.max()
    return bool((chroma > _GREY * white).mean() > _COLORFUL)
