"""Consistency: the same picture wherever the network's blocks of pixels begin."""

from torch import Tensor

# A network sees less of what lies at the border: that far in its results may differ.
MARGIN = 8


def consistency_loss(fused: Tensor, other: Tensor) -> Tensor:
    r"""
    Mean absolute distance of two results for the same pixels, but those at the border.

    .. math::
        \frac{1}{HW} \lVert N(S_d Y, S_d I) - S_d N(Y, I) \rVert_1

    with S_d, a shift by d pixels that is no multiple of the blocks. A network of
    pixel-unshuffled blocks is not equivariant to it by itself; where it is not, its blocks show.

    Parameters
    ----------
    fused, other
        (B, 1, H, W) in [0, 1], H and W more than 16.

    Returns
    -------
    A scalar.

    """
    inner = slice(MARGIN, -MARGIN)
    return (fused - other)[..., inner, inner].abs().mean()
