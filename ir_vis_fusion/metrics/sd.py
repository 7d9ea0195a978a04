"""SD: standard deviation of the fused image."""

from torch import Tensor


def sd(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Measure the spread of the grey levels, which is called contrast.

    .. math::
        SD = \sqrt{\frac{1}{HW} \sum (F - \mu_F)^2}

    Variant: CDDFuse ``utils/Evaluator.py``: of the population (divided by HW), on 0-255. The
    values of 8 to 10 in some tables are on another, undocumented scale.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in 0-255; the sources do not count.

    Returns
    -------
    (B,) float64.

    """
    return fused.double().flatten(1).std(1, correction=0)
