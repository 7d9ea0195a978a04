"""SCD: sum of the correlations of differences."""

from ir_vis_fusion.metrics.cc import correlation
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
    return correlation(fused - vis_y, ir) + correlation(fused - ir, vis_y)
