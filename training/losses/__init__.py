"""
Losses of the recipes: pure functions of tensors, one a file.

On images, (B, 1, H, W) in [0, 1], or on embeddings of CLIP, (B, E).
"""

from training.losses.balance import balance_loss
from training.losses.direction import direction_loss
from training.losses.gradient import gradient_loss
from training.losses.intensity import intensity_loss
from training.losses.patches import accept_patches, cut_patches, draw_windows
from training.losses.prompt_classification import prompt_classification_loss
from training.losses.ranking import fused_probability, ranking_loss
from training.losses.similarity import similarity_loss
from training.losses.ssim import ssim_loss

__all__ = [
    'accept_patches',
    'balance_loss',
    'cut_patches',
    'direction_loss',
    'draw_windows',
    'fused_probability',
    'gradient_loss',
    'intensity_loss',
    'prompt_classification_loss',
    'ranking_loss',
    'similarity_loss',
    'ssim_loss',
]
