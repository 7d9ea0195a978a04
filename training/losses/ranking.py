"""Ranking: prompts that order sources, older results and newer results."""

from torch import Tensor
from training.losses.prompt_classification import prompt_logits


def ranking_loss(
    sources: Tensor,
    older: Tensor,
    newer: Tensor | None = None,
    outer_margin: float = 0.9,
    inner_margin: float = 0.2,
) -> Tensor:
    r"""
    Margin ranking of the probability of being fused.

    .. math::
        \max(0, s(source) - s(old) + 0.9) + \max(0, s(old) - s(new) + 0.2)

    after the prompt tuning of CLIP-LIT (Liang et al., ICCV 2023), without its term for
    a reference, which fusion has not. Each term is a mean over the batch.

    Parameters
    ----------
    sources, older, newer
        Scores of :func:`fused_probability`, (B,) each; `newer` is None where the newer network
        was not measured to be better.
    outer_margin, inner_margin
        By how much results must lead sources, and newer results older ones.

    Returns
    -------
    A scalar.

    """
    loss = (sources - older + outer_margin).relu().mean()
    if newer is None:
        return loss
    return loss + (older - newer + inner_margin).relu().mean()


def fused_probability(images: Tensor, prompts: Tensor, kind: int = 2) -> Tensor:
    """
    Return the probability that images are of a kind, (B,).

    Parameters
    ----------
    images
        Image embeddings, (B, E) of any length.
    prompts
        (K, E), or (B, K, E) where they are conditioned on the image.
    kind
        Index of the prompt of fused images.

    """
    return prompt_logits(images, prompts).softmax(-1)[:, kind]
