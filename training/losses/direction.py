"""Language-driven direction: from each source the image moves as the texts say."""

from torch import Tensor
from training.losses.cosine import cosine, unit


def direction_loss(
    fused: Tensor,
    visible: Tensor,
    infrared: Tensor,
    text_fused: Tensor,
    text_visible: Tensor,
    text_infrared: Tensor,
    accepted: Tensor | None = None,
) -> Tensor:
    r"""
    One minus the cosine of the way in image space and the way in text space, for both sources.

    .. math::
        L_{dir} = \frac{1}{N} \sum_{X \in \{vs, ir\}} \frac{1}{2} \left(1 - \cos\left(
        u(\tilde V_f) - u(\tilde V_X),\; u(V_f) - u(V_X) \right)\right)

    Wang et al., LDFusion, ACM MM 2025, language-driven loss; the global form with embeddings of
    whole images, the patch form with those of patches of the fused image and, as in the public
    code, of the whole sources. Differs in its arithmetic: float32 with an epsilon, where the
    code's half precision gives NaN for a fused image that equals a source.

    Parameters
    ----------
    fused, visible, infrared
        Image embeddings (..., E), of any length, that broadcast against each other: patches
        (N, B, E) against sources (B, E).
    text_fused, text_visible, text_infrared
        Text embeddings or learned prompts (E,) or (B, E), of any length.
    accepted
        (...) bool: what counts; the others add 0 and stay in the denominator of the mean.

    Returns
    -------
    A scalar in [0, 2].

    """
    loss = 0.0
    for source, text in ((visible, text_visible), (infrared, text_infrared)):
        moved = unit(fused) - unit(source)
        told = unit(text_fused) - unit(text)
        loss = loss + (1 - cosine(moved, told)) / 2
    return (loss if accepted is None else loss * accepted).mean()
