"""Prompts learned as vectors of CLIP's joint space, one for each kind of image."""

import torch
from torch import nn, Tensor
from torch.nn.functional import normalize

KINDS = ('ir', 'vi', 'fu')


class PromptNetwork(nn.Module):
    """
    The prompt generation network of CLIPFusion: what infrared, visible, fused look like.

    "CLIPFusion", Displays 89:103042, 2025, gives the idea; the scheme is that of CLIP-LIT
    (Liang et al., ICCV 2023). There, a prompt is 16 tokens that pass through the frozen text
    tower; here it is the vector in the joint space itself, so that no text tower is needed. The
    conditioning on the image is as in CoCoOp (Zhou et al., CVPR 2022): one offset, drawn
    from the image, moves all prompts,

    ::

        t_k(x) = u(u(p_k) + weight * MLP(x)),  MLP: features -> hidden -> features, GELU

    with u(x) = x / |x|. `hidden` 0 switches it off.

    Parameters
    ----------
    features
        Dimension of CLIP's joint space.
    hidden
        Width of the MLP; 0: the prompts are the same for every image.
    weight
        Weight of the offset.

    """

    def __init__(self, features: int = 512, hidden: int = 128, weight: float = 0.1) -> None:
        super().__init__()
        if features < 1 or hidden < 0:
            raise ValueError('features must be 1 or more, hidden 0 or more')
        self.weight = weight
        self.prompts = nn.Parameter(torch.randn(len(KINDS), features) * features**-0.5)
        self.offset = None
        if hidden:
            self.offset = nn.Sequential(
                nn.Linear(features, hidden), nn.GELU(), nn.Linear(hidden, features)
            )

    def forward(self, images: Tensor | None = None) -> Tensor:
        """
        Return the prompts as unit vectors, in the order of :data:`KINDS`.

        Parameters
        ----------
        images
            Image embeddings that the prompts are conditioned on, (B, E) of any length; None
            for the prompts by themselves.

        Returns
        -------
        (3, E) without `images` or without conditioning, else (B, 3, E).

        """
        prompts = normalize(self.prompts, dim=-1)
        if images is None or self.offset is None:
            return prompts
        offsets = self.offset(normalize(images, dim=-1))
        return normalize(prompts + self.weight * offsets[..., None, :], dim=-1)

    def bank(self) -> dict[str, Tensor]:
        """Return the unconditioned prompts by the names of their kinds, each (E,)."""
        return dict(zip(KINDS, self().detach().unbind(), strict=True))
