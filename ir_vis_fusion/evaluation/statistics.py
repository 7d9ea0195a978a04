"""Figures for many values."""

from collections.abc import Sequence

import numpy as np


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """Return p50, p95, p99 and max, rounded to hundredths; empty without values."""
    if not len(values):
        return {}
    found = np.percentile(values, [50, 95, 99, 100])
    return {
        name: round(float(value), 2)
        for name, value in zip(('p50', 'p95', 'p99', 'max'), found, strict=True)
    }
