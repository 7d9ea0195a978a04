"""Qabf: how much of the sources' edges, in strength and direction, the fused image keeps."""

import math

import torch
from torch import Tensor
from torch.nn import functional

SOBEL_X = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


def qabf(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Measure edge transfer from both sources; higher is better, at most about 0.975.

    .. math::
        Q^{XF} = \frac{0.9994}{1 + e^{-15 (G - 0.5)}} \cdot \frac{0.9879}{1 + e^{-22 (A - 0.8)}},
        \quad Q = \frac{\sum Q^{AF} g_A + Q^{BF} g_B}{\sum g_A + g_B}

    with g the Sobel magnitude, G the smaller over the larger magnitude of source and fused
    image, A = 1 - |d alpha| / (pi / 2) and alpha = atan(s_y / s_x).

    Variant: CDDFuse ``utils/Evaluator.py`` (Xydeas and Petrovic 2000): Sobel with zeros around
    the image, alpha = pi / 2 where s_x = 0, and G = g_F itself where both magnitudes are equal.
    metricXydeas.m has other constants and averages over pixels.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in 0-255.

    Returns
    -------
    (B,) float64.

    """
    edges_fused = _edges(fused)
    shares, weights = 0.0, 0.0
    for source in (ir, vis_y):
        edges_source = _edges(source)
        strength = edges_source[0]
        shares = shares + (_transfer(edges_source, edges_fused) * strength).sum((1, 2, 3))
        weights = weights + strength.sum((1, 2, 3))
    return shares / weights


def _edges(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return Sobel magnitude and direction, both (B, 1, H, W)."""
    # A convolution flips its kernel where conv2d correlates, hence the minus sign; it matters
    # only through the rounding of atan at the edges of its range.
    kernel = -torch.tensor(SOBEL_X, dtype=torch.float64, device=image.device)
    kernels = torch.stack((kernel, -kernel.T))[:, None]
    x, y = functional.conv2d(image.double(), kernels, padding=1).chunk(2, dim=1)
    vertical = torch.full_like(x, math.pi / 2)
    return torch.hypot(x, y), torch.where(x == 0, vertical, torch.atan(y / x))


def _transfer(source: tuple[Tensor, Tensor], fused: tuple[Tensor, Tensor]) -> Tensor:
    (g_source, a_source), (g_fused, a_fused) = source, fused
    smaller, larger = torch.minimum(g_source, g_fused), torch.maximum(g_source, g_fused)
    ratio = torch.where(g_source == g_fused, g_fused, smaller / larger.clamp_min(1e-300))
    agreement = 1 - (a_source - a_fused).abs() / (math.pi / 2)
    strength = 0.9994 / (1 + torch.exp(-15 * (ratio - 0.5)))
    return strength * 0.9879 / (1 + torch.exp(-22 * (agreement - 0.8)))
