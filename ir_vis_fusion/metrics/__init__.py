"""
Metrics of image fusion: pure functions on (B, 1, H, W) tensors in 0-255 that return (B,).

All of them take ``(fused, ir, vis_y)`` and compute in float64; those of videos, ``flicker`` and
``jitter``, say what they take. A figure is comparable with a published one only where the variant
is the same; each function says which one it is.
"""

from ir_vis_fusion.metrics.ag import ag
from ir_vis_fusion.metrics.cc import cc
from ir_vis_fusion.metrics.en import en
from ir_vis_fusion.metrics.flicker import flicker
from ir_vis_fusion.metrics.fmi import fmi
from ir_vis_fusion.metrics.jitter import jitter
from ir_vis_fusion.metrics.mi import mi
from ir_vis_fusion.metrics.ms_ssim import ms_ssim
from ir_vis_fusion.metrics.nabf import nabf
from ir_vis_fusion.metrics.psnr import mse, psnr
from ir_vis_fusion.metrics.qabf import qabf
from ir_vis_fusion.metrics.qcb import qcb
from ir_vis_fusion.metrics.qcv import qcv
from ir_vis_fusion.metrics.scd import scd
from ir_vis_fusion.metrics.sd import sd
from ir_vis_fusion.metrics.sf import sf
from ir_vis_fusion.metrics.ssim import ssim
from ir_vis_fusion.metrics.vif import vif

__all__ = [
    'ag',
    'cc',
    'en',
    'flicker',
    'fmi',
    'jitter',
    'mi',
    'ms_ssim',
    'mse',
    'nabf',
    'psnr',
    'qabf',
    'qcb',
    'qcv',
    'scd',
    'sd',
    'sf',
    'ssim',
    'vif',
]
