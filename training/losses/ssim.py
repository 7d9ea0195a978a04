"""SSIM: the fused image has the structure of whichever source has structure there."""

from torch import Tensor

WINDOW = 7
C1, C2 = 0.01**2, 0.03**2
NOISE_VARIANCE = 0.01**2


def ssim_loss(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    One minus the SSIM to both sources, each weighted by its local variance.

    .. math::
        1 - \frac{1}{HW} \sum w\, SSIM(I, F) + (1 - w)\, SSIM(Y, F), \quad
        w = \frac{\sigma_I^2 + \epsilon}{\sigma_I^2 + \sigma_Y^2 + 2 \epsilon}

    Wang et al. 2004 with a 7x7 uniform window inside the image and data range 1. Variant: the
    weights are per window (as in U2Fusion's information measure, there per image); a source
    that is flat here - smoke, darkness, a cold wall - does not hold back the structure of the
    other. epsilon (a standard deviation of 1 %) keeps sensor noise from counting as structure.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in [0, 1], H and W at least 7.

    Returns
    -------
    A scalar.

    """
    similarity_ir, variance_ir = similarity_map(ir, fused)
    similarity_vis, variance_vis = similarity_map(vis_y, fused)
    total = variance_ir + variance_vis + 2 * NOISE_VARIANCE
    weight = (variance_ir + NOISE_VARIANCE) / total
    return 1 - (weight * similarity_ir + (1 - weight) * similarity_vis).mean()


def similarity_map(source: Tensor, fused: Tensor) -> tuple[Tensor, Tensor]:
    """
    Return the map of similarity and that of the source's variance, (B, 1, H-6, W-6) float32.

    A variance is a small difference of squares, for which bfloat16 has no digits left.
    """
    source, fused = source.float(), fused.float()
    mean_s, mean_f = _mean(source), _mean(fused)
    variance_s = (_mean(source * source) - mean_s**2).clamp_min(0)
    variance_f = (_mean(fused * fused) - mean_f**2).clamp_min(0)
    covariance = _mean(source * fused) - mean_s * mean_f
    structure = (2 * covariance + C2) / (variance_s + variance_f + C2)
    return (2 * mean_s * mean_f + C1) / (mean_s**2 + mean_f**2 + C1) * structure, variance_s


def _mean(image: Tensor) -> Tensor:
    """Average over the windows axis by axis: a quarter of the time of avg_pool2d on a CPU."""
    for axis in (-2, -1):
        length = image.shape[axis] - WINDOW + 1
        image = sum(image.narrow(axis, start, length) for start in range(WINDOW))
    return image / WINDOW**2
