"""Nabf: the share of edges in the fused image that stand in neither source."""

import math

import torch
from torch import Tensor
from torch.nn import functional

SOBEL_X = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
STRONG_EDGE = 2.0
WEAK_WEIGHT = 0.001


def nabf(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Measure fusion artefacts; lower is better, 0 where no edge exceeds both sources'.

    .. math::
        N = \frac{\sum_{g_F > g_A, g_F > g_B} (1 - Q^{AF}) w_A + (1 - Q^{BF}) w_B}
                 {\sum w_A + w_B}, \quad w = \begin{cases} g^{1.5} & g \ge 2 \\ 0.001
                 \end{cases}, \quad Q = \sqrt{Q_g Q_\alpha}

    with g the magnitude of Sobel / 8 over mirrored borders, Q_g = 0.9999 / (1 + e^{-19 (G - 0.5)})
    of the ratio G of the smaller to the larger magnitude, Q_alpha =
    0.9995 / (1 + e^{-22 (A - 0.5)}) of A = ||d alpha| - pi / 2| / (pi / 2).

    Variant: Shreyamsha Kumar's modified fusion artefacts (``objective_fusion_perform_fn.m``,
    2013). The threshold 2 belongs to images in 0-255; evaluators that pass 0-1 get other values.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in 0-255.

    Returns
    -------
    (B,) float64.

    """
    edges_fused = _edges(fused)
    edges = [_edges(source) for source in (ir, vis_y)]
    added = (edges_fused[0] > edges[0][0]) & (edges_fused[0] > edges[1][0])
    artefacts, total = 0.0, 0.0
    for edges_source in edges:
        strength = edges_source[0]
        weight = torch.where(strength >= STRONG_EDGE, strength**1.5, WEAK_WEIGHT)
        lost = 1 - _transfer(edges_source, edges_fused)
        artefacts = artefacts + (added * lost * weight).sum((1, 2, 3))
        total = total + weight.sum((1, 2, 3))
    return artefacts / total


def _edges(image: Tensor) -> tuple[Tensor, Tensor]:
    """Return Sobel magnitude and direction, both (B, 1, H, W)."""
    kernel = torch.tensor(SOBEL_X, dtype=torch.float64, device=image.device) / 8
    kernels = torch.stack((kernel, kernel.T))[:, None]
    # Mirrored without repeating the border pixel, as the published figures have it.
    padded = functional.pad(image.double(), (1, 1, 1, 1), mode='reflect')
    x, y = functional.conv2d(padded, kernels).chunk(2, dim=1)
    direction = torch.where(x == 0, torch.where(y == 0, 0.0, math.pi / 2), torch.atan(y / x))
    return torch.hypot(x, y), direction


def _transfer(source: tuple[Tensor, Tensor], fused: tuple[Tensor, Tensor]) -> Tensor:
    (g_source, a_source), (g_fused, a_fused) = source, fused
    smaller, larger = torch.minimum(g_source, g_fused), torch.maximum(g_source, g_fused)
    ratio = smaller / larger.clamp_min(1e-300)
    agreement = ((a_source - a_fused).abs() - math.pi / 2).abs() / (math.pi / 2)
    strength = 0.9999 / (1 + torch.exp(-19 * (ratio - 0.5)))
    direction = 0.9995 / (1 + torch.exp(-22 * (agreement - 0.5)))
    return (strength * direction).sqrt()
