"""VIF: visual information that the fused image carries about both sources."""

from ir_vis_fusion.metrics.windows import blur, gaussian
import torch
from torch import Tensor

NOISE_VARIANCE = 2.0
SCALES = 4
EPSILON = 1e-10


def vif(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Sum the visual information fidelity to both sources; F = A = B gives 2.

    .. math::
        VIF(X, F) = \frac{\sum_s \log_{10}(1 + g^2 \sigma_X^2 / (\sigma_v^2 + 2))}
                         {\sum_s \log_{10}(1 + \sigma_X^2 / 2)},
        \quad g = \sigma_{XF} / \sigma_X^2, \quad \sigma_v^2 = \sigma_F^2 - g \sigma_{XF}

    over four scales s with Gaussian windows of N = 17, 9, 5, 3 pixels, sigma = N / 5, 'valid'
    filtering, and filtering plus decimation by two before scales 2 to 4.

    Variant: pixel-domain multi-scale VIFP (Sheikh and Bovik 2006, ``vifp_mscale.m``), summed
    over both sources as in CDDFuse ``utils/Evaluator.py`` (there called VIFF), so that a copy
    of one source scores at least 1. It is not Han's VIFF.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in 0-255, H and W at least 41 for the four scales to fit.

    Returns
    -------
    (B,) float64.

    """
    fused = fused.double()
    return _vifp(ir.double(), fused) + _vifp(vis_y.double(), fused)


def _vifp(source: Tensor, fused: Tensor) -> Tensor:
    """Return the information about one source; names as in vifp_mscale.m."""
    kept, offered = 0.0, 0.0
    for scale in range(1, SCALES + 1):
        size = 2 ** (SCALES - scale + 1) + 1
        window = gaussian(size, size / 5)
        if scale > 1:
            source = blur(source, window)[..., ::2, ::2]
            fused = blur(fused, window)[..., ::2, ::2]
        mean_s, mean_f = blur(source, window), blur(fused, window)
        var_s = (blur(source * source, window) - mean_s**2).clamp_min(0)
        var_f = (blur(fused * fused, window) - mean_f**2).clamp_min(0)
        covariance = blur(source * fused, window) - mean_s * mean_f
        gain = covariance / (var_s + EPSILON)
        noise = var_f - gain * covariance
        gain = gain.masked_fill(var_s < EPSILON, 0.0)
        noise = torch.where(var_s < EPSILON, var_f, noise)
        var_s = var_s.masked_fill(var_s < EPSILON, 0.0)
        gain = gain.masked_fill(var_f < EPSILON, 0.0)
        noise = noise.masked_fill(var_f < EPSILON, 0.0)
        noise = torch.where(gain < 0, var_f, noise)
        gain = gain.clamp_min(0)
        noise = noise.clamp_min(EPSILON)
        kept = kept + torch.log10(1 + gain**2 * var_s / (noise + NOISE_VARIANCE)).sum((1, 2, 3))
        offered = offered + torch.log10(1 + var_s / NOISE_VARIANCE).sum((1, 2, 3))
    return kept / offered
