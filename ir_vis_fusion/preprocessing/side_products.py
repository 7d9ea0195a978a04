"""What a thermal camera tells besides the picture: temperatures, hot regions, a view to check."""

from collections.abc import Set
from dataclasses import dataclass
import math

from ir_vis_fusion.config import HotMaskSettings
from ir_vis_fusion.preprocessing.front_end import ThermalFrontEnd, ThermalImage
from ir_vis_fusion.preprocessing.levels import to_type
from ir_vis_fusion.preprocessing.units import Units, ZERO_C
from ir_vis_fusion.preprocessing.view import register, View
from ir_vis_fusion.types import PixelEncoding, SideProduct, ThermalState
import numpy as np
import torch

_SAMPLES = 9000
_LARGEST = 65535


@dataclass(frozen=True, eq=False)
class Pictures:
    """Visible and fused image, (H, W, 3) uint8 on one device, in one order of colours."""

    visible: torch.Tensor
    fused: torch.Tensor
    encoding: PixelEncoding


@dataclass(frozen=True, eq=False)
class Place:
    """The visible view: its size (H, W), and how it sees the thermal image, None: as its own."""

    size: tuple[int, int]
    view: View | None

    def register(self, image: torch.Tensor) -> torch.Tensor:
        """Return a thermal image (H', W') float32 in the visible view, NaN outside its own."""
        registered = register(image, self.size, self.view)
        if self.view is None or self.view.mask is None:
            return registered
        return registered.masked_fill(self.view.mask == 0, math.nan)


def make_side_products(
    wanted: Set[SideProduct],
    thermal: ThermalImage,
    place: Place,
    front_end: ThermalFrontEnd,
    settings: HotMaskSettings,
    pictures: Pictures | None = None,
) -> dict[str, np.ndarray]:
    """
    Return what is wanted, by the field of FusedFrame, on the CPU.

    Nothing where the thermal image is not live, and no view of all three without ``pictures``.
    """
    products = {}
    if not wanted or thermal.state is not ThermalState.LIVE:
        return products
    if wanted & {SideProduct.THERMAL_REGISTERED, SideProduct.HOT_MASK}:
        measured, units = front_end.measure(thermal)
        registered = place.register(measured)
        if SideProduct.THERMAL_REGISTERED in wanted:
            products['thermal_registered'] = as_counts(registered)
        if SideProduct.HOT_MASK in wanted:
            least_span = front_end.least_span(thermal)
            threshold = hot_threshold(measured, units, settings, least_span)
            products['hot_mask'] = hot_mask(registered, threshold)
    if SideProduct.SIDE_BY_SIDE in wanted and pictures is not None:
        ir = to_type(thermal.ir, torch.float32)
        products['side_by_side'] = side_by_side(place.register(ir), pictures)
    return {name: product.cpu().numpy() for name, product in products.items()}


def as_counts(measured: torch.Tensor) -> torch.Tensor:
    """Turn (H, W) float32 numbers into uint16, rounded and clamped; 0 where there is none."""
    counts = measured.add(0.5).clamp_(0, _LARGEST).nan_to_num_(nan=0.0)
    # CUDA knows few operations on uint16, copies among them.
    return counts.to(torch.int32).to(torch.uint16)


def hot_threshold(
    measured: torch.Tensor, units: Units, settings: HotMaskSettings, least_span: float
) -> torch.Tensor | float:
    """
    Return the number from which a pixel is hot.

    Where units are known, that of ``threshold_c``; else the percentile, but not less than half of
    the minimum span above the median: in a flat scene nothing is hot.

    Parameters
    ----------
    measured
        (H, W) float32, NaN where there is no number.
    units
        What these numbers mean.
    settings
        Threshold and percentile.
    least_span
        The minimum span of unknown units.

    """
    if units.scale is not None:
        return units.value(settings.threshold_c + ZERO_C)
    step = max(1, math.isqrt(measured.numel() // _SAMPLES))
    ranks = torch.tensor([settings.percentile / 100, 0.5], device=measured.device)
    high, median = measured[::step, ::step].flatten().nanquantile(ranks)
    return torch.maximum(high, median + least_span / 2)


def hot_mask(measured: torch.Tensor, threshold: torch.Tensor | float) -> torch.Tensor:
    """Return (H, W) uint8, 255 from the threshold on; where there is no number nothing is hot."""
    return (measured >= threshold).to(torch.uint8).mul_(255)


def side_by_side(ir: torch.Tensor, pictures: Pictures) -> torch.Tensor:
    """Return thermal (H, W) in [0, 1], visible and fused, (H, 3 W, 3) uint8 RGB."""
    grey = (ir.nan_to_num(nan=0.0) * 255).round_().to(torch.uint8)
    colors = [pictures.visible, pictures.fused]
    if pictures.encoding is PixelEncoding.BGR8:
        colors = [color.flip(-1) for color in colors]
    return torch.cat([grey[..., None].expand(-1, -1, 3), *colors], dim=1)
