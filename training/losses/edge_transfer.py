"""Edge transfer: one minus Qabf, the share of the sources' edges that the fused image keeps."""

import math

import torch
from torch import Tensor
from training.losses.gradient import sobel

# A quarter of a grey level of 255: below it there is no edge, and no gradient that blows up.
LEAST_EDGE = 0.25 / 255


def edge_transfer_loss(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    One minus the edge transfer from both sources, averaged over the images.

    Each edge is weighted by its strength within its image, so that those of a night count.

    .. math::
        1 - \frac{\sum Q^{AF} g_A + Q^{BF} g_B}{\sum g_A + g_B}, \quad
        Q^{XF} = \frac{0.9994}{1 + e^{-15 (G - 0.5)}} \cdot \frac{0.9879}{1 + e^{-22 (D - 0.8)}}

    with g the Sobel magnitude, G the smaller over the larger of source's and fused image's, and
    D = 1 - a / (pi / 2) of the angle a between their edges (Xydeas and Petrovic, Electronics
    Letters 36, 2000; constants of CDDFuse's evaluator, as in :mod:`ir_vis_fusion.metrics.qabf`).
    Differs in three ways that make it smooth: the angle is the true one between two lines, 0 to
    pi / 2, where the metric's jumps at the vertical; magnitudes have a floor of a quarter of
    a grey level; no border is padded. An edge that is turned round costs nothing here:
    :func:`training.losses.gradient.gradient_loss` beside it notices.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in [0, 1], H and W at least 3.

    Returns
    -------
    A scalar.

    """
    edges_fused = sobel(fused)
    kept, offered = 0.0, 0.0
    for source in (ir, vis_y):
        edges = sobel(source)
        strength = _magnitude(edges)
        kept = kept + (strength * _transfer(edges, edges_fused)).sum((1, 2))
        offered = offered + strength.sum((1, 2))
    return 1 - (kept / offered).mean()


def _magnitude(edges: Tensor) -> Tensor:
    return (edges.square().sum(1) + LEAST_EDGE**2).sqrt()


def _transfer(source: Tensor, fused: Tensor) -> Tensor:
    """Return the share of each edge that is kept, (B, H, W)."""
    of_source, of_fused = _magnitude(source), _magnitude(fused)
    ratio = torch.minimum(of_source, of_fused) / torch.maximum(of_source, of_fused)
    along = (source * fused).sum(1).abs()
    across = (source[:, 0] * fused[:, 1] - source[:, 1] * fused[:, 0]).abs()
    # The floor keeps the derivative finite where both are flat; there the angle is called 0.
    angle = torch.atan2(across, along + LEAST_EDGE**2)
    strength = 0.9994 * torch.sigmoid(15 * (ratio - 0.5))
    return strength * 0.9879 * torch.sigmoid(22 * (0.2 - angle / (math.pi / 2)))
