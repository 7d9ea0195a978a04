"""Balance: the fused image is as near to the infrared prompt as to the visible one."""

from torch import Tensor
from training.losses.cosine import cosine


def balance_loss(fused: Tensor, infrared_prompt: Tensor, visible_prompt: Tensor) -> Tensor:
    r"""
    Mean difference of the cosines to the prompts of the sources.

    .. math::
        |\cos(f, t_{ir}) - \cos(f, t_{vi})|

    Our reading of the abstract of CLIPFusion (Displays 89:103042, 2025), by which the distance
    of the fused image to the different prompts is constrained.

    Parameters
    ----------
    fused
        Image embeddings, (B, E) of any length.
    infrared_prompt, visible_prompt
        (E,), or (B, E) where they are conditioned on the image.

    Returns
    -------
    A scalar in [0, 2].

    """
    return (cosine(fused, infrared_prompt) - cosine(fused, visible_prompt)).abs().mean()
