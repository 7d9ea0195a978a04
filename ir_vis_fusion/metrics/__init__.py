"""
Metrics of image fusion: pure functions on (B, 1, H, W) tensors in 0-255 that return (B,).

All of them take ``(fused, ir, vis_y)`` and compute in float64. A figure is comparable with a
published one only where the variant is the same; each function says which one it is.
"""

from ir_vis_fusion.metrics.nabf import nabf
from ir_vis_fusion.metrics.qabf import qabf
from ir_vis_fusion.metrics.scd import scd
from ir_vis_fusion.metrics.ssim import ssim
from ir_vis_fusion.metrics.vif import vif

__all__ = ['nabf', 'qabf', 'scd', 'ssim', 'vif']
