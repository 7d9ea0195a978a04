"""Information: two minus VIF, what the fused image tells about both sources."""

from ir_vis_fusion.metrics.vif import NOISE_VARIANCE, SCALES
from ir_vis_fusion.metrics.windows import gaussian
import torch
from torch import Tensor
from training.losses.filters import slide

EPSILON = 1e-2
# Of 17- and 9-pixel windows every second place: they overlap, and it takes a third of the time.
STEPS = (2, 2, 1, 1)


def information_loss(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Two minus the visual information fidelity to both sources, averaged over the images.

    .. math::
        2 - \sum_{X \in \{A, B\}} \frac{\sum_s \log(1 + g^2 \sigma_X^2 / (\sigma_v^2 + 2))}
                                       {\sum_s \log(1 + \sigma_X^2 / 2)},
        \quad g = \sigma_{XF} / \sigma_X^2, \quad \sigma_v^2 = \sigma_F^2 - g \sigma_{XF}

    over four scales (Sheikh and Bovik 2006; the variant of :mod:`ir_vis_fusion.metrics.vif`,
    which has the windows). Where the metric compares variances with 1e-10, the floor here is
    0.01 squared grey levels of 255: float32 has no digits for less, and no sensor either.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in [0, 1], H and W at least 41.

    Returns
    -------
    A scalar.

    """
    # Around zero, a variance loses fewer digits as the difference of two squares.
    images = [(image.float() - 0.5) * 255 for image in (fused, ir, vis_y)]
    kept, offered = [0.0, 0.0], [0.0, 0.0]
    for scale, step in enumerate(STEPS, 1):
        size = 2 ** (SCALES - scale + 1) + 1
        window = gaussian(size, size / 5)
        if scale > 1:
            images = [slide(image, window, 2) for image in images]
        mean_f, var_f = _moments(images[0], window, step)
        for which, source in enumerate(images[1:]):
            mean_s, var_s = _moments(source, window, step)
            covariance = slide(source * images[0], window, step) - mean_s * mean_f
            # What is turned round carries nothing.
            gain = (covariance / (var_s + EPSILON)).clamp_min(0)
            noise = (var_f - gain * covariance).clamp_min(0)
            told = torch.log1p(gain**2 * var_s / (noise + NOISE_VARIANCE))
            # A place stands for those that were left out.
            kept[which] = kept[which] + step**2 * told.sum((1, 2, 3))
            all_ = torch.log1p(var_s / NOISE_VARIANCE).sum((1, 2, 3))
            offered[which] = offered[which] + step**2 * all_
    # A source without any information is told in full.
    both = zip(kept, offered, strict=True)
    return 2 - sum((told + EPSILON) / (all_ + EPSILON) for told, all_ in both).mean()


def _moments(image: Tensor, window: list[float], step: int) -> tuple[Tensor, Tensor]:
    mean = slide(image, window, step)
    return mean, (slide(image * image, window, step) - mean**2).clamp_min(0)
