"""Perceptual: features of a frozen network instead of pixels."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional


def perceptual_loss(fused: Sequence[Tensor], target: Sequence[Tensor]) -> Tensor:
    r"""
    Mean squared distance of features, averaged over the layers.

    .. math::
        \frac{1}{L} \sum_l \frac{1}{N_l} \lVert \phi_l(F) - \phi_l^* \rVert_2^2

    Wang et al., LDFusion, ACM MM 2025, public code, with VGG-19 and the :func:`strongest`
    features of the sources as target; those of the teacher's image distil, as in AgentFuse.
    Differs: both sum over the layers, which is L times as much (three for LDFusion).

    Parameters
    ----------
    fused, target
        One tensor a layer, shapes alike: maps (B, C, H, W) of :class:`training.vgg.Vgg19` or
        tokens (B, patches, width) of a CLIP.

    Returns
    -------
    A scalar.

    """
    pairs = zip(fused, target, strict=True)
    return torch.stack([functional.mse_loss(f.float(), t.float()) for f, t in pairs]).mean()


def strongest(first: Sequence[Tensor], second: Sequence[Tensor]) -> list[Tensor]:
    """Return the larger one of each feature of two sources, layer by layer."""
    return [torch.maximum(one, other) for one, other in zip(first, second, strict=True)]
