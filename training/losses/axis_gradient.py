"""Gradient by axis: vertical edges of one source beside horizontal ones of the other."""

import torch
from torch import Tensor
from training.losses.gradient import sobel


def axis_gradient_loss(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Mean absolute distance of the gradient's components to the larger ones of the sources.

    .. math::
        \frac{1}{HW} \sum_{a \in \{x, y\}}
        \bigl\lVert |g_a(F)| - \max(|g_a(Y)|, |g_a(I)|) \bigr\rVert_1

    The texture loss of Text-IF (Yi et al., CVPR 2024, public code). Differs in its scale: Sobel
    gradients are a quarter of those there, and no border is padded. As there, an edge that is
    turned round costs nothing.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in [0, 1], H and W at least 3; of colour images the luma.

    Returns
    -------
    A scalar.

    """
    larger = torch.maximum(sobel(ir).abs(), sobel(vis_y).abs())
    return (sobel(fused).abs() - larger).abs().sum(1).mean()
