"""Qcb: how well the local contrast that an eye sees in the sources is kept."""

import math

from ir_vis_fusion.metrics.frequency import filtered, radius, stretch
from ir_vis_fusion.metrics.windows import blur
import torch
from torch import Tensor
from torch.nn import functional

REACH = 15
FLOOR = 1e-4


def qcb(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Measure contrast that is kept, not lowered and not raised; 0 to 1, and 1 where F = A = B.

    .. math::
        C = \left| \frac{G_2 * I}{G_4 * I} - 1 \right|, \quad M = \frac{C^3}{C^2 + 10^{-4}},
        \quad Q = \overline{\frac{M_A^2 Q_{AF} + M_B^2 Q_{BF}}{M_A^2 + M_B^2}}

    with Q_XF the smaller over the larger of M_X and M_F, G_s Gaussians of sigma s in 31x31
    windows, and I the image, stretched to its full range and rounded, after the contrast
    sensitivity exp(-(r / 15.387)^2) - 0.7622 exp(-(r / 1.3456)^2), where the highest frequency
    of an axis of N pixels is r = N / 30.

    Variant: Chen and Blum 2009 as in ``metricChenBlum.m`` (Liu's fusion toolbox, VIFB), with
    zeros around the image. Where no image has contrast at a pixel, it counts as kept.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in 0-255.

    Returns
    -------
    (B,) float64.

    """
    of_fused = _contrast(fused)
    kept, weights = 0.0, 0.0
    for source in (ir, vis_y):
        contrast = _contrast(source)
        smaller, larger = torch.minimum(contrast, of_fused), torch.maximum(contrast, of_fused)
        ratio = torch.where(larger > 0, smaller / larger, 1.0)
        weight = contrast**2
        kept = kept + weight * ratio
        weights = weights + weight
    return torch.where(weights > 0, kept / weights, (of_fused == 0).double()).mean((1, 2, 3))


def _contrast(image: Tensor) -> Tensor:
    """Return the masked local contrast, (B, 1, H, W)."""
    image = stretch(image.double())
    frequency = radius(image, cycles=30)
    eye = torch.exp(-((frequency / 15.387) ** 2)) - 0.7622 * torch.exp(
        -((frequency / 1.3456) ** 2)
    )
    seen = filtered(image, eye)
    contrast = (_gaussian(seen, 2) / _gaussian(seen, 4) - 1).abs().nan_to_num(0.0, 0.0)
    return contrast**3 / (contrast**2 + FLOOR)


def _gaussian(image: Tensor, sigma: float) -> Tensor:
    """Blur with zeros around the image; the window is cut, not brought to a sum of 1."""
    scale = sigma * math.sqrt(2 * math.pi)
    window = [math.exp(-(x**2) / (2 * sigma**2)) / scale for x in range(-REACH, REACH + 1)]
    return blur(functional.pad(image, (REACH,) * 4), window)
