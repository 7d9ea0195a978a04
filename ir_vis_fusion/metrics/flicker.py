"""Flicker: how much the fused video changes where its sources do not."""

import torch
from torch import Tensor


def flicker(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Measure, from image to image, the change of the fused luma that its sources do not explain.

    .. math::
        flicker_t = \frac{1}{HW} \sum \max(0, |\Delta F| - \max(|\Delta A|, |\Delta B|)),
        \quad \Delta F = F_{t+1} - F_t

    Lower is better; 0 for a copy of either source and for anything between the two of fixed
    weights, their pixel-wise maximum and minimum included: max(a, b) never changes by more
    than the more changed of a and b. Noise that a fusion amplifies raises it, motion alone does
    not. It is 0 for a still image too, so it says something only beside the other metrics.

    Variant: ours; published ones warp by optical flow, whose own errors exceed what is measured.

    Parameters
    ----------
    fused, ir, vis_y
        (T, 1, H, W) in 0-255, images of one video in the order of time.

    Returns
    -------
    (T - 1,) float64, grey levels; the mean of several stands for a video.

    """
    changes = [video.double().diff(dim=0).abs() for video in (fused, ir, vis_y)]
    explained = torch.maximum(changes[1], changes[2])
    return (changes[0] - explained).clamp(min=0).mean((1, 2, 3))
