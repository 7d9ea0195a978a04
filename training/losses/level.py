"""Level: as bright as the brighter source, and a little of the darker one adds up."""

import torch
from torch import Tensor

# The share of the darker source that is added, around its mean so that nothing gets brighter.
SHARE = 0.15
# What is far off costs more: else bits of the infrared's black sky are worth their edges.
STEEPNESS = 6.0
# Black of the visible image, its 2nd percentile, is haze as far as it is above 20 grey levels of
# 255; up to 20 levels of it are taken off, and white stays white.
BLACK = 0.02
LEAST_HAZE, LARGEST_HAZE = 20 / 255, 20 / 255


def level_loss(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Mean distance to the brighter source plus a share of the darker one, steep where it is large.

    .. math::
        \frac{1}{HW} \sum |d| + 6 d^2, \quad d = F - \max(Y', I) - 0.15 (m - \bar m), \quad
        m = \min(Y', I), \quad Y' = (Y - h) / (1 - h)

    with the haze h of the visible image: its 2nd percentile above 20 grey levels of 255, 20 levels
    at most. Ours. The pixel-wise maximum of :func:`training.losses.intensity.intensity_loss`
    leaves nothing of the darker source, where the haze of a lamp-lit night lies over all that is
    cold, and has the least correlation of differences (SCD) of all that looks right; this target
    has more of it on RoadScene with the same similarity and less visible error (Qcv).

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in [0, 1]; haze and mean are those of each image, so crops should be large.

    Returns
    -------
    A scalar.

    """
    black = vis_y.float().flatten(1).quantile(BLACK, dim=1)[:, None, None, None]
    haze = (black - LEAST_HAZE).clamp(0, LARGEST_HAZE)
    vis_y = (vis_y - haze) / (1 - haze)
    darker = torch.minimum(ir, vis_y)
    darker = darker - darker.mean((1, 2, 3), keepdim=True)
    target = torch.maximum(ir, vis_y) + SHARE * darker
    distance = (fused - target.clamp(0, 1)).abs()
    return (distance + STEEPNESS * distance.square()).mean()
