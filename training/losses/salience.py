"""Salience: the fused image has the brightness of the source that has the edges in a place."""

from ir_vis_fusion.metrics.windows import gaussian
from torch import Tensor
from training.losses.filters import slide
from training.losses.gradient import sobel

WINDOW = 17
SIGMA = 4.0
# A gradient of half a grey level of 255 a pixel: where there is less, both count alike.
NOISE = (0.5 / 255) ** 2


def salience_loss(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Mean absolute distance to both sources, each weighted by the energy of its edges around.

    .. math::
        \frac{1}{HW} \sum \frac{\lambda_I |F - I| + \lambda_Y |F - Y|}{\lambda_I + \lambda_Y},
        \quad \lambda_X = G_4 * |\nabla X|^2 + \epsilon

    with G a Gaussian of 4 pixels in a window of 17. Ours, after the weights of Qcv (Chen and
    Varshney 2007): the least of a weighted sum of distances is the source of the larger weight,
    so that one of them is chosen and contrast is not halved, as it would be by squares.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in [0, 1], H and W at least 19.

    Returns
    -------
    A scalar.

    """
    window = gaussian(WINDOW, SIGMA)
    total, weights = 0.0, 0.0
    inside = slice(WINDOW // 2 + 1, -(WINDOW // 2) - 1)
    for source in (ir, vis_y):
        energy = sobel(source).square().sum(1, keepdim=True)
        weight = slide(energy, window) + NOISE
        distance = (fused - source).abs()[..., inside, inside]
        total, weights = total + weight * distance, weights + weight
    return (total / weights).mean()
