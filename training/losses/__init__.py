"""
Losses of the recipes: pure functions of tensors, one a file.

On images, (B, 1, H, W) grey or (B, 3, H, W) RGB in [0, 1], on features of a frozen network,
or on embeddings of CLIP, (B, E).
"""

from training.losses.added_edges import added_edges_loss
from training.losses.axis_gradient import axis_gradient_loss
from training.losses.balance import balance_loss
from training.losses.block_steps import block_steps_loss
from training.losses.chroma import chroma_loss
from training.losses.consistency import consistency_loss
from training.losses.differences import differences_loss
from training.losses.direction import direction_loss
from training.losses.distillation import distillation_loss
from training.losses.edge_transfer import edge_transfer_loss
from training.losses.edges import edge_loss
from training.losses.fine_structure import fine_structure_loss
from training.losses.gradient import gradient_loss
from training.losses.information import information_loss
from training.losses.intensity import intensity_loss
from training.losses.level import level_loss
from training.losses.patches import accept_patches, cut_patches, draw_windows
from training.losses.perceptual import perceptual_loss, strongest
from training.losses.prompt_classification import prompt_classification_loss
from training.losses.ranking import fused_probability, ranking_loss
from training.losses.salience import salience_loss
from training.losses.selective_intensity import selective_intensity_loss
from training.losses.similarity import similarity_loss
from training.losses.ssim import ssim_loss
from training.losses.structure import structure_loss

__all__ = [
    'accept_patches',
    'added_edges_loss',
    'axis_gradient_loss',
    'balance_loss',
    'block_steps_loss',
    'chroma_loss',
    'consistency_loss',
    'cut_patches',
    'differences_loss',
    'direction_loss',
    'distillation_loss',
    'draw_windows',
    'edge_loss',
    'edge_transfer_loss',
    'fine_structure_loss',
    'fused_probability',
    'gradient_loss',
    'information_loss',
    'intensity_loss',
    'level_loss',
    'perceptual_loss',
    'prompt_classification_loss',
    'ranking_loss',
    'salience_loss',
    'selective_intensity_loss',
    'similarity_loss',
    'ssim_loss',
    'strongest',
    'structure_loss',
]
