"""Differences: two minus SCD, what is left of each source when the other is taken off."""

from torch import Tensor

# The variance of a standard deviation of one grey level of 255: what is flatter does not count.
FLAT = (1 / 255) ** 2


def differences_loss(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Two minus the correlations of differences, averaged over the images.

    .. math::
        2 - r(F - B, A) - r(F - A, B), \quad
        r(X, Y) = \frac{\sigma_{XY}}{\sqrt{(\sigma_X^2 + \epsilon) (\sigma_Y^2 + \epsilon)}}

    (Aslantas and Bendes, AEU 69, 2015, as in :mod:`ir_vis_fusion.metrics.scd`). The brightness of
    both sources should be seen to add up, over a whole image: crops should be large. epsilon
    (a standard deviation of one grey level) lets flat crops be, which the metric leaves undefined.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in [0, 1].

    Returns
    -------
    A scalar.

    """
    fused, ir, vis_y = fused.float(), ir.float(), vis_y.float()
    return 2 - (_correlation(fused - vis_y, ir) + _correlation(fused - ir, vis_y)).mean()


def _correlation(first: Tensor, second: Tensor) -> Tensor:
    first = first - first.mean((1, 2, 3), keepdim=True)
    second = second - second.mean((1, 2, 3), keepdim=True)
    spread = (first.square().mean((1, 2, 3)) + FLAT) * (second.square().mean((1, 2, 3)) + FLAT)
    return (first * second).mean((1, 2, 3)) / spread.sqrt()
