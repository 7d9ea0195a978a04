"""Similarity: the fused image does not leave its sources in CLIP's space."""

from torch import Tensor
from training.losses.cosine import cosine


def similarity_loss(
    fused: Tensor, visible: Tensor, infrared: Tensor, visible_weight: float = 0.5
) -> Tensor:
    r"""
    Weighted distance of the fused image's embedding to those of its sources.

    .. math::
        L_{sim} = w (1 - \cos(\tilde V_f, \tilde V_{vs}))
        + (1 - w) (1 - \cos(\tilde V_f, \tilde V_{ir}))

    The regulariser of LDFusion (Wang et al., ACM MM 2025, public code; w = 1/2 there, 0.35 in
    the first version): it holds back the text-like artefacts that gradients of CLIP paint.

    Parameters
    ----------
    fused, visible, infrared
        Image embeddings (..., E), of any length.
    visible_weight
        w; the infrared has the rest.

    Returns
    -------
    A scalar in [0, 2].

    """
    to_visible = 1 - cosine(fused, visible)
    to_infrared = 1 - cosine(fused, infrared)
    return (visible_weight * to_visible + (1 - visible_weight) * to_infrared).mean()
