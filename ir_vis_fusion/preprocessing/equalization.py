"""
Curves that give detail the grey levels which a linear range spends on empty temperatures.

Histogram equalisation whose gain is limited: with one tile plateau equalisation, as in the
cores of FLIR, with more of them contrast-limited adaptive equalisation (CLAHE, Zuiderveld,
Graphics Gems IV, 1994; excess redistributed once and evenly, curves interpolated bilinearly
between tiles). Ours differ in that the curves follow the scene in time, so that they do not
flicker.
"""

from itertools import product

import torch
from torch.nn import functional

_BINS = 256
# Steps of a curve: finer than 8 bits of output at a gain of three.
_STEPS = 1024
_SAMPLE_STEP = 2


class Equalizer:
    """
    Keeps the curves of one stream.

    Parameters
    ----------
    tiles
        Rows and columns of tiles.
    max_gain
        Slope of a curve from which counts are spread over all levels.

    """

    def __init__(self, tiles: tuple[int, int], max_gain: float) -> None:
        self._tiles = tiles
        self._max_gain = max_gain
        self._size: torch.Size | None = None
        self.reset()

    def reset(self) -> None:
        """Forget the curves; the next image sets them directly."""
        self._curves: torch.Tensor | None = None

    def apply(self, image: torch.Tensor, share: float) -> torch.Tensor:
        """
        Return the equalised image, (H, W) float32 in [0, 1].

        Parameters
        ----------
        image
            (H, W) float32 in [0, 1].
        share
            How much of the way to this image's curves the curves go, in [0, 1].

        """
        if image.shape != self._size or self._tile_of.device != image.device:
            self._lay_out(image)
        if self._curves is None:
            self._curves = self._measure(image)
        elif share:
            self._curves = torch.lerp(self._curves, self._measure(image), share)
        steps = self._fine(self._curves).flatten()
        places = (image * (_STEPS - 1)).to(torch.int64)
        if len(self._corners) == 1:
            return steps.take(places)
        result = torch.zeros_like(image)
        for first, weight in self._corners:
            result.addcmul_(steps.take(places + first), weight)
        return result

    def _measure(self, image: torch.Tensor) -> torch.Tensor:
        """Return this image's curves, (tiles, bins + 1), from 0 to 1."""
        sample = image[::_SAMPLE_STEP, ::_SAMPLE_STEP]
        places = (sample * _BINS).to(torch.int64).clamp_(max=_BINS - 1).add_(self._tile_of)
        tiles = self._tiles[0] * self._tiles[1]
        counts = torch.zeros(tiles * _BINS, device=image.device)
        counts.scatter_add_(0, places.flatten(), torch.ones_like(sample).flatten())
        shares = counts.view(tiles, _BINS)
        shares = shares / shares.sum(1, keepdim=True).clamp(min=1)
        limited = shares.clamp(max=self._max_gain / _BINS)
        limited += (1 - limited.sum(1, keepdim=True)) / _BINS
        return functional.pad(limited.cumsum(1), (1, 0))

    def _fine(self, curves: torch.Tensor) -> torch.Tensor:
        """Return the curves at all steps, (tiles, steps)."""
        size = (1, _STEPS)
        return functional.interpolate(
            curves[None, :, None], size, mode='bilinear', align_corners=True
        )[0, :, 0]

    def _lay_out(self, image: torch.Tensor) -> None:
        """Work out which tiles' curves each pixel takes, and with what weight."""
        self._size = image.shape
        axes = [
            torch.arange(extent, device=image.device) * (tiles / extent)
            for extent, tiles in zip(image.shape, self._tiles, strict=True)
        ]
        rows, columns = (axis[::_SAMPLE_STEP].to(torch.int64) for axis in axes)
        self._tile_of = (rows[:, None] * self._tiles[1] + columns) * _BINS
        self._corners = []
        if self._tiles == (1, 1):
            self._corners.append((0, 1.0))
            return
        for lower_row, lower_column in product((True, False), repeat=2):
            row, row_weight = _neighbour(axes[0], self._tiles[0], lower_row)
            column, column_weight = _neighbour(axes[1], self._tiles[1], lower_column)
            first = (row[:, None] * self._tiles[1] + column) * _STEPS
            self._corners.append((first, row_weight[:, None] * column_weight))


def _neighbour(places: torch.Tensor, tiles: int, lower: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the tile whose centre is next on one side, and its weight, by place in tiles."""
    # From the middle of the first tile on; pixels have their centre half a pixel further.
    places = places + (places[1] - places[0]) / 2 - 0.5
    below = places.floor()
    beyond = places - below
    tile = below if lower else below + 1
    return tile.clamp(0, tiles - 1).to(torch.int64), 1 - beyond if lower else beyond
