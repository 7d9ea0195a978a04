"""CC: correlation of the fused image with both sources."""

import torch
from torch import Tensor


def cc(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Average the correlation with both sources; -1 to 1, and 1 where F = A = B.

    .. math::
        CC = \frac{r(A, F) + r(B, F)}{2}

    with r the Pearson correlation over all pixels. The pixel mean is near its best.

    Variant: CDDFuse ``utils/Evaluator.py``. Undefined (NaN) where an image is flat.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in 0-255.

    Returns
    -------
    (B,) float64.

    """
    fused = fused.double()
    return (correlation(ir.double(), fused) + correlation(vis_y.double(), fused)) / 2


def correlation(first: Tensor, second: Tensor) -> Tensor:
    """Return the Pearson correlation over all pixels of each image, (B,)."""
    first, second = first.flatten(1), second.flatten(1)
    first = first - first.mean(1, keepdim=True)
    second = second - second.mean(1, keepdim=True)
    return (first * second).sum(1) / torch.sqrt((first**2).sum(1) * (second**2).sum(1))
