"""Entropy of grey levels, alone and jointly, by counting."""

import torch
from torch import Tensor

LEVELS = 256


def entropy(*images: Tensor) -> Tensor:
    """
    Return the joint Shannon entropy (in nats) of the grey levels of one or more images.

    Levels are the 256 integers that the values round to. Time and memory grow with the number
    of pixels and of combinations of levels (256 for one image, 65,536 for two).

    Parameters
    ----------
    images
        (B, 1, H, W) in 0-255 each, of one shape.

    Returns
    -------
    (B,) float64.

    """
    batch = images[0].shape[0]
    index = torch.arange(batch, device=images[0].device)[:, None]
    for image in images:
        levels = image.round().clamp(0, LEVELS - 1).long()
        index = index * LEVELS + levels.flatten(1)
    cells = LEVELS ** len(images)
    counts = torch.bincount(index.flatten(), minlength=batch * cells).view(batch, cells)
    share = counts.double() / images[0][0].numel()
    return torch.special.entr(share).sum(1)
