"""A sampling grid and where it is valid: the thermal image as the visible camera sees it."""

import math
from typing import TypeAlias

import cv2
import numpy as np
import torch
from torch import Tensor
import torch.nn.functional as F

# Width of the blend from the thermal view to what is outside, as a share of the image's width: 51
# of 640 pixels. The largest contrast there can be becomes a ramp of at most 3 % a pixel.
_FEATHER = 0.08
# A point is hidden where one nearer by this share is seen at the same thermal pixel.
_OCCLUSION = 0.1

# Width and height.
Size: TypeAlias = tuple[int, int]


class View:
    """
    The thermal image as it is seen in the visible one.

    Parameters
    ----------
    columns, rows
        Where each pixel of the visible image lies in the thermal one, (H, W) float32, NaN where
        nowhere.
    size
        Of the thermal image, (width, height).
    hidden
        (H, W) bool, where the thermal camera sees something nearer.

    Attributes
    ----------
    places
        ``columns`` and ``rows`` where they are inside or next to it, (H, W) float32 without NaN.
    mask
        (H, W) float32 in [0, 1], None where all is seen: how far to believe what is warped.
    coverage
        The share of the visible image that the thermal camera sees.

    """

    def __init__(
        self, columns: Tensor, rows: Tensor, size: Size, hidden: Tensor | None = None
    ) -> None:
        width, height = size
        inside = (columns >= -0.5) & (columns <= width - 0.5)
        inside &= (rows >= -0.5) & (rows <= height - 0.5)
        if hidden is not None:
            inside &= ~hidden
        self.mask = None if bool(inside.all()) else _feathered(inside)
        self.coverage = float(inside.float().mean())
        columns = columns.nan_to_num(nan=-1.0).clamp(-1, width).contiguous()
        rows = rows.nan_to_num(nan=-1.0).clamp(-1, height).contiguous()
        self.places = columns, rows
        if columns.device.type != 'cpu':
            grid = torch.stack(
                [(columns + 0.5) * (2 / width) - 1, (rows + 0.5) * (2 / height) - 1]
            )
            self._grid = grid.permute(1, 2, 0)[None].contiguous()

    def warp(self, image: Tensor) -> Tensor:
        """
        Return a thermal image (h, w) in the visible view, (H, W), of its type.

        Interpolated bilinearly; outside the thermal view its edge is repeated. ``mask`` (H, W)
        float32 in [0, 1], None where all is seen, says how far to believe it.
        """
        if image.device.type == 'cpu':
            # Half the time of grid_sample.
            warped = cv2.remap(
                image.contiguous().numpy(),
                *(places.numpy() for places in self.places),
                cv2.INTER_LINEAR,
                borderMode=cv2.BORDER_REPLICATE,
            )
            return torch.from_numpy(warped)
        options = {'mode': 'bilinear', 'padding_mode': 'border', 'align_corners': False}
        return F.grid_sample(image[None, None], self._grid, **options)[0, 0]


def register(ir: Tensor, size: tuple[int, int], view: View | None) -> Tensor:
    """Return a thermal image in the visible view, of size (H, W); without one it is resized."""
    if view is not None:
        return view.warp(ir)
    if ir.shape == size:
        return ir
    if ir.device.type == 'cpu':
        # The same, in a third of the time.
        return torch.from_numpy(cv2.resize(ir.numpy(), size[::-1]))
    return F.interpolate(ir[None, None], size=size, mode='bilinear', align_corners=False)[0, 0]


def map_pixels(matrix: np.ndarray, size: Size) -> tuple[Tensor, Tensor]:
    """Return where a homography (3, 3) takes each pixel of an image, two (H, W) float32."""
    width, height = size
    columns = np.arange(width)[None]
    rows = np.arange(height)[:, None]
    x, y, z = (row[0] * columns + row[1] * rows + row[2] for row in matrix)
    # Of the two sides of the line at infinity that of the image's centre is the one seen.
    middle = matrix[2] @ [(width - 1) / 2, (height - 1) / 2, 1]
    z = np.where(z * math.copysign(1, middle) > 1e-9, z, np.nan)
    return tuple(torch.from_numpy((one / z).astype(np.float32)) for one in (x, y))


def hidden(columns: Tensor, rows: Tensor, z: Tensor, size: Size) -> Tensor:
    """Return where a nearer point is seen at the same place of the thermal image, (H, W) bool."""
    width, height = size
    seen = z.isfinite()
    column = columns.nan_to_num(nan=-1.0).round().long()
    row = rows.nan_to_num(nan=-1.0).round().long()
    seen &= (column >= 0) & (column < width) & (row >= 0) & (row < height)
    place = torch.where(seen, row * width + column, 0).flatten()
    far = torch.where(seen, z, torch.inf).flatten()
    nearest = torch.full((width * height,), torch.inf, device=z.device)
    nearest.scatter_reduce_(0, place, far, 'amin')
    return seen & (z > (1 + _OCCLUSION) * nearest[place].view_as(z))


def _feathered(inside: Tensor) -> Tensor:
    """
    Return a mask (H, W) float32 that is 0 outside and rises smoothly to 1 on the way inwards.

    At the edge of the image itself it does not fall.
    """
    radius = max(1, round(_FEATHER * inside.shape[1]))
    side = 2 * radius + 1
    if inside.device.type == 'cpu':
        share = cv2.blur(inside.float().numpy(), (side, side), borderType=cv2.BORDER_REPLICATE)
        share = torch.from_numpy(share)
    else:
        padded = F.pad(inside.float()[None, None], [radius] * 4, mode='replicate')
        rows = F.avg_pool2d(padded, (1, side), stride=1)
        share = F.avg_pool2d(rows, (side, 1), stride=1)[0, 0]
    # At a straight edge half of the surroundings is inside.
    ramp = (share * 2 - 1).clamp(0, 1)
    return ramp.square() * (3 - 2 * ramp) * inside
