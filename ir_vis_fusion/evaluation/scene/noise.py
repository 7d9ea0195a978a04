"""Random textures of the synthetic scene."""

import numpy as np

PERIOD = 512


class Noise:
    """Smooth random values in [0, 1] for any coordinates, the same for the same seed."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._table = rng.random((256, 256), dtype=np.float32)

    def __call__(self, x: np.ndarray, y: np.ndarray, octaves: int = 1) -> np.ndarray:
        """Sum octaves of value noise; the first has features of size 1."""
        total, weight = np.float32(0), 0.0
        for octave in range(octaves):
            total = total + self._value(x * 2**octave, y * 2**octave) * 0.5**octave
            weight += 0.5**octave
        return total / weight

    def _value(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        x0, y0 = np.floor(x), np.floor(y)
        fx, fy = x - x0, y - y0
        fx, fy = fx * fx * (3 - 2 * fx), fy * fy * (3 - 2 * fy)
        i, j = x0.astype(np.int32), y0.astype(np.int32)
        table, i1, j1 = self._table, (i + 1) & 255, (j + 1) & 255
        i, j = i & 255, j & 255
        above = table[j, i] * (1 - fx) + table[j, i1] * fx
        below = table[j1, i] * (1 - fx) + table[j1, i1] * fx
        return above * (1 - fy) + below * fy


def tileable(rng: np.random.Generator, cells: int) -> np.ndarray:
    """Return (1024, 1536) clouds in [0, 1] that repeat every ``PERIOD`` pixels."""
    total = np.zeros((PERIOD, PERIOD), np.float32)
    for octave in range(4):
        count = cells * 2**octave
        grid = np.pad(rng.random((count, count), dtype=np.float32), (0, 1), mode='wrap')
        at = np.arange(PERIOD) * count / PERIOD
        low, share = at.astype(int), (at % 1).astype(np.float32)
        share = share * share * (3 - 2 * share)
        rows = grid[low] * (1 - share)[:, None] + grid[low + 1] * share[:, None]
        total += (rows[:, low] * (1 - share) + rows[:, low + 1] * share) * 0.55**octave
    total = (total - total.min()) / (total.max() - total.min())
    return np.tile(total, (2, 3))
