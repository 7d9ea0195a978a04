"""SF: spatial frequency of the fused image."""

from torch import Tensor


def sf(fused: Tensor, ir: Tensor, vis_y: Tensor) -> Tensor:
    r"""
    Measure how much neighbouring pixels differ; noise and halos raise it as well as detail.

    .. math::
        SF = \sqrt{\overline{(F_{y, x+1} - F_{y, x})^2} + \overline{(F_{y+1, x} - F_{y, x})^2}}

    Variant: CDDFuse ``utils/Evaluator.py`` (Eskicioglu and Fisher 1995): each mean is over the
    differences that exist. VIFB divides by HW, which is smaller by a thousandth or so; tables
    with values about 0.05 are on 0-1.

    Parameters
    ----------
    fused, ir, vis_y
        (B, 1, H, W) in 0-255; the sources do not count.

    Returns
    -------
    (B,) float64.

    """
    fused = fused.double()
    rows, columns = fused.diff(dim=3), fused.diff(dim=2)
    return ((rows**2).mean((1, 2, 3)) + (columns**2).mean((1, 2, 3))).sqrt()
