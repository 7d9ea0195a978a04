"""Qcv: error to both sources as an eye would see it, weighted by where edges are strong."""

from ir_vis_fusion.metrics.frequency import filtered, radius, stretch
import torch
from torch import Tensor
from torch.nn import functional

BLOCK = 16
SALIENCY_POWER = 5
SOBEL_X = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))


def qcv(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Measure the visible error to the more salient source; lower is better, 0 where F = A = B.

    .. math::
        Q = \frac{\sum_b \lambda_A D_A + \lambda_B D_B}{\sum_b \lambda_A + \lambda_B}, \quad
        \lambda_X = \sum_{p \in b} g_X^5, \quad D_X = \overline{((X - F) * h)^2}

    over blocks b of 16x16, with the Sobel magnitude g, and h the contrast sensitivity
    2.6 (0.0192 + 0.144 r) exp(-(0.144 r)^1.1), where the highest frequency of an axis of N
    pixels is r = N / 8. Each image is first stretched to its full range and rounded.

    Variant: Chen and Varshney 2007 as in ``metricChen.m`` (Liu's fusion toolbox, VIFB); zeros
    around the image for Sobel, zeros fill blocks that stick out. A few images dominate its
    mean, so look at the median as well. NaN where both sources are flat.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in 0-255.

    Returns
    -------
    (B,) float64.

    """
    fused = stretch(fused.double())
    frequency = radius(fused, cycles=8)
    eye = 2.6 * (0.0192 + 0.144 * frequency) * torch.exp(-((0.144 * frequency) ** 1.1))
    errors, weights = 0.0, 0.0
    for source in (ir, vis_y):
        source = stretch(source.double())
        saliency = _blocks(_edges(source) ** SALIENCY_POWER)
        error = _blocks(filtered(source - fused, eye) ** 2) / BLOCK**2
        errors = errors + (saliency * error).sum((1, 2, 3))
        weights = weights + saliency.sum((1, 2, 3))
    return errors / weights


def _edges(image: Tensor) -> Tensor:
    kernel = torch.tensor(SOBEL_X, dtype=image.dtype, device=image.device)
    kernels = torch.stack((kernel, kernel.T))[:, None]
    across, down = functional.conv2d(image, kernels, padding=1).split(1, dim=1)
    return torch.hypot(across, down)


def _blocks(image: Tensor) -> Tensor:
    """Sum over blocks."""
    height, width = image.shape[-2:]
    image = functional.pad(image, (0, -width % BLOCK, 0, -height % BLOCK))
    return functional.avg_pool2d(image, BLOCK) * BLOCK**2
