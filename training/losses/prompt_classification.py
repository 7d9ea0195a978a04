"""Prompt classification: an image is told by the prompt of its kind."""

import torch
from torch import Tensor
from torch.nn import functional
from training.losses.cosine import unit

LOGIT_SCALE = 100.0


def prompt_classification_loss(images: Tensor, prompts: Tensor, kind: int | Tensor) -> Tensor:
    """
    Cross-entropy of the cosines to the prompts, times 100.

    As in CLIP-LIT (Liang et al., ICCV 2023), with K prompts for its two. It trains
    the prompts on images of known kind, and the fusion network on its result being of the fused
    kind.

    Parameters
    ----------
    images
        Image embeddings, (B, E) of any length.
    prompts
        (K, E), or (B, K, E) where they are conditioned on the image.
    kind
        Index of the prompt that is right: one for all or (B,).

    Returns
    -------
    A scalar.

    """
    logits = prompt_logits(images, prompts)
    if not isinstance(kind, Tensor):
        kind = torch.full(logits.shape[:1], kind, device=logits.device)
    return functional.cross_entropy(logits, kind)


def prompt_logits(images: Tensor, prompts: Tensor) -> Tensor:
    """Return 100 times the cosines of images (B, E) to prompts ([B,] K, E), (B, K)."""
    return LOGIT_SCALE * (unit(images)[:, None] * unit(prompts)).sum(-1)
