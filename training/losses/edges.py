"""Edges: as much gradient as the source that has more of it."""

import torch
from torch import Tensor
from training.losses.gradient import sobel


def edge_loss(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Mean absolute distance of the gradient's magnitude to the larger one of the sources.

    .. math::
        \frac{1}{HW} \lVert |\nabla F| - \max(|\nabla Y|, |\nabla I|) \rVert_1, \quad
        |\nabla X| = |g_x| + |g_y|

    The l_g of MGFusion, whose l_i is the intensity loss, and the texture loss of SeAFusion (Tang
    et al., Information Fusion 82, 2022, eq. 5). Differs in its scale: Sobel gradients are a
    quarter of the usual ones, and no border is padded. An edge that is turned round costs
    nothing here; :func:`training.losses.gradient.gradient_loss` notices it.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in [0, 1], H and W at least 3.

    Returns
    -------
    A scalar.

    """
    stronger = torch.maximum(_magnitude(ir), _magnitude(vis_y))
    return (_magnitude(fused) - stronger).abs().mean()


def _magnitude(image: Tensor) -> Tensor:
    return sobel(image).abs().sum(1)
