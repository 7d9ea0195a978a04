"""Selective intensity: infrared where it is brighter, else the visible colour."""

import torch
from torch import Tensor


def selective_intensity_loss(fused: Tensor, ir: Tensor, vis: Tensor) -> Tensor:
    r"""
    Mean absolute distance to the brighter source, in colour.

    .. math::
        \frac{1}{3HW} \lVert F - X^* \rVert_1, \quad
        X^* = \begin{cases} I & I > (R + G + B) / 3 \\ (R, G, B) & \text{else} \end{cases}

    The intensity loss of Text-IF (Yi et al., CVPR 2024, public code). What is taken from the
    infrared image is grey: where the fused image keeps the visible chroma, this pulls against
    it, and :func:`training.losses.intensity.intensity_loss` of the luma does not.

    Parameters
    ----------
    fused, vis
        RGB (B, 3, H, W) in [0, 1].
    ir
        (B, 1, H, W) in [0, 1].

    Returns
    -------
    A scalar.

    """
    target = torch.where(ir > vis.mean(1, keepdim=True), ir, vis)
    return (fused.float() - target).abs().mean()
