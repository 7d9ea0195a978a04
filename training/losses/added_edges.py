"""Added edges: what the fused image has more of than both sources, as a halo does."""

import torch
from torch import Tensor
from torch.nn import functional
from training.losses.gradient import sobel

# Of the blocks that are averaged: a halo of 20 px is lost in the noise of single pixels.
SIDES = (1, 4)


def added_edges_loss(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Mean strength by which edges exceed the stronger source's, summed over two scales.

    .. math::
        \sum_{s \in \{1, 4\}} \frac{1}{HW} \sum
        \max(0, |\nabla F_s| - \max(|\nabla Y_s|, |\nabla I_s|))

    with F_s the image averaged over blocks of s x s pixels, and Sobel gradients in grey levels a
    block. Ours, after what Nabf counts: :func:`training.losses.gradient.gradient_loss` lets an
    edge be traded for a ramp of the same height beside it, the dark rim around a warm body in
    smoke; with this one the ramp is the dearer of the two.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in [0, 1], H and W at least 12.

    Returns
    -------
    A scalar.

    """
    total = fused.new_zeros((), dtype=torch.float32)
    for side in SIDES:
        images = [functional.avg_pool2d(image.float(), side) for image in (fused, ir, vis_y)]
        # The floor, a tenth of a grey level of 255, keeps the derivative of the root finite.
        strengths = [(sobel(one).square().sum(1) + (0.1 / 255) ** 2).sqrt() for one in images]
        total = total + (strengths[0] - torch.maximum(*strengths[1:])).clamp_min(0).mean()
    return total
