"""FMI: windows derived by hand, and the formula evaluated term by term."""

import sys

from ir_vis_fusion import metrics
import numpy as np
import pytest
import torch
from torch import Tensor

# The function hides the module of its name.
MODULE = sys.modules['ir_vis_fusion.metrics.fmi']
FLAT = torch.full((1, 1, 12, 12), 50.0)


def information(a: np.ndarray, f: np.ndarray) -> float:
    """Evaluate the published definition for two windows of nine, one term after the other."""
    if (a == f).all():
        return 1.0
    p, q = (np.ones(9) / 9 if x.min() == x.max() else x / x.sum() for x in (a, f))
    sums, other_sums, place = np.cumsum(p), np.cumsum(q), np.arange(1, 10)
    product = ((p - p.mean()) * (q - q.mean())).sum()
    spreads = [max((place**2 * x).sum() - (place * x).sum() ** 2, 0) ** 0.5 for x in (p, q)]

    def bound(i: int, j: int) -> float:
        if i < 0 or j < 0:
            return 0.0
        both = (sums[i], other_sums[j])
        return min(both) if product >= 0 else max(sum(both) - 1, 0.0)

    share = 0.0
    if min(spreads) > 1e-7 and abs(product) > 1e-12:
        correlation = product / np.sqrt(((p - p.mean()) ** 2).sum() * ((q - q.mean()) ** 2).sum())
        cells = [(i, j) for i in range(9) for j in range(9)]
        covariance = sum(bound(i, j) - sums[i] * other_sums[j] for i, j in cells)
        share = correlation / (covariance / np.prod(spreads))
    joint = 0.0
    for i in range(9):
        for j in range(9):
            cell = bound(i, j) - bound(i - 1, j) - bound(i, j - 1) + bound(i - 1, j - 1)
            mixed = share * cell + (1 - share) * p[i] * q[j]
            joint -= mixed * np.log(abs(mixed)) if mixed else 0.0
    entropies = -sum((x[x > 0] * np.log(x[x > 0])).sum() for x in (p, q))
    return 2 * (entropies - joint) / entropies if entropies else 0.0


def step(column: int) -> Tensor:
    """Return an image that is bright from a column on."""
    image = torch.zeros(1, 1, 12, 12)
    image[..., column:] = 100.0
    return image


def test_the_table_holds_the_definition() -> None:
    table = MODULE._table().view(512, 512)
    random = np.random.default_rng(0)
    pairs = [(0, 1), (0, 511), (511, 5), (1, 256), (73, 146), *random.integers(0, 512, (60, 2))]
    for a, f in pairs:
        patterns = (((int(x) >> np.arange(9)) & 1).astype(float) for x in (a, f))
        assert table[a, f].item() == pytest.approx(information(*patterns), abs=1e-12), (a, f)


def test_an_even_window_tells_nothing_about_another() -> None:
    table = MODULE._table().view(512, 512)
    assert table[0, 1:511].abs().max().item() == pytest.approx(0.0, abs=1e-12)


def test_patterns_are_numbered_column_by_column() -> None:
    edges = torch.zeros(1, 1, 3, 3, dtype=torch.bool)
    edges[0, 0, 1, 0] = edges[0, 0, 0, 2] = True
    assert MODULE._windows(edges).item() == 2**1 + 2**6


def test_a_step_is_one_thin_edge() -> None:
    """Both columns beside it are equally strong; of a plateau the last one is the peak."""
    edges = MODULE._edges(step(5))
    assert edges.sum().item() == 12
    assert edges[..., 5].all()


def test_equal_images_and_images_without_edges_are_one() -> None:
    image = step(4) + step(8).transpose(2, 3)
    assert metrics.fmi(image, image, image).item() == 1.0
    assert metrics.fmi(FLAT, FLAT, FLAT).item() == 1.0


def test_a_window_that_the_first_source_alone_fills_costs_the_empty_second_one_too() -> None:
    """
    Three of ten columns of windows see the step of one source; F is flat.

    With the step in A both terms are 0 there: 0.7. With the step in B, A's windows equal F's and
    count as 1: 0.85.
    """
    assert metrics.fmi(FLAT, step(5), FLAT).item() == pytest.approx(0.7)
    assert metrics.fmi(FLAT, FLAT, step(5)).item() == pytest.approx(0.85)
