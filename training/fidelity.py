"""What every recipe asks of the luma: brightness, edges and structure of both sources."""

from dataclasses import dataclass

from ir_vis_fusion.config import setting, Settings
from torch import Tensor
from training.augmentations import Batch
from training.losses import (
    added_edges_loss,
    axis_gradient_loss,
    block_steps_loss,
    differences_loss,
    edge_loss,
    edge_transfer_loss,
    fine_structure_loss,
    gradient_loss,
    information_loss,
    intensity_loss,
    level_loss,
    salience_loss,
    ssim_loss,
    structure_loss,
)

TERMS = {
    'intensity': intensity_loss,
    'level': level_loss,
    'salience': salience_loss,
    'gradient': gradient_loss,
    'edges': edge_loss,
    'axis_gradient': axis_gradient_loss,
    'ssim': ssim_loss,
    'structure': structure_loss,
    'added_edges': added_edges_loss,
    'block_steps': block_steps_loss,
    'edge_transfer': edge_transfer_loss,
    'fine_structure': fine_structure_loss,
    'information': information_loss,
    'differences': differences_loss,
}


@dataclass(frozen=True)
class FidelitySettings(Settings):
    """Weights of its terms; what was tried stands in ``training/LOG.md``."""

    intensity: float = setting(3.0, 'weight of the brighter source', minimum=0)
    level: float = setting(
        0.0, 'weight of the brighter source without haze, the darker one adding up', minimum=0
    )
    salience: float = setting(0.0, 'weight of the source that has the edges', minimum=0)
    gradient: float = setting(10.0, 'weight of the stronger edge, with its sign', minimum=0)
    edges: float = setting(0.0, 'weight of its magnitude alone (MGFusion)', minimum=0)
    axis_gradient: float = setting(0.0, 'the same by axis (Text-IF)', minimum=0)
    ssim: float = setting(1.0, 'weight of the structure of whichever source has it', minimum=0)
    structure: float = setting(0.0, 'weight of that of both sources alike (Text-IF)', minimum=0)
    added_edges: float = setting(0.0, 'weight of halos and other new edges', minimum=0)
    block_steps: float = setting(0.0, "weight of steps between the student's blocks", minimum=0)
    edge_transfer: float = setting(0.0, 'weight of the edges of both sources', minimum=0)
    fine_structure: float = setting(0.0, 'weight of structure in dark places too', minimum=0)
    information: float = setting(0.0, 'weight of what both sources tell', minimum=0)
    differences: float = setting(0.0, 'weight of brightness that adds up', minimum=0)


def fidelity(weights: FidelitySettings, fused: Tensor, batch: Batch) -> dict[str, Tensor]:
    """Return the weighted terms of a fused luma (B, 1, S, S) against the clean sources."""
    sources = batch.clean_ir, batch.clean_vis_y
    return {
        name: weight * term(fused, *sources)
        for name, term in TERMS.items()
        if (weight := getattr(weights, name))
    }
