"""Chroma: the fused image has the colours of the visible one."""

from torch import Tensor


def chroma_loss(fused: Tensor, vis: Tensor) -> Tensor:
    r"""
    Mean absolute distance of the chroma.

    .. math::
        \frac{1}{HW} \left( \lVert C_b(F) - C_b(V) \rVert_1 + \lVert C_r(F) - C_r(V) \rVert_1
        \right), \quad C_b = \frac{B - Y}{1.772}, \quad C_r = \frac{R - Y}{1.402}

    with BT.601 of full range, the chroma that :func:`ir_vis_fusion.models.textfusion.recolour`
    shifts. The colour loss of Text-IF (Yi et al., CVPR 2024, public code).

    Parameters
    ----------
    fused, vis
        RGB (B, 3, H, W) in [0, 1].

    Returns
    -------
    A scalar.

    """
    # Chroma is linear: that of the difference is the difference of both.
    red, green, blue = (fused.float() - vis.float()).unbind(1)
    luma = 0.299 * red + 0.587 * green + 0.114 * blue
    return ((blue - luma).abs() / 1.772 + (red - luma).abs() / 1.402).mean()
