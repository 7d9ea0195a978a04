"""Windows slid over images by products of matrices, for losses made of local statistics."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor


def slide(image: Tensor, window: Sequence[float], step: int = 1) -> Tensor:
    """
    Filter (B, 1, H, W) along both axes where the whole window lies inside.

    Keeps every ``step``-th place along each axis. A product with a banded matrix takes a fifth of
    the time of 17 shifted sums on a CPU, and its derivative is such a product again.
    """
    rows = _bands(image.shape[-2], tuple(window), step, image.device, image.dtype)
    columns = _bands(image.shape[-1], tuple(window), step, image.device, image.dtype)
    return rows @ image @ columns.T


@lru_cache(maxsize=64)
def _bands(
    length: int, window: tuple[float, ...], step: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Return the matrix that filters a line, (places, length)."""
    starts = range(0, length - len(window) + 1, step)
    bands = torch.zeros(len(starts), length)
    for row, start in enumerate(starts):
        bands[row, start : start + len(window)] = torch.tensor(window)
    return bands.to(device, dtype)
