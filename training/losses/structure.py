"""Structure: the fused image has the structure of both sources, alike."""

from torch import Tensor
from training.losses.ssim import similarity_map


def structure_loss(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Sum what the SSIM to each source lacks to one.

    .. math::
        2 - SSIM(F, Y) - SSIM(F, I)

    The structure loss of Text-IF (Yi et al., CVPR 2024, public code). Variant: SSIM of Wang et
    al. 2004 with a 7x7 uniform window inside the image and data range 1, where the code has a
    Gaussian of 1.5 pixels; and the luma of the visible image, where it has RGB. A source that is
    flat counts as much as one that is not; :func:`training.losses.ssim.ssim_loss` weighs them.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in [0, 1], H and W at least 7; of colour images the luma.

    Returns
    -------
    A scalar in [0, 4].

    """
    to_ir, _ = similarity_map(ir, fused)
    to_vis, _ = similarity_map(vis_y, fused)
    return 2 - to_ir.mean() - to_vis.mean()
