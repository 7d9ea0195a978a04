"""SCD: sum of the correlations of differences."""

import torch
from torch import Tensor


def scd(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Measure how much of each source remains when the other is taken off; -2 to 2, high is good.

    .. math::
        SCD = r(F - B, A) + r(F - A, B)

    with r the Pearson correlation over all pixels.

    Variant: Aslantas and Bendes 2015, as in CDDFuse ``utils/Evaluator.py``. Undefined (NaN)
    where the fused image equals a source or a source is flat.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in 0-255.

    Returns
    -------
    (B,) float64.

    """
    fused, ir, vis_y = fused.double(), ir.double(), vis_y.double()
    return _correlation(fused - vis_y, ir) + _correlation(fused - ir, vis_y)


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    first, second = first.flatten(1), second.flatten(1)
    first = first - first.mean(1, keepdim=True)
    second = second - second.mean(1, keepdim=True)
    return (first * second).sum(1) / torch.sqrt((first**2).sum(1) * (second**2).sum(1))
