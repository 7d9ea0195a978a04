"""Local contrast: what differs from its surroundings differs more, for detectors and for eyes."""

import cv2
import torch
from torch.nn import functional

# A pixel's surroundings reach this part of the image's height to each side.
REACH = 1 / 80


def add_local_contrast(image: torch.Tensor, gain: float) -> torch.Tensor:
    """
    Return image + gain (image - mean of the square around), an unsharp mask.

    The square has 13 pixels a side at a height of 480. Colours get the difference of their mean,
    so that hues stay.

    Parameters
    ----------
    image
        (1, C, H, W) uint8 in [0, 255] or float32 in [0, 1], H and W at least 32.
    gain
        0 (the same image is returned) or more.

    Returns
    -------
    Of the same shape and type, clamped to the range.

    """
    if not gain:
        return image
    reach = max(1, int(image.shape[-2] * REACH))
    side = 2 * reach + 1
    if image.dtype == torch.uint8:
        pixels = image[0, 0].numpy()
        around = cv2.blur(pixels, (side, side))
        sharper = cv2.addWeighted(pixels, 1 + gain, around, -gain, 0.0)
        return torch.from_numpy(sharper)[None, None]
    grey = image.mean(1, keepdim=True)
    around = functional.pad(grey, (reach,) * 4, mode='reflect')
    around = functional.avg_pool2d(around, side, stride=1)
    return torch.add(image, grey - around, alpha=gain).clamp_(0, 1)
