"""Images as cameras send them, of any size, for what is timed."""

from dataclasses import dataclass, replace

from ir_vis_fusion.types import RawImage
import numpy as np

# As many as cannot stay in a cache and yet no two that follow each other are equal, which would
# be taken for a shutter calibration.
COUNT = 4
PERIOD_NS = 33_333_333
_CELL = 32


@dataclass(frozen=True)
class Images:
    """Pairs of one size, (mono16, rgb8), that are repeated for ever with new stamps."""

    thermal: list[RawImage]
    visible: list[RawImage]

    def pair(self, index: int, period_ns: int = PERIOD_NS) -> tuple[RawImage, RawImage]:
        """Return the thermal and the visible image number ``index``."""
        stamp_ns = (index + 1) * period_ns
        at = index % len(self.thermal)
        return (
            replace(self.thermal[at], stamp_ns=stamp_ns),
            replace(self.visible[at], stamp_ns=stamp_ns),
        )


def make_images(height: int, width: int, seed: int = 0) -> Images:
    """Make soft blobs with noise: nothing of the path depends on what is seen."""
    random = np.random.default_rng(seed)
    thermal, visible = [], []
    for _ in range(COUNT):
        counts = 29_000 + 1_500 * _blobs(random, height, width)
        counts = (counts + random.normal(0, 5, counts.shape)).astype(np.uint16)
        colors = np.stack([_blobs(random, height, width) for _ in range(3)], axis=-1)
        pixels = (200 * colors + random.integers(0, 20, colors.shape)).astype(np.uint8)
        thermal.append(_image(counts, 'mono16'))
        visible.append(_image(pixels, 'rgb8'))
    return Images(thermal, visible)


def _blobs(random: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Return (H, W) in [0, 1], linear between random values on a coarse grid."""
    rows, columns = (np.linspace(0, side / _CELL, side) for side in (height, width))
    grid = random.random((int(rows[-1]) + 2, int(columns[-1]) + 2))
    top, left = rows.astype(int)[:, None], columns.astype(int)[None]
    down, right = (rows % 1)[:, None], (columns % 1)[None]
    upper = grid[top, left] * (1 - right) + grid[top, left + 1] * right
    lower = grid[top + 1, left] * (1 - right) + grid[top + 1, left + 1] * right
    return upper * (1 - down) + lower * down


def _image(pixels: np.ndarray, encoding: str) -> RawImage:
    height, width = pixels.shape[:2]
    # Writable, as the bytes of a message that came over the wire.
    data = bytearray(pixels.tobytes())
    return RawImage(height, width, encoding, False, pixels.strides[0], data, 0, 'camera')
