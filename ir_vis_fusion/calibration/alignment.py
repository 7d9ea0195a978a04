"""
How well edges of two cameras agree, and the homography under which they agree best.

Thermal and visible contrast are unlike, often opposite; what they share is where edges are and
how they run. So images are compared by the doubled angle of their gradients, which is blind to
its sign: Haber and Modersitzki's normalised gradient fields (MICCAI 2006), for
cos(2 (a - b)) = 2 cos^2(a - b) - 1.
"""

from dataclasses import dataclass
import math

from ir_vis_fusion.calibration.homographies import (
    bending,
    corners_of,
    from_corners,
    scaling,
    transform,
)
import torch
from torch import Tensor
import torch.nn.functional as F

# Widths at which a solution is refined, one after the other, and the blur there.
_LEVELS = (80, 160, 320)
_SEARCH_WIDTH = 96
_SEARCHED_SCENES = 8
_BLUR = 1.0
_EVALUATIONS = 40
# Sizes of the thermal view in the visible one, and turns, from which is searched.
_SCALES = tuple(0.4 * 1.1**step for step in range(14))
_TURNS = tuple(map(math.radians, (-4.0, 0.0, 4.0)))
_LEAST_OVERLAP = 0.4
# What a corner bent by 1 % of the width costs, in the score: enough to hold corners where no
# scene has edges (a road), too little to matter where there are some.
_BENDING_COST = 0.005


@dataclass(frozen=True, eq=False)
class Scenes:
    """
    Pairs of images of two cameras that do not move against each other.

    ``ir`` (N, 1, h, w) and ``vis`` (N, 1, H, W) float32 in [0, 1].
    """

    ir: Tensor
    vis: Tensor

    def __len__(self) -> int:
        return len(self.ir)

    def chosen(self, indices: list[int]) -> 'Scenes':
        """Return some of them."""
        return Scenes(self.ir[indices], self.vis[indices])

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the visible images."""
        return self.vis.shape[-1], self.vis.shape[-2]


def search(scenes: Scenes) -> Tensor:
    """
    Return the best rotated, scaled and shifted placing, without a first guess.

    Returns
    -------
    Tensor
        (3, 3) float64, from visible to thermal pixels.

    """
    if len(scenes) > _SEARCHED_SCENES:
        step = (len(scenes) - 1) / (_SEARCHED_SCENES - 1)
        scenes = scenes.chosen([round(step * index) for index in range(_SEARCHED_SCENES)])
    # The thermal images are made small once, not for each placing.
    shrink = min(1.0, 1.5 * _SEARCH_WIDTH / scenes.ir.shape[-1])
    scenes = Scenes(_resized(scenes.ir, shrink), scenes.vis)
    factor = min(1.0, _SEARCH_WIDTH / scenes.size[0])
    vis = _features(_resized(scenes.vis, factor))
    height, width = vis.shape[-2:]
    # Twice the size, so that what leaves on one side does not come in on the other.
    shape = (2 * height, 2 * width)
    spectrum = torch.fft.rfft2(vis, s=shape)
    energy = torch.fft.rfft2(vis.square().sum((0, 1)), s=shape)
    best, placing = -math.inf, None
    for scale in _SCALES:
        for turn in _TURNS:
            matrix = _centred(scenes, factor, scale, turn)
            image, inside = _warped(scenes.ir, matrix, (height, width))
            ir = _features(image) * inside
            score = _correlated(spectrum, energy, ir, inside, shape)
            value, at = score.flatten().max(0)
            if value > best:
                best = float(value)
                down, right = divmod(int(at), shape[1])
                down -= shape[0] * (down >= height)
                right -= shape[1] * (right >= width)
                shift = torch.eye(3, dtype=torch.float64)
                shift[0, 2], shift[1, 2] = -right, -down
                # Thermal content moves by (right, down), so places are looked up before it.
                placing = matrix @ shift @ scaling(factor)
    return scaling(1 / shrink) @ placing


def refine(scenes: Scenes, start: Tensor) -> Tensor:
    """
    Return the homography (3, 3) float64 near ``start`` under which edges agree best.

    From visible to thermal pixels, as ``start``.
    """
    matrix = start
    for width in _LEVELS:
        factor = min(1.0, width / scenes.size[0])
        matrix = _refined(scenes, matrix, factor)
    return matrix


def agreement(scenes: Scenes, matrix: Tensor) -> Tensor:
    """Return how far the edges of each scene agree, (N,) in [-1, 1]; 0 is chance."""
    factor = min(1.0, _LEVELS[-1] / scenes.size[0])
    vis = _features(_resized(scenes.vis, factor))
    image, inside = _warped(scenes.ir, matrix @ scaling(1 / factor), vis.shape[-2:])
    return _score(vis, _features(image) * inside, inside)


def _refined(scenes: Scenes, matrix: Tensor, factor: float) -> Tensor:
    """Refine at one size; features are warped, those of the thermal image as it lies at first."""
    vis = _features(_resized(scenes.vis, factor))
    height, width = vis.shape[-2:]
    # From pixels of this size to thermal ones.
    there = matrix @ scaling(1 / factor)
    image, inside = _warped(scenes.ir, there, (height, width))
    ir = torch.cat([_features(image), inside.expand(len(image), 1, -1, -1)], 1)
    corners = corners_of((width, height))
    moved = corners.clone().requires_grad_()
    optimizer = torch.optim.LBFGS(
        [moved], max_iter=_EVALUATIONS, max_eval=_EVALUATIONS, line_search_fn='strong_wolfe'
    )

    def loss() -> Tensor:
        optimizer.zero_grad()
        change = from_corners(corners, moved)
        grid = _grid(change, (height, width), (height, width), len(ir))
        warped = F.grid_sample(ir, grid, align_corners=False)
        score = _score(vis, warped[:, :2], warped[:, 2:]).mean()
        bent = bending(corners, transform(there @ change, corners)) / (0.01 * width)
        # In pixels the score is flat; this brings steps near 1.
        cost = 1e3 * (_BENDING_COST * bent - score)
        cost.backward()
        return cost

    optimizer.step(loss)
    found = moved.detach()
    if not found.isfinite().all():
        return matrix
    return there @ from_corners(corners, found) @ scaling(factor)


def _features(image: Tensor) -> Tensor:
    """
    Return (cos 2a, sin 2a) of the gradient's angle, weak where it is weak; (N, 2, H, W).

    The weight is g^2 / (g^2 + mean g^2), so that an edge of 10 times the contrast counts no more
    than twice.
    """
    padded = F.pad(_blurred(image), [1] * 4, mode='replicate')
    x = padded[..., 1:-1, 2:] - padded[..., 1:-1, :-2]
    y = padded[..., 2:, 1:-1] - padded[..., :-2, 1:-1]
    strength = x.square() + y.square()
    weight = 1 / (strength + strength.mean((-2, -1), keepdim=True) + 1e-9)
    return torch.cat([(x.square() - y.square()) * weight, 2 * x * y * weight], 1)


def _score(vis: Tensor, ir: Tensor, inside: Tensor) -> Tensor:
    """Return the normalised correlation of two features where both are seen, (N,)."""
    product = (vis * ir).sum((1, 2, 3))
    energy = ir.square().sum((1, 2, 3)) * (vis.square() * inside).sum((1, 2, 3))
    return product / (energy + 1e-6).sqrt()


def _correlated(
    spectrum: Tensor, energy: Tensor, ir: Tensor, inside: Tensor, shape: tuple[int, int]
) -> Tensor:
    """Return the score of all shifts of the thermal features at once, (2 H, 2 W)."""
    moving = torch.fft.rfft2(ir, s=shape).conj()
    window = torch.fft.rfft2(inside[0, 0], s=shape).conj()
    # What the shifted thermal image meets at each place: element k is the shift by k.
    product = torch.fft.irfft2((spectrum * moving).sum((0, 1)), s=shape)
    met = torch.fft.irfft2(energy * window, s=shape).clamp(min=0)
    one = torch.ones(vis_shape := (shape[0] // 2, shape[1] // 2), device=ir.device)
    overlap = torch.fft.irfft2(torch.fft.rfft2(one, s=shape) * window, s=shape)
    least = _LEAST_OVERLAP * min(float(inside.sum()), vis_shape[0] * vis_shape[1])
    # Where little of the thermal image is left its energy is shared out by area.
    share = overlap / inside.sum().clamp(min=1)
    score = product / (met * ir.square().sum() * share + 1e-6).sqrt()
    # Small overlaps agree by chance more easily.
    return (score * share.clamp(0, 1).sqrt()).where(overlap >= least, -torch.inf)


def _centred(scenes: Scenes, factor: float, scale: float, turn: float) -> Tensor:
    """Return the map from small visible pixels to thermal ones with the centres together."""
    width, height = scenes.size
    rows, columns = scenes.ir.shape[-2:]
    zoom = columns / (scale * width * factor)
    cos, sin = zoom * math.cos(turn), zoom * math.sin(turn)
    x, y = (width * factor - 1) / 2, (height * factor - 1) / 2
    u, v = (columns - 1) / 2, (rows - 1) / 2
    return torch.tensor(
        [
            [cos, -sin, u - cos * x + sin * y],
            [sin, cos, v - sin * x - cos * y],
            [0.0, 0.0, 1.0],
        ],
        dtype=torch.float64,
    )


def _grid(matrix: Tensor, size: tuple[int, int], source: tuple[int, int], count: int) -> Tensor:
    """Return what grid_sample takes, for a map from pixels (H, W) to those of a source (h, w)."""
    rows = torch.arange(size[0], dtype=torch.float32)[:, None]
    columns = torch.arange(size[1], dtype=torch.float32)
    x, y, z = (row[0] * columns + row[1] * rows + row[2] for row in matrix.float())
    z = z.clamp(min=1e-3)
    u, v = (x / z + 0.5) * (2 / source[1]) - 1, (y / z + 0.5) * (2 / source[0]) - 1
    return torch.stack([u, v], -1)[None].expand(count, -1, -1, -1)


def _warped(images: Tensor, matrix: Tensor, size: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Return images as seen at size (H, W), and where: (1, 1, H, W), 1 inside and 0 at the rim."""
    source = images.shape[-2:]
    # Thermal pixels for one of the result: what is finer would alias.
    zoom = float(matrix[:2, :2].det().abs().sqrt())
    images = _blurred(images, 0.5 * zoom) if zoom > 1.5 else images
    grid = _grid(matrix, size, source, len(images))
    warped = F.grid_sample(images, grid, padding_mode='border', align_corners=False)
    inside = (grid[:1].abs() < 1).all(-1)[None].float()
    return warped, -F.max_pool2d(-inside, 7, 1, 3)


def _resized(images: Tensor, factor: float) -> Tensor:
    """Return images ``factor`` as large, by the means of areas."""
    if factor == 1:
        return images
    size = tuple(round(side * factor) for side in images.shape[-2:])
    return F.interpolate(images, size=size, mode='bilinear', antialias=True)


def _blurred(images: Tensor, sigma: float = _BLUR) -> Tensor:
    radius = math.ceil(2.5 * sigma)
    places = torch.arange(-radius, radius + 1, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (places / sigma) ** 2)
    kernel /= kernel.sum()
    images = F.pad(images, [radius] * 4, mode='replicate')
    rows = F.conv2d(images, kernel.view(1, 1, 1, -1))
    return F.conv2d(rows, kernel.view(1, 1, -1, 1))
