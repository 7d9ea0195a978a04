"""The anchor of the recipes: brightness, edges and structure of both sources."""

from dataclasses import dataclass

from ir_vis_fusion.config import setting, Settings
from torch import Tensor
from training.augmentations import Batch
from training.losses import gradient_loss, intensity_loss, ssim_loss


@dataclass(frozen=True)
class FidelitySettings(Settings):
    """Weights of its three terms; what was tried stands in ``training/LOG.md``."""

    intensity: float = setting(3.0, 'weight of the brighter source', minimum=0)
    gradient: float = setting(10.0, 'weight of the stronger edge', minimum=0)
    ssim: float = setting(1.0, 'weight of the structure of both sources', minimum=0)


def fidelity(weights: FidelitySettings, fused: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Return the weighted terms of a fused luma (B, 1, S, S) against the clean sources."""
    sources = batch.clean_ir, batch.clean_vis_y
    return {
        'intensity': weights.intensity * intensity_loss(fused, *sources),
        'gradient': weights.gradient * gradient_loss(fused, *sources),
        'ssim': weights.ssim * ssim_loss(fused, *sources),
    }
