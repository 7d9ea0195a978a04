"""Homographies as matrices and as what they do to the corners of an image; on tensors."""

from collections.abc import Sequence

import torch
from torch import Tensor


def corners_of(size: Sequence[int]) -> Tensor:
    """Return the centres of the corner pixels of an image (width, height), (4, 2) float64."""
    right, bottom = size[0] - 1.0, size[1] - 1.0
    corners = ((0.0, 0.0), (right, 0.0), (right, bottom), (0.0, bottom))
    return torch.tensor(corners, dtype=torch.float64)


def from_corners(source: Tensor, target: Tensor) -> Tensor:
    """Return the matrix (3, 3) that takes four points (4, 2) to four others; differentiable."""
    (x, y), (u, v) = source.unbind(-1), target.unbind(-1)
    zero, one = torch.zeros_like(x), torch.ones_like(x)
    # Hartley and Zisserman, 2nd ed., 4.1, with the last element 1.
    left = torch.cat(
        [
            torch.stack([x, y, one, zero, zero, zero, -u * x, -u * y], -1),
            torch.stack([zero, zero, zero, x, y, one, -v * x, -v * y], -1),
        ]
    )
    numbers = torch.linalg.solve(left, torch.cat([u, v]))
    return torch.cat([numbers, numbers.new_ones(1)]).view(3, 3)


def transform(matrix: Tensor, points: Tensor) -> Tensor:
    """Return where a homography takes points (..., 2)."""
    mapped = points @ matrix[:, :2].T + matrix[:, 2]
    return mapped[..., :2] / mapped[..., 2:]


def scaling(factor: float) -> Tensor:
    """Return the matrix (3, 3) from pixels of an image to those of one ``factor`` as large."""
    shift = (factor - 1) / 2
    rows = ((factor, 0.0, shift), (0.0, factor, shift), (0.0, 0.0, 1.0))
    return torch.tensor(rows, dtype=torch.float64)


def bending(source: Tensor, target: Tensor) -> Tensor:
    """
    Return how far four points are from a rotated, scaled and shifted copy of four others.

    Root mean square distance from the best such copy, in units of ``source``; differentiable.
    """
    x = torch.complex(*(source - source.mean(0)).unbind(-1))
    y = torch.complex(*(target - target.mean(0)).unbind(-1))
    turn = (x.conj() * y).sum() / (x.conj() * x).sum()
    rest = y - turn * x
    return ((rest.abs().square().mean() + 1e-12) / turn.abs().square()).sqrt()
