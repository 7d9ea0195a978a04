"""FMI: mutual information of edges, window by window."""

from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 3
PIXELS = SIDE**2
PATTERNS = 2**PIXELS
NO_EDGE, ALL_EDGES = 0, PATTERNS - 1
SOBEL_X = ((-1.0, 0.0, 1.0), (-2.0, 0.0, 2.0), (-1.0, 0.0, 1.0))
NOISE_SHARE = 4.0
EPSILON = 100 * torch.finfo(torch.float64).eps


def fmi(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Average the mutual information of edge maps with both sources over 3x3 windows.

    .. math::
        FMI = \overline{\frac{I(F, A)}{H(F) + H(A)} + \frac{I(F, B)}{H(F) + H(B)}}

    where the edges in a window, read column by column, are a distribution over its nine places
    (even where there are none), and the joint one is Nelsen's mixture of independence and a
    Frechet bound that has the correlation of the two. Equal windows count as 1, as most do
    because they hold no edges: values lie close together near 0.9.

    Variant: ``fmi.m`` of Haghighat and Razian 2014 ("Fast-FMI") with its default feature
    'edge', which tables call FMI or FMI_pixel: MATLAB's thinned Sobel edges with the threshold
    2 sqrt(mean g^2), rebuilt from their description and not compared with MATLAB itself. A is
    infrared and B visible, and which is first matters by a hundredth: where A has edges and F
    has none, that code compares B with an even window, so that no edges in B count as 0.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in 0-255.

    Returns
    -------
    (B,) float64.

    """
    windows, first, second = (_windows(_edges(image)) for image in (fused, ir, vis_y))
    table = _table().to(fused.device)
    shared = table[first * PATTERNS + windows], table[second * PATTERNS + windows]
    evened = (windows == NO_EDGE) & (first != NO_EDGE)
    of_second = shared[1].masked_fill(evened & (second == NO_EDGE), 0.0)
    of_second = of_second.masked_fill(evened & (second == ALL_EDGES), 1.0)
    return ((shared[0] + of_second) / 2).mean((1, 2, 3))


def _edges(image: Tensor) -> Tensor:
    """Return MATLAB's ``edge(image)``, (B, 1, H, W) bool."""
    kernel = torch.tensor(SOBEL_X, dtype=torch.float64, device=image.device) / 8
    kernels = torch.stack((kernel, kernel.T))[:, None]
    padded = functional.pad(image.double(), (1, 1, 1, 1), mode='replicate')
    x, y = functional.conv2d(padded, kernels).abs().chunk(2, dim=1)
    strength = x**2 + y**2
    around = functional.pad(strength, (1, 1, 1, 1), value=-1.0)
    left, right = around[..., 1:-1, :-2], around[..., 1:-1, 2:]
    above, below = around[..., :-2, 1:-1], around[..., 2:, 1:-1]
    peak = (x >= y - EPSILON) & (left <= strength) & (strength > right)
    peak |= (y >= x - EPSILON) & (above <= strength) & (strength > below)
    return peak & (strength > NOISE_SHARE * strength.mean((1, 2, 3), keepdim=True))


def _windows(edges: Tensor) -> Tensor:
    """Return the pattern of each 3x3 window as a number, (B, 1, H - 2, W - 2) int64."""
    powers = 2 ** torch.arange(PIXELS, device=edges.device).view(SIDE, SIDE).T
    # All whole numbers below 512, which float32 adds without error.
    return functional.conv2d(edges.float(), powers.float()[None, None]).long()


@lru_cache(maxsize=1)
def _table() -> Tensor:
    """Return the normalised information of every pattern with every other, (512 * 512,)."""
    bits = (torch.arange(PATTERNS)[:, None] >> torch.arange(PIXELS)) & 1
    even = (bits.sum(1, keepdim=True) == 0).long()
    share = (bits + even).double()
    share = share / share.sum(1, keepdim=True)
    entropy = torch.special.entr(share).sum(1)
    rows = [_information(index, share, entropy) for index in range(PATTERNS)]
    table = torch.stack(rows)
    table.fill_diagonal_(1.0)
    return table.flatten()


def _information(index: int, share: Tensor, entropy: Tensor) -> Tensor:
    """Return 2 I / (H + H') of one distribution with all, (512,)."""
    place = torch.arange(1.0, PIXELS + 1, dtype=share.dtype)
    spread = ((share * place**2).sum(1) - (share @ place) ** 2).clamp_min(0).sqrt()
    centred = share - 1 / PIXELS
    scale = (centred[index] ** 2).sum() * (centred**2).sum(1)
    correlation = (centred @ centred[index]) / scale.clamp_min(1e-12).sqrt()
    # Below the table's (i, j): the two summed distributions, the first with zeros before it.
    summed = functional.pad(share.cumsum(1), (1, 0))
    one, all_ = summed[index, None, :, None], summed[:, None, :]
    bound = torch.where(
        correlation[:, None, None] >= 0,
        torch.minimum(one, all_),
        (one + all_ - 1).clamp_min(0),
    )
    covariance = (bound - one * all_)[:, 1:, 1:].sum((1, 2))
    extreme = covariance / (spread[index] * spread)
    weight = torch.where((spread[index] * spread > 1e-9) & (correlation.abs() > 1e-9), 1.0, 0.0)
    weight = (correlation / extreme).nan_to_num() * weight
    cells = bound.diff(dim=1).diff(dim=2)
    independent = share[index, None, :, None] * share[:, None, :]
    joint = weight[:, None, None] * cells + (1 - weight[:, None, None]) * independent
    # Where the mixture leaves the simplex, that code goes on with the real part.
    size = joint.abs()
    joint_entropy = -(joint * size.clamp_min(1e-300).log()).sum((1, 2))
    both = entropy[index] + entropy
    return torch.where(both > 0, 2 * (both - joint_entropy) / both.clamp_min(1e-12), 0.0)
