"""
Changes that make a pair look like one from another camera, time or weather.

All chance comes from one torch generator, so that a run can be stopped and taken up again
with the same draws.
"""

from dataclasses import dataclass

from ir_vis_fusion.config import setting, Settings, ThermalSettings
from ir_vis_fusion.preprocessing.color import luma
from ir_vis_fusion.preprocessing.thermal import ThermalNormalizer
import torch
from torch import Generator, Tensor
from training.datasets import ImagePair


@dataclass(frozen=True)
class AugmentationSettings(Settings):
    """How often and how far a pair is changed."""

    crop: int = setting(128, 'side of the square crops', unit='px', minimum=32)
    radiometric_share: float = setting(
        0.3, 'share of crops seen as 16-bit counts of a thermal camera', minimum=0, maximum=1
    )
    least_span: float = setting(
        150.0, 'smallest range of the simulated scene', unit='counts', minimum=1
    )
    largest_span: float = setting(
        6000.0, 'largest range of the simulated scene', unit='counts', minimum=1
    )
    count_noise: float = setting(5.0, 'noise of the simulated camera', unit='counts', minimum=0)
    contrast_share: float = setting(
        0.5, 'share of crops whose infrared loses contrast', minimum=0, maximum=1
    )
    least_contrast: float = setting(0.3, 'lowest infrared contrast', minimum=0, maximum=1)
    gamma_share: float = setting(0.5, 'share of crops with a gamma on luma', minimum=0, maximum=1)
    least_gamma: float = setting(0.6, 'brightest gamma', minimum=0.1)
    largest_gamma: float = setting(2.2, 'darkest gamma (dusk, night)', minimum=0.1)
    noise_share: float = setting(0.5, 'share of crops with noisy inputs', minimum=0, maximum=1)
    largest_noise: float = setting(0.02, 'largest noise of the inputs', minimum=0, maximum=1)


@dataclass(frozen=True, eq=False)
class Sample:
    """
    A crop: what the network sees and what the losses compare with, (1, S, S) in [0, 1].

    Clean means without the noise of ``largest_noise``; that of the simulated counts stays.
    """

    vis_y: Tensor
    ir: Tensor
    clean_vis_y: Tensor
    clean_ir: Tensor


class Augmenter:
    """Turns pairs into samples; the same generator state gives the same samples."""

    def __init__(
        self, settings: AugmentationSettings, thermal: ThermalSettings, generator: Generator
    ) -> None:
        self._settings = settings
        self._thermal = thermal
        self._generator = generator

    def __call__(self, pair: ImagePair) -> Sample:
        """Crop and change one pair."""
        settings = self._settings
        window = self._window(pair.thermal.shape)
        ir = self._normalize(pair.thermal)[window]
        vis_y = luma(pair.visible[window], pair.encoding)
        flips = [axis for axis in (0, 1) if self._chance(0.5)]
        ir, vis_y = ir.flip(flips), vis_y.flip(flips)
        if self._chance(settings.contrast_share):
            contrast = self._between(settings.least_contrast, 1.0)
            ir = ir * contrast + self._between(0.0, 0.5) * (1 - contrast)
        if self._chance(settings.gamma_share):
            vis_y = vis_y ** self._between(settings.least_gamma, settings.largest_gamma)
        noise = self._between(0.0, settings.largest_noise)
        noise = noise if self._chance(settings.noise_share) else 0.0
        return Sample(
            vis_y=self._noisy(vis_y, noise)[None],
            ir=self._noisy(ir, noise)[None],
            clean_vis_y=vis_y[None],
            clean_ir=ir[None],
        )

    def _normalize(self, thermal: Tensor) -> Tensor:
        """Take 8 bits as they are or as the counts of a camera, as the node would."""
        settings = self._settings
        if self._chance(settings.radiometric_share):
            span = self._between(settings.least_span, settings.largest_span)
            counts = 28000.0 + thermal * (span / 255)
            counts += settings.count_noise * torch.randn(thermal.shape, generator=self._generator)
            thermal = counts.round().to(torch.uint16)
        return ThermalNormalizer(self._thermal).normalize(thermal, stamp_ns=0)

    def _window(self, shape: torch.Size) -> tuple[slice, slice]:
        side = self._settings.crop
        top, left = (
            int(torch.randint(extent - side + 1, (), generator=self._generator))
            for extent in shape
        )
        return slice(top, top + side), slice(left, left + side)

    def _noisy(self, image: Tensor, noise: float) -> Tensor:
        if not noise:
            return image
        grain = torch.randn(image.shape, generator=self._generator)
        return (image + noise * grain).clamp(0, 1)

    def _chance(self, share: float) -> bool:
        return self._between(0.0, 1.0) < share

    def _between(self, low: float, high: float) -> float:
        return low + (high - low) * torch.rand((), generator=self._generator).item()
