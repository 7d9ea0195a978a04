"""Patches for losses in CLIP's space: random windows, bent a little, flat ones rejected."""

from dataclasses import dataclass
import math

import torch
from torch import Generator, Tensor
from torch.nn import functional

BINS = 256
LARGEST_ANGLE = math.radians(5)
LARGEST_SHEAR = math.radians(5)
LARGEST_SHIFT = 0.1
LARGEST_SCALE = 1.5


@dataclass(frozen=True, eq=False)
class Windows:
    """
    Where N patches lie, in coordinates that run from -1 to 1 over the image.

    A point q of a patch (-1 to 1) shows the point p = inverse (q - shift) of its square crop
    (black where that is outside), which is centre + half p of the image.
    """

    half: float
    centre: Tensor
    inverse: Tensor
    shift: Tensor


def draw_windows(
    count: int, generator: Generator, least: float = 0.5, largest: float = 0.8
) -> Windows:
    """
    Draw windows as LDFusion does (Wang et al., ACM MM 2025, public code).

    One side for all, uniform from `least` to `largest` of the image's; positions uniform inside
    the image; then a random affine map of each: turned by up to 5 degrees, shifted up or down
    by up to 10 %, enlarged 1 to 1.5 times, sheared by up to 5 degrees. Differs: all in one
    resampling, and positions need not be whole pixels.

    Parameters
    ----------
    count
        Number of windows.
    generator
        Source of chance, on the CPU.
    least, largest
        Bounds of the side, in shares of the image's side.

    """

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator)

    half = uniform(least, largest).item()
    centre = uniform(half - 1, 1 - half, count, 2)
    angle = uniform(-LARGEST_ANGLE, LARGEST_ANGLE, count)
    shear = uniform(-LARGEST_SHEAR, LARGEST_SHEAR, count).tan()
    scale = uniform(1.0, LARGEST_SCALE, count)
    cos, sin = angle.cos(), angle.sin()
    # The inverse of scale * turn * shear, row by row.
    rows = (cos + shear * sin, sin - shear * cos, -sin, cos)
    inverse = (torch.stack(rows, 1) / scale[:, None]).reshape(count, 2, 2)
    shift = torch.zeros(count, 2)
    shift[:, 1] = uniform(-2 * LARGEST_SHIFT, 2 * LARGEST_SHIFT, count)
    return Windows(half, centre, inverse, shift)


def cut_patches(images: Tensor, windows: Windows, size: int = 224) -> Tensor:
    """
    Cut every window out of every image.

    Parameters
    ----------
    images
        (B, C, S, S), square.
    windows
        N windows; the same for all images.
    size
        Side of the patches.

    Returns
    -------
    (N, B, C, size, size) float32, sampled bilinearly.

    """
    images = images.float()
    batch, channels = images.shape[:2]
    steps = (torch.arange(size, dtype=torch.float32) * 2 + 1) / size - 1
    points = torch.stack(torch.meshgrid(steps, steps, indexing='xy'), -1)
    moved = points - windows.shift[:, None, None]
    # No matrix product: autocast would round the coordinates to bfloat16.
    of_crop = (windows.inverse[:, None, None] * moved[..., None, :]).sum(-1)
    inside = (of_crop.abs() <= 1).all(-1)[:, None].to(images)
    of_image = (windows.centre[:, None, None] + windows.half * of_crop).to(images)
    # One image of B * C channels, so that it is not copied for each window.
    stacked = images.reshape(1, batch * channels, *images.shape[2:])
    patches = functional.grid_sample(
        stacked.expand(len(of_image), -1, -1, -1),
        of_image,
        padding_mode='border',
        align_corners=False,
    )
    return (patches * inside).reshape(-1, batch, channels, size, size)


def entropy(images: Tensor) -> Tensor:
    """
    Return the entropy of images (..., 1, H, W) in [0, 1] in bits, (...).

    Of the histogram of 256 equal bins.
    """
    levels = (images * BINS).long().clamp(0, BINS - 1).flatten(-3)
    counts = torch.zeros(*levels.shape[:-1], BINS, device=images.device)
    counts.scatter_add_(-1, levels, torch.ones_like(levels, dtype=counts.dtype))
    return torch.special.entr(counts / levels.shape[-1]).sum(-1) / math.log(2)


def accept_patches(visible: Tensor, infrared: Tensor, least_bits: float = 6.0) -> Tensor:
    """
    Tell which patches show something in both sources.

    Parameters
    ----------
    visible, infrared
        The same patches of both sources, (..., 1, H, W) in [0, 1].
    least_bits
        Both must have more bits than this (6 in LDFusion's public code).

    Returns
    -------
    (...) bool, for ``accepted`` of :func:`training.losses.direction.direction_loss`.

    """
    return (entropy(visible) > least_bits) & (entropy(infrared) > least_bits)
