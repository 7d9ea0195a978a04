"""Fine structure: SSIM to both sources down to single grey levels."""

from torch import Tensor
from training.losses.filters import slide

WINDOW = (1 / 7,) * 7
# In squared grey levels of 255: what rounding to 8 bits adds to a variance, and as much for means.
ROUNDING = 1 / 12
STEP = 2


def fine_structure_loss(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Two minus the SSIM to both sources, averaged over every second window along both axes.

    .. math::
        2 - \sum_{X \in \{A, B\}} \frac{(2 \mu_X \mu_F + C) (2 \sigma_{XF} + C)}
                                       {(\mu_X^2 + \mu_F^2 + C) (\sigma_X^2 + \sigma_F^2 + C)}

    with 7x7 uniform windows and C = 1/12 squared grey levels of 255. Variant: C is that small in
    CDDFuse's evaluator too (:mod:`ir_vis_fusion.metrics.ssim`, there 0.0004 and 0.0036), so that
    the faint structure of dark places counts as much as that of bright ones: one source is
    copied there, or nothing is similar. :func:`training.losses.ssim.ssim_loss`, with C of
    (0.01 * 255)^2 and (0.03 * 255)^2, sees only what is strong.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in [0, 1], H and W at least 7.

    Returns
    -------
    A scalar.

    """
    fused = fused.float() * 255
    mean_f = slide(fused, WINDOW, STEP)
    # Around the image's own level a variance loses fewer digits as the difference of squares.
    level_f = fused.detach().mean((1, 2, 3), keepdim=True)
    centred_f = fused - level_f
    var_f = (slide(centred_f * centred_f, WINDOW, STEP) - (mean_f - level_f) ** 2).clamp_min(0)
    similarity = 0.0
    for source in (ir, vis_y):
        source = source.float() * 255
        level = source.mean((1, 2, 3), keepdim=True)
        centred, mean = source - level, slide(source, WINDOW, STEP)
        var = (slide(centred * centred, WINDOW, STEP) - (mean - level) ** 2).clamp_min(0)
        covariance = slide(centred * centred_f, WINDOW, STEP) - (mean - level) * (mean_f - level_f)
        structure = (2 * covariance + ROUNDING) / (var + var_f + ROUNDING)
        means = (2 * mean * mean_f + ROUNDING) / (mean**2 + mean_f**2 + ROUNDING)
        similarity = similarity + (means * structure).mean()
    return 2 - similarity
