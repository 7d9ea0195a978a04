"""MI: mutual information between the fused image and both sources."""

import math

from ir_vis_fusion.metrics.histogram import entropy
from torch import Tensor


def mi(fused: Tensor, ir: Tensor, vis_y: Tensor, bits: bool = False) -> Tensor:
    r"""
    Sum the mutual information with both sources; F = A = B gives twice the entropy.

    .. math::
        MI(X, F) = H(X) + H(F) - H(X, F)

    from the 256 grey levels of each and their joint histogram.

    Variant: nats, as CDDFuse ``utils/Evaluator.py`` (scikit-learn) and VIFB print it. Tang's
    evaluator and IVIF-ZOO print bits (1.4427 times as much): ``bits=True``. Values of 13 to 14
    come from a script that does not compute mutual information.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in 0-255.
    bits
        Whether to take logarithms to base 2.

    Returns
    -------
    (B,) float64.

    """
    of_fused = entropy(fused)
    nats = sum(of_fused + entropy(source) - entropy(fused, source) for source in (ir, vis_y))
    return nats / math.log(2) if bits else nats
