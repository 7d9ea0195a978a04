"""Losses of the recipes: pure functions on (B, 1, H, W) tensors in [0, 1], one a file."""

from training.losses.gradient import gradient_loss
from training.losses.intensity import intensity_loss
from training.losses.ssim import ssim_loss

__all__ = ['gradient_loss', 'intensity_loss', 'ssim_loss']
