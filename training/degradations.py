"""
Faults of cameras and weather, so that a network learns to do without what they take away.

Each takes ``vis`` (..., 3, H, W) and ``ir`` (..., 1, H, W), float in [0, 1], and the chance,
and returns both with the same shapes and range, new where they differ. What is drawn holds
for the whole batch, only the grain of noise is each image's own.
"""

from collections.abc import Callable
import math

import torch
from torch import Tensor
import torch.nn.functional as F
from training.chance import Chance

Degradation = Callable[[Tensor, Tensor, Chance], tuple[Tensor, Tensor]]

AIRLIGHT = 0.8
LARGEST_BLUR = 2.0
LARGEST_SHIFT = 4


def gamma(vis: Tensor, ir: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
    """Expose the visible image wrongly: vis to the power of 0.4 (bright) to 2.5 (night)."""
    return vis ** chance.between(0.4, 2.5), ir


def blur(vis: Tensor, ir: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
    """Put each camera out of focus: Gaussians of 0 to 2 px, one for either image."""
    return tuple(_gaussian(image, chance.between(0.0, LARGEST_BLUR)) for image in (vis, ir))


def noise(vis: Tensor, ir: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
    """Add white noise of sigma 0 to 0.06 to both, the same on all three colours."""
    sigma = chance.between(0.0, 0.06)
    return tuple(
        (image + sigma * chance.noise(ir.shape).to(image.device)).clamp(0, 1)
        for image in (vis, ir)
    )


def stripes(vis: Tensor, ir: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
    """Add a fixed pattern of sigma 0.02 to 0.08 to the columns or the rows of infrared."""
    sigma = chance.between(0.02, 0.08)
    shape = (1, ir.shape[-1]) if chance.happens(0.5) else (ir.shape[-2], 1)
    pattern = sigma * chance.noise(shape).to(ir.device)
    return vis, (ir + pattern).clamp(0, 1)


def haze(vis: Tensor, ir: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
    """Veil the visible image: vis t + 0.8 (1 - t) with a transmission t of 0.2 to 0.9."""
    transmission = chance.between(0.2, 0.9)
    return vis * transmission + AIRLIGHT * (1 - transmission), ir


def contrast(vis: Tensor, ir: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
    """Leave infrared 0.4 of its contrast."""
    return vis, ir * 0.4


def misregistration(vis: Tensor, ir: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
    """Shift infrared by 1 to 4 px along or across the rows, or both; edges are repeated."""
    distance = 1 + chance.integer(LARGEST_SHIFT)
    down, right = ((0, 1), (1, 0), (1, 1), (1, -1))[chance.integer(4)]
    distance = distance if chance.happens(0.5) else -distance
    for axis, shift in ((-2, down * distance), (-1, right * distance)):
        extent = ir.shape[axis]
        places = (torch.arange(extent, device=ir.device) - shift).clamp(0, extent - 1)
        ir = ir.index_select(axis, places)
    return vis, ir


def dropout(vis: Tensor, ir: Tensor, chance: Chance) -> tuple[Tensor, Tensor]:
    """Lose one camera: one of the images is mid-grey."""
    if chance.happens(0.5):
        return torch.full_like(vis, 0.5), ir
    return vis, torch.full_like(ir, 0.5)


DEGRADATIONS: dict[str, Degradation] = {
    'gamma': gamma,
    'blur': blur,
    'noise': noise,
    'stripes': stripes,
    'haze': haze,
    'contrast': contrast,
    'misregistration': misregistration,
    'dropout': dropout,
}


def _gaussian(image: Tensor, sigma: float) -> Tensor:
    """Convolve with a Gaussian cut off at three times the largest blur, edges mirrored."""
    radius = math.ceil(3 * LARGEST_BLUR)
    places = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
    kernel = torch.exp(-0.5 * (places / max(sigma, 1e-3)) ** 2)
    kernel /= kernel.sum()
    planes = image.reshape(-1, 1, *image.shape[-2:])
    planes = F.pad(planes, [radius] * 4, mode='reflect')
    planes = F.conv2d(F.conv2d(planes, kernel.view(1, 1, 1, -1)), kernel.view(1, 1, -1, 1))
    return planes.view(image.shape)
