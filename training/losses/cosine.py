"""Arithmetic of embeddings, in float32 whatever their type, without division by zero."""

import torch
from torch import Tensor

EPSILON = 1e-6


def unit(vectors: Tensor) -> Tensor:
    """
    Scale vectors (..., E) to length one.

    x / sqrt(|x|^2 + 1e-6): a zero vector stays one and its gradient finite (at most 1000 times
    that of the result), as where a fused image equals a source.
    """
    vectors = vectors.float()
    return vectors * torch.rsqrt(vectors.square().sum(-1, keepdim=True) + EPSILON)


def cosine(first: Tensor, second: Tensor) -> Tensor:
    """Return the cosine of vectors (..., E) that broadcast against each other, (...)."""
    return (unit(first) * unit(second)).sum(-1)
