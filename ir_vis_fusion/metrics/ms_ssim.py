"""MS-SSIM of the fused image to both sources."""

from ir_vis_fusion.metrics.windows import blur, gaussian
import torch
from torch import Tensor
from torch.nn import functional

SIDE = 11
WINDOW = gaussian(SIDE, 1.5)
DATA_RANGE = 255.0
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
LEAST_SIDE = SIDE * 2 ** (len(WEIGHTS) - 1)


def ms_ssim(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Sum the multi-scale structural similarity to both sources; at most 2, higher is better.

    .. math::
        MSSSIM(X, F) = l_5^{w_5} \prod_{s = 1}^{5} cs_s^{w_s}, \quad
        l = \overline{\frac{2 \mu_X \mu_F + C_1}{\mu_X^2 + \mu_F^2 + C_1}}, \quad
        cs = \overline{\frac{2 \sigma_{XF} + C_2}{\sigma_X^2 + \sigma_F^2 + C_2}}

    with 11x11 Gaussian windows (sigma 1.5, 'valid' filtering), each scale half of the one
    before (2x2 means), C_1 = (0.01 L)^2, C_2 = (0.03 L)^2, L = 255, negative cs taken as 0 and
    l_5 averaged as the product with cs_5.

    Variant: Wang, Simoncelli and Bovik 2003, summed over both sources as in IVIF-ZOO. Tang's
    evaluator prints Ma's MEF-SSIM under this name, which is another metric. NaN where a side
    is below 176 pixels, for the fifth scale then has no window.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in 0-255.

    Returns
    -------
    (B,) float64.

    """
    fused = fused.double()
    if min(fused.shape[-2:]) < LEAST_SIDE:
        return torch.full_like(fused[:, 0, 0, 0], torch.nan)
    return _ms_ssim(ir.double(), fused) + _ms_ssim(vis_y.double(), fused)


def _ms_ssim(source: Tensor, fused: Tensor) -> Tensor:
    product = 1.0
    for scale, weight in enumerate(WEIGHTS, 1):
        luminance, structure = local_terms(source, fused)
        if scale == len(WEIGHTS):
            structure = luminance * structure
        product = product * structure.mean((1, 2, 3)).clamp_min(0) ** weight
        source, fused = functional.avg_pool2d(source, 2), functional.avg_pool2d(fused, 2)
    return product


def local_terms(source: Tensor, fused: Tensor) -> tuple[Tensor, Tensor]:
    """Return l and cs of one scale, before they are averaged."""
    c1, c2 = (0.01 * DATA_RANGE) ** 2, (0.03 * DATA_RANGE) ** 2
    products = torch.cat((source, fused, source**2, fused**2, source * fused))
    mean_s, mean_f, mean_ss, mean_ff, mean_sf = blur(products, WINDOW).chunk(5)
    square_s, square_f, both = mean_s**2, mean_f**2, mean_s * mean_f
    luminance = (2 * both + c1) / (square_s + square_f + c1)
    variances = mean_ss - square_s + mean_ff - square_f
    return luminance, (2 * (mean_sf - both) + c2) / (variances + c2)
