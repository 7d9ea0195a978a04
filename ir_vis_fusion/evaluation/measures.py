"""The metrics of a table: the field's abbreviations, what is better, which variant it is."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
import math

from ir_vis_fusion import metrics
from torch import Tensor


@dataclass(frozen=True)
class Measure:
    """A metric; ``digits`` are those that tables print."""

    function: Callable[[Tensor, Tensor, Tensor], Tensor]
    variant: str
    digits: int = 3
    higher_is_better: bool = True


_PSNR = 'dB, peak 255, error averaged over both sources (legacy tables: 48.13 dB more)'
MEASURES = {
    'EN': Measure(metrics.en, 'bits', 2),
    'SD': Measure(metrics.sd, 'population, 0-255', 2),
    'SF': Measure(metrics.sf, 'mean of existing differences, 0-255', 2),
    'AG': Measure(metrics.ag, 'central differences, 0-255', 2),
    'MI': Measure(metrics.mi, 'nats (bits: 1.4427 times as much), sum over both sources'),
    'SCD': Measure(metrics.scd, 'Pearson'),
    'CC': Measure(metrics.cc, 'Pearson, mean over both sources'),
    'VIF': Measure(metrics.vif, 'pixel-domain multi-scale, sum over both sources'),
    'Qabf': Measure(metrics.qabf, 'CDDFuse evaluator'),
    'Nabf': Measure(metrics.nabf, 'Shreyamsha Kumar, 0-255', higher_is_better=False),
    'SSIM': Measure(metrics.ssim, '7x7 uniform window, range 2, sum over both sources'),
    'SSIM255': Measure(
        partial(metrics.ssim, data_range=255.0),
        '7x7 uniform window, range 255, sum over both sources',
    ),
    'MS-SSIM': Measure(metrics.ms_ssim, 'Wang, range 255, sum over both sources'),
    'PSNR': Measure(metrics.psnr, _PSNR, 2),
    'MSE': Measure(metrics.mse, '0-255, mean over both sources', 1, higher_is_better=False),
    'FMI': Measure(metrics.fmi, 'edges in 3x3 windows, infrared first'),
    'Qcv': Measure(metrics.qcv, 'Chen-Varshney, heavy-tailed', 1, higher_is_better=False),
    'QCB': Measure(metrics.qcb, 'Chen-Blum'),
}
# What the four scales of VIF need.
LEAST_SIDE = 41


def measure(fused: Tensor, ir: Tensor, vis_y: Tensor) -> dict[str, float | None]:
    """
    Return every metric of one image, None where it is undefined.

    Parameters
    ----------
    fused, ir, vis_y
        (1, 1, H, W), whole numbers in 0-255, H and W at least 41.

    """
    values = {name: one.function(fused, ir, vis_y).item() for name, one in MEASURES.items()}
    return {name: value if math.isfinite(value) else None for name, value in values.items()}
