"""AG: average gradient of the fused image."""

import torch
from torch import Tensor


def ag(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Measure the mean slope of the grey levels; noise and halos raise it as well as detail.

    .. math::
        AG = \frac{1}{HW} \sum \sqrt{(F_x^2 + F_y^2) / 2}

    with central differences inside and one-sided ones at the border.

    Variant: CDDFuse ``utils/Evaluator.py`` (Cui et al. 2015). MATLAB evaluators divide by
    (H - 1)(W - 1); ``AverageGradient.m`` takes forward differences, which gives higher values.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in 0-255; the sources do not count.

    Returns
    -------
    (B,) float64.

    """
    along_y, along_x = torch.gradient(fused.double(), dim=(2, 3))
    return ((along_x**2 + along_y**2) / 2).sqrt().mean((1, 2, 3))
