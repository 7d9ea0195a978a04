"""Derivatives of images in float32: bfloat16 has but 128 grey levels from 0.5 to 1."""

import torch
from torch import Tensor
from training.losses.gradient import sobel


def derivatives(image: Tensor) -> Tensor:
    """
    Return the horizontal and vertical Sobel gradient, (B, 2, H-2, W-2) float32.

    Scaled as :func:`training.losses.gradient.sobel` does it: a step of h counts h in the two
    columns or rows beside it. Autocast, which would round convolutions, is left out.
    """
    with torch.autocast(image.device.type, enabled=False):
        return sobel(image.float())
