"""SSIM of the fused image to both sources."""

from ir_vis_fusion.metrics.windows import blur
from torch import Tensor

WINDOW = 7
# scikit-image 0.19 assumes this range for float images when none is given.
DATA_RANGE = 2.0


def ssim(fused: Tensor, ir: Tensor, vis_y: Tensor, data_range: float = DATA_RANGE) -> Tensor:
    r"""
    Sum the structural similarity to both sources; at most 2, higher is better.

    .. math::
        SSIM(X, F) = \frac{(2 \mu_X \mu_F + C_1)(2 \sigma_{XF} + C_2)}
                          {(\mu_X^2 + \mu_F^2 + C_1)(\sigma_X^2 + \sigma_F^2 + C_2)}

    with C_1 = (0.01 L)^2, C_2 = (0.03 L)^2, averaged over the pixels whose window lies inside.

    Variant: CDDFuse ``utils/Evaluator.py``, which is scikit-image 0.19's
    ``structural_similarity`` with its defaults: 7x7 uniform window, sample covariance
    (divided by 48), and data range L = 2 although the values are 0-255. With
    ``data_range=255`` it is the variant called SSIM255, that of FILM.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in 0-255, H and W at least 7.
    data_range
        L of the formula.

    Returns
    -------
    (B,) float64.

    """
    fused = fused.double()
    return _ssim(ir.double(), fused, data_range) + _ssim(vis_y.double(), fused, data_range)


def _ssim(source: Tensor, fused: Tensor, data_range: float) -> Tensor:
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    mean_s, mean_f = _mean(source), _mean(fused)
    sample = WINDOW**2 / (WINDOW**2 - 1)
    var_s = sample * (_mean(source * source) - mean_s * mean_s)
    var_f = sample * (_mean(fused * fused) - mean_f * mean_f)
    covariance = sample * (_mean(source * fused) - mean_s * mean_f)
    numerator = (2 * mean_s * mean_f + c1) * (2 * covariance + c2)
    denominator = (mean_s**2 + mean_f**2 + c1) * (var_s + var_f + c2)
    return (numerator / denominator).mean((1, 2, 3))


def _mean(image: Tensor) -> Tensor:
    return blur(image, [1 / WINDOW] * WINDOW)
