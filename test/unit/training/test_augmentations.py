"""Augmentations: in range, repeatable, and through the node's own preprocessing."""

from dataclasses import replace

from ir_vis_fusion.config import PredictorSettings, ThermalSettings
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.types import Frame, FramePair, PixelEncoding
import pytest
import torch
from torch import Generator, Tensor
from training.augmentations import AugmentationSettings, Augmenter
from training.datasets import ImagePair

PLAIN = AugmentationSettings(
    crop=64, radiometric_share=0.0, contrast_share=0.0, gamma_share=0.0, noise_share=0.0
)


def pair(encoding: PixelEncoding = PixelEncoding.RGB8) -> ImagePair:
    """Return noise of exactly one crop, so that nothing but flips remains to chance."""
    generator = Generator().manual_seed(7)
    visible = torch.randint(256, (64, 64, 3), generator=generator, dtype=torch.uint8)
    thermal = torch.randint(256, (64, 64), generator=generator, dtype=torch.uint8)
    return ImagePair('noise', visible, thermal, encoding)


def augmenter(settings: AugmentationSettings, seed: int = 0) -> Augmenter:
    return Augmenter(settings, ThermalSettings(), Generator().manual_seed(seed))


def unflipped(image: Tensor, like: Tensor) -> Tensor:
    """Return the flip of an image that is nearest to another."""
    flips = [image, image.flip(-1), image.flip(-2), image.flip(-1, -2)]
    return min(flips, key=lambda flip: (flip - like).abs().mean().item())


def test_samples_are_crops_in_the_unit_range() -> None:
    augment = augmenter(AugmentationSettings(crop=48))
    for _ in range(20):
        sample = augment(pair())
        for image in (sample.vis_y, sample.ir, sample.clean_vis_y, sample.clean_ir):
            assert image.shape == (1, 48, 48)
            assert image.dtype == torch.float32
            assert image.min() >= 0.0
            assert image.max() <= 1.0


def test_the_same_generator_state_gives_the_same_samples() -> None:
    first, second = (augmenter(AugmentationSettings(crop=48), seed=3) for _ in range(2))
    for _ in range(5):
        one, other = first(pair()), second(pair())
        assert torch.equal(one.vis_y, other.vis_y)
        assert torch.equal(one.ir, other.ir)


def test_noise_is_on_the_inputs_and_not_on_what_is_learnt() -> None:
    noisy = augmenter(replace(PLAIN, noise_share=1.0, largest_noise=0.05))(pair())
    plain = augmenter(PLAIN)(pair())
    assert not torch.equal(noisy.ir, noisy.clean_ir)
    target = unflipped(noisy.clean_ir, plain.clean_ir)
    torch.testing.assert_close(target, plain.clean_ir)


def test_infrared_as_counts_keeps_its_order() -> None:
    """A wide scene comes back as a clipped stretch of the 8-bit image."""
    settings = replace(PLAIN, radiometric_share=1.0, least_span=6000.0, count_noise=0.0)
    plain = augmenter(PLAIN)(pair()).ir
    counts = unflipped(augmenter(settings)(pair()).ir, plain)
    assert torch.corrcoef(torch.stack((counts.flatten(), plain.flatten())))[0, 1] > 0.999
    assert counts.min() == 0.0
    assert counts.max() == 1.0


def test_a_narrow_scene_is_not_stretched_beyond_the_minimum_span() -> None:
    """150 counts in a minimum span of 300 fill half of the range."""
    narrow = replace(
        PLAIN, radiometric_share=1.0, least_span=150.0, largest_span=150.0, count_noise=0.0
    )
    ir = augmenter(narrow)(pair()).ir
    assert (ir.max() - ir.min()).item() == pytest.approx(0.5, abs=0.01)


class Recorder(torch.nn.Module):
    """Stands in for the network and keeps what reaches it."""

    def forward(self, vis_y: Tensor, ir: Tensor) -> Tensor:
        self.seen = vis_y[0], ir[0]
        return vis_y


@pytest.mark.parametrize('encoding', [PixelEncoding.RGB8, PixelEncoding.BGR8])
@pytest.mark.parametrize('bits', [8, 16])
def test_the_network_sees_the_same_in_training_and_in_the_node(
    encoding: PixelEncoding, bits: int
) -> None:
    source = pair(encoding)
    settings = PLAIN if bits == 8 else replace(PLAIN, radiometric_share=1.0, count_noise=0.0)
    settings = replace(settings, least_span=2550.0, largest_span=2550.0)
    thermal = source.thermal
    if bits == 16:
        thermal = (28000.0 + thermal * 10.0).to(torch.uint16)
    kind = PixelEncoding.MONO8 if bits == 8 else PixelEncoding.MONO16
    predictor = FusionPredictor(PredictorSettings(device='cpu'))
    predictor._model = Recorder()
    predictor.predict(
        FramePair(Frame(thermal.numpy(), kind), Frame(source.visible.numpy(), encoding))
    )
    vis_y, ir = predictor._model.seen
    sample = augmenter(settings)(source)
    assert torch.equal(unflipped(sample.ir, ir), ir)
    assert torch.equal(unflipped(sample.vis_y, vis_y), vis_y)
