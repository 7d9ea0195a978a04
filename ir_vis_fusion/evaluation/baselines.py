"""Fusion without a model: what every method has to be compared with."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

LEVELS = 5


def laplacian(ir: Tensor, vis_y: Tensor) -> Tensor:
    """
    Fuse by Laplacian pyramids of five levels: stronger detail, mean of the rest.

    Burt and Adelson 1983 with the filters and borders of OpenCV's pyrDown and pyrUp.

    Parameters
    ----------
    ir, vis_y
        (B, 1, H, W) in any range, H and W at least 33; the result may leave the range.

    """
    (*details_ir, rest_ir), (*details_vis, rest_vis) = _pyramid(ir), _pyramid(vis_y)
    fused = (rest_ir + rest_vis) / 2
    for a, b in zip(reversed(details_ir), reversed(details_vis), strict=True):
        fused = _enlarge(fused, a.shape[-2:]) + torch.where(a.abs() > b.abs(), a, b)
    return fused


BASELINES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    'visible': lambda ir, vis_y: vis_y,
    'infrared': lambda ir, vis_y: ir,
    'mean': lambda ir, vis_y: (ir + vis_y) / 2,
    'max': lambda ir, vis_y: torch.maximum(ir, vis_y),
    'laplacian': laplacian,
}


def _pyramid(image: Tensor) -> list[Tensor]:
    levels = []
    for _ in range(LEVELS):
        smaller = _reduce(image)
        levels.append(image - _enlarge(smaller, image.shape[-2:]))
        image = smaller
    return [*levels, image]


def _reduce(image: Tensor) -> Tensor:
    window = torch.tensor((1.0, 4.0, 6.0, 4.0, 1.0), dtype=image.dtype, device=image.device) / 16
    padded = functional.pad(image, (2, 2, 2, 2), mode='reflect')
    rows = functional.conv2d(padded, window.view(1, 1, 1, -1), stride=(1, 2))
    return functional.conv2d(rows, window.view(1, 1, -1, 1), stride=(2, 1))


def _enlarge(image: Tensor, size: torch.Size) -> Tensor:
    """Double both sides and cut to a size."""
    for axis, length in zip((2, 3), size, strict=True):
        count = image.shape[axis]
        # Mirrored at the start and repeated at the end, as OpenCV does it.
        order = [min(1, count - 1), *range(count), count - 1]
        before, here, after = (
            image.index_select(axis, torch.tensor(order[at : at + count], device=image.device))
            for at in range(3)
        )
        even, odd = (before + 6 * here + after) / 8, (here + after) / 2
        image = torch.stack((even, odd), axis + 1).flatten(axis, axis + 1)
        image = image.narrow(axis, 0, length)
    return image
