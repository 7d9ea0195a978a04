"""Block steps: what is decided for a block of pixels as a whole shows at its border."""

import torch
from torch import Tensor

# Pixels, the student's factor.
SIDE = 4


def block_steps_loss(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Mean height by which steps between blocks exceed those beside them within the blocks.

    .. math::
        \frac{1}{N} \sum_{k} \max\bigl(0, |D_{4k} - D_{4k-1}|
        - \tfrac{1}{2} (|D_{4k-1} - D_{4k-2}| + |D_{4k+1} - D_{4k}|)\bigr), \quad
        D = F - \max(Y, I)

    along both axes. Ours: a network of pixel-unshuffled blocks whose last layer is of 1x1 turns
    from one source to the other from block to block, which no metric of fusion notices and every
    eye does, around a lamp in its glow before a cold sky above all. What the sources have of
    steps is taken off first, as far as the brighter one shows it.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in [0, 1], H and W at least 6; blocks begin at the first pixel.

    Returns
    -------
    A scalar, the sum over both axes.

    """
    added = fused.float() - torch.maximum(ir, vis_y)
    total = added.new_zeros(())
    for image in (added, added.mT):
        steps = image.diff(dim=-1).abs()
        border = steps[..., SIDE - 1 : -1 : SIDE]
        before = steps[..., SIDE - 2 : -2 : SIDE]
        after = steps[..., SIDE::SIDE]
        total = total + (border - (before + after) / 2).clamp_min(0).mean()
    return total
