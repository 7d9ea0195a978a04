"""What a thermal camera tells besides the picture: temperatures, hot regions, a view to check."""

import math

from ir_vis_fusion.config import HotMaskSettings, ThermalSettings
from ir_vis_fusion.preprocessing.units import Units, ZERO_C
from ir_vis_fusion.types import PixelEncoding
import torch

_SAMPLES = 9000
_LARGEST = 65535


def as_counts(measured: torch.Tensor) -> torch.Tensor:
    """Turn (H, W) float32 numbers into uint16, rounded and clamped; 0 where there is none."""
    counts = measured.add(0.5).clamp_(0, _LARGEST).nan_to_num_(nan=0.0)
    # CUDA knows few operations on uint16, copies among them.
    return counts.to(torch.int32).to(torch.uint16)


def hot_threshold(
    measured: torch.Tensor, units: Units, settings: HotMaskSettings, thermal: ThermalSettings
) -> torch.Tensor | float:
    """
    Return the number from which a pixel is hot.

    Where units are known, that of ``threshold_c``; else the percentile, but no less than half of
    the minimum span above the median: in a flat scene nothing is hot.

    Parameters
    ----------
    measured
        (H, W) float32, NaN where there is no number.
    units
        What these numbers mean.
    settings, thermal
        Threshold, percentile and the smallest span of unknown units.

    """
    if units.scale is not None:
        return units.value(settings.threshold_c + ZERO_C)
    step = max(1, math.isqrt(measured.numel() // _SAMPLES))
    ranks = torch.tensor([settings.percentile / 100, 0.5], device=measured.device)
    high, median = measured[::step, ::step].flatten().nanquantile(ranks)
    return torch.maximum(high, median + thermal.min_span_counts / 2)


def hot_mask(measured: torch.Tensor, threshold: torch.Tensor | float) -> torch.Tensor:
    """Return (H, W) uint8, 255 from the threshold on; where there is no number nothing is hot."""
    return (measured >= threshold).to(torch.uint8).mul_(255)


def side_by_side(
    ir: torch.Tensor, visible: torch.Tensor, fused: torch.Tensor, encoding: PixelEncoding
) -> torch.Tensor:
    """
    Return thermal, visible and fused image beside each other, (H, 3 W, 3) uint8 RGB.

    Parameters
    ----------
    ir
        (H, W) float32 in [0, 1].
    visible, fused
        (H, W, 3) uint8.
    encoding
        The order of colours of both.

    """
    grey = (ir * 255).round_().to(torch.uint8)[..., None].expand(-1, -1, 3)
    pictures = [visible, fused]
    if encoding is PixelEncoding.BGR8:
        pictures = [picture.flip(-1) for picture in pictures]
    return torch.cat([grey, *pictures], dim=1)
