"""PSNR and MSE of the fused image against both sources."""

import math

import torch
from torch import Tensor

PEAK = 255.0


def mse(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Average the mean square error to both sources on 0-255; lower is better.

    .. math::
        MSE = \frac{1}{2 HW} \sum (A - F)^2 + (B - F)^2

    Variant: CDDFuse ``utils/Evaluator.py``. Tables with values about 0.05 are on 0-1.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in 0-255.

    Returns
    -------
    (B,) float64.

    """
    fused = fused.double()
    errors = ((source.double() - fused) ** 2 for source in (ir, vis_y))
    return sum(error.mean((1, 2, 3)) for error in errors) / 2


def psnr(fused: Tensor, ir: Tensor, vis_y: Tensor, legacy: bool = False) -> Tensor:
    r"""
    Express the mean square error to both sources in dB; infinite where F = A = B.

    .. math::
        PSNR = 10 \log_{10}(255^2 / MSE)

    The pixel mean has the highest value there can be.

    Variant: peak 255 and the MSE averaged over both sources. CDDFuse takes the largest value of
    F as peak. Tang's evaluator, IVIF-ZOO and VIFB print 57 to 66 dB because they compare an
    error on 0-1 with a peak of 255, which adds 20 log10(255) = 48.13 dB: ``legacy=True``.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in 0-255.
    legacy
        Whether to add the 48.13 dB of older tables.

    Returns
    -------
    (B,) float64.

    """
    value = 10 * torch.log10(PEAK**2 / mse(fused, ir, vis_y))
    return value + 20 * math.log10(PEAK) if legacy else value
