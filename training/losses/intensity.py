"""Intensity: the fused image is as bright as the brighter source."""

import torch
from torch import Tensor


def intensity_loss(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Mean absolute distance to the pixel-wise maximum of the sources.

    .. math::
        \frac{1}{HW} \lVert F - \max(Y, I) \rVert_1

    as in SeAFusion (Tang et al., Information Fusion 82, 2022, eq. 4) and most fusion
    networks since.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in [0, 1].

    Returns
    -------
    A scalar.

    """
    return (fused - torch.maximum(ir, vis_y)).abs().mean()
