"""EN: entropy of the fused image."""

import math

from ir_vis_fusion.metrics.histogram import entropy
from torch import Tensor


def en(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Measure how evenly the grey levels are used, in bits; 0 for a flat image, at most 8.

    .. math::
        EN = -\sum_{i = 0}^{255} p_i \log_2 p_i

    with p the shares of the 256 levels that F rounds to. Noise raises it.

    Variant: CDDFuse ``utils/Evaluator.py`` (Roberts et al. 2008); all evaluators agree.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in 0-255; the sources do not count.

    Returns
    -------
    (B,) float64.

    """
    return entropy(fused) / math.log(2)
