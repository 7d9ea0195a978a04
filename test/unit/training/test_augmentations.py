"""Augmentations: aligned, in range, repeatable, and through the node's own preprocessing."""

from dataclasses import replace
import math

from ir_vis_fusion.backends.interface import Network
from ir_vis_fusion.config import PredictorSettings, ThermalSettings
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.types import Frame, FramePair, PixelEncoding
import numpy as np
import pytest
import torch
from torch import Generator, Tensor
from training.augmentations import (
    AugmentationSettings,
    Augmenter,
    Batch,
    draw_batch,
    rgb_luma,
    Sample,
)
from training.chance import Chance
from training.datasets import ImagePair

PLAIN = AugmentationSettings(
    crop=64,
    affine_share=0.0,
    radiometric_share=0.0,
    contrast_share=0.0,
    gamma_share=0.0,
    noise_share=0.0,
)
COUNTS = replace(PLAIN, radiometric_share=1.0, count_noise=0.0)
SPOILT = AugmentationSettings(crop=48, affine_share=0.5, degraded_share=0.5)
IMAGES = ('vis', 'ir', 'clean_vis', 'clean_ir')


def pair(side: int = 64, encoding: PixelEncoding = PixelEncoding.RGB8) -> ImagePair:
    """Return noise; with the default side exactly one crop, so that only flips are left."""
    generator = Generator().manual_seed(7)
    visible = torch.randint(256, (side, side, 3), generator=generator, dtype=torch.uint8)
    thermal = torch.randint(256, (side, side), generator=generator, dtype=torch.uint8)
    return ImagePair('noise', visible, thermal, encoding)


def grey_pair(thermal: Tensor) -> ImagePair:
    """Return a pair whose visible image shows just what the thermal one does."""
    return ImagePair('grey', thermal[..., None].repeat(1, 1, 3), thermal, PixelEncoding.RGB8)


def sample(settings: AugmentationSettings, source: ImagePair, seed: int = 0) -> Sample:
    return Augmenter(settings, ThermalSettings()).augment(source, Chance(seed))


def symmetries(image: Tensor) -> list[Tensor]:
    turns = [image.rot90(count, (-2, -1)) for count in range(4)]
    return turns + [turn.flip(-1) for turn in turns]


def unturned(image: Tensor, like: Tensor) -> Tensor:
    """Return the flip or turn of an image that is nearest to another."""
    return min(symmetries(image), key=lambda turn: (turn - like).abs().mean().item())


def batch(seed: int = 0, count: int = 3, settings: AugmentationSettings = SPOILT) -> Batch:
    pairs = [replace(pair(80), name=name) for name in 'abc']
    augmenter = Augmenter(settings, ThermalSettings())
    return draw_batch(pairs, [3.0, 0.0, 1.0], count, augmenter, Chance(seed), 'cpu')


def test_samples_are_crops_in_the_unit_range() -> None:
    for seed in range(40):
        one = sample(SPOILT, pair(), seed)
        for name in IMAGES:
            image = getattr(one, name)
            assert image.shape == (3 if name.endswith('vis') else 1, 48, 48)
            assert image.dtype == torch.float32
            assert image.min() >= 0.0
            assert image.max() <= 1.0


def test_the_same_chance_gives_the_same_batch_and_another_chance_another() -> None:
    first, second, other = batch(3), batch(3), batch(4)
    assert first.names == second.names
    for name in IMAGES:
        assert torch.equal(getattr(first, name), getattr(second, name))
        assert not torch.equal(getattr(first, name), getattr(other, name))


def test_a_batch_stacks_samples_and_knows_its_pairs() -> None:
    one = batch(count=5)
    assert one.vis.shape == one.clean_vis.shape == (5, 3, 48, 48)
    assert one.ir.shape == one.clean_ir.shape == (5, 1, 48, 48)
    assert len(one.names) == 5


def test_weights_decide_how_often_a_pair_is_drawn() -> None:
    """200 draws of weights 3, 0, 1: 150, 0 and 50 are expected, within 3 sigma of 6."""
    names = batch(count=200, settings=replace(PLAIN, crop=32)).names
    assert names.count('a') == pytest.approx(150, abs=18)
    assert names.count('b') == 0


def test_luma_is_that_of_bt_601() -> None:
    colours = torch.eye(3)[..., None, None]
    one = Batch(colours, colours[:, :1], 1 - colours, colours[:, :1], None, ())
    expected = torch.tensor([0.299, 0.587, 0.114])
    torch.testing.assert_close(one.vis_y.flatten(), expected)
    torch.testing.assert_close(one.clean_vis_y.flatten(), 1 - expected)
    assert one.vis_y.shape == (3, 1, 1, 1)


@pytest.mark.parametrize('side', [40, 64, 150])
def test_both_images_stay_aligned_through_all_that_moves_pixels(side: int) -> None:
    source = grey_pair(pair(side).thermal)
    for seed in range(20):
        one = sample(replace(PLAIN, affine_share=0.5), source, seed)
        torch.testing.assert_close(one.vis, one.ir.expand(3, -1, -1))


def test_all_flips_and_turns_occur() -> None:
    source = pair()
    plain = symmetries(source.thermal / 255)
    seen = set()
    for seed in range(60):
        ir = sample(PLAIN, source, seed).ir[0]
        [number] = [at for at, turn in enumerate(plain) if torch.allclose(turn, ir)]
        seen.add(number)
    assert seen == set(range(8))


def test_crops_come_from_the_whole_image() -> None:
    """A ramp from left to right tells the column where a crop begins."""
    ramp = torch.arange(36, dtype=torch.uint8).expand(33, 36)
    starts = [
        round(255 * sample(replace(PLAIN, crop=32), grey_pair(ramp), seed).ir.min().item())
        for seed in range(60)
    ]
    assert set(starts) == {0, 1, 2, 3, 4}


@pytest.mark.parametrize('shape', [(40, 50), (64, 20), (9, 200)])
def test_an_image_that_is_too_small_is_mirrored_on_both_sides(shape: tuple[int, int]) -> None:
    generator = Generator().manual_seed(1)
    thermal = torch.randint(256, shape, generator=generator, dtype=torch.uint8)
    down, right = (max(64 - extent, 0) for extent in shape)
    padding = [(down - down // 2, down // 2), (right - right // 2, right // 2)]
    padded = torch.from_numpy(np.pad(thermal.numpy(), padding, mode='reflect'))
    ir = sample(PLAIN, grey_pair(thermal)).ir[0] * 255
    windows = padded.float().unfold(0, 64, 1).unfold(1, 64, 1).flatten(0, 1)
    assert any(torch.allclose(turn, window) for window in windows for turn in symmetries(ir))


def maps(count: int) -> Tensor:
    """
    Return (count, 2, 2), the affine maps found in crops of a pair of two ramps.

    The red ramp grows by one a column, the green one by one a row. Flips and turns only change
    columns and signs.
    """
    places = torch.arange(200, dtype=torch.uint8)
    visible = torch.stack((places.expand(200, 200), places[:, None].expand(200, 200)), dim=-1)
    visible = torch.cat((visible, visible[..., :1]), dim=-1)
    source = ImagePair('ramps', visible, visible[..., 0], PixelEncoding.RGB8)
    found = []
    for seed in range(count):
        ramps = sample(replace(PLAIN, affine_share=1.0), source, seed).vis[:2] * 255
        steps = [ramps.diff(dim=axis) for axis in (-1, -2)]
        for step in steps:
            assert (step - step.mean((1, 2), keepdim=True)).abs().max() < 1e-3
        found.append(torch.stack([step.mean((1, 2)) for step in steps], dim=-1))
    return torch.stack(found)


def test_affine_maps_are_mild_and_leave_no_border() -> None:
    """Even steps all over the crop: it holds neither border nor mirror image."""
    found = maps(60)
    scales = found.det().abs().rsqrt()
    assert 1.0 - 1e-4 <= scales.min() < 1.02
    assert 1.08 < scales.max() <= 1.1 + 1e-4
    # One of the axes is turned only, the other sheared as well.
    slopes = torch.stack([row.abs().amin(-1) / row.abs().amax(-1) for row in found.mT]).atan()
    degrees = slopes * 180 / math.pi
    assert 3.5 < degrees.amin(-1).max() <= 5.0
    assert 5.0 < degrees.max() < 8.1


def test_an_affine_map_turns_about_the_centre_of_its_crop() -> None:
    """Of an image that is too small for a choice the middle stays in the middle."""
    source = grey_pair(torch.arange(60, dtype=torch.uint8).expand(60, 60))
    for seed in range(20):
        ir = sample(replace(PLAIN, affine_share=1.0), source, seed).ir[0]
        assert ir[31:33, 31:33].mean().item() * 255 == pytest.approx(29.5, abs=1e-3)


def test_without_faults_the_inputs_are_the_clean_images() -> None:
    changed = replace(PLAIN, contrast_share=1.0, gamma_share=1.0, affine_share=0.5)
    for seed in range(5):
        one = sample(changed, pair(80), seed)
        assert torch.equal(one.vis, one.clean_vis)
        assert torch.equal(one.ir, one.clean_ir)


def test_gamma_is_a_power_of_the_visible_image_that_is_learnt_too() -> None:
    plain, changed = sample(PLAIN, pair()), sample(replace(PLAIN, gamma_share=1.0), pair())
    inside = (plain.vis > 0.1) & (plain.vis < 0.9)
    power = changed.clean_vis[inside].log() / plain.vis[inside].log()
    assert 0.6 <= power.mean() <= 2.2
    assert power.std() < 1e-4
    assert torch.equal(changed.ir, plain.ir)


def test_contrast_is_taken_from_infrared_and_learnt_too() -> None:
    plain, changed = sample(PLAIN, pair()), sample(replace(PLAIN, contrast_share=1.0), pair())
    contrast = ((changed.clean_ir.max() - changed.clean_ir.min()) / plain.ir.max()).item()
    assert 0.3 <= contrast <= 1.0
    torch.testing.assert_close(changed.ir, changed.ir.min() + contrast * plain.ir)
    assert torch.equal(changed.vis, plain.vis)


def test_a_cold_night_is_dark_in_both_images_in_the_levels_of_8_bits() -> None:
    settings = replace(PLAIN, night_share=1.0, least_contrast=0.25)
    medians = []
    for seed in range(16):
        night = sample(settings, pair(), seed)
        for image in (night.clean_vis, night.clean_ir):
            levels = 255 * image
            medians.append(levels.median().item())
            torch.testing.assert_close(levels, levels.round(), atol=1e-3, rtol=0)
        torch.testing.assert_close(night.vis, night.clean_vis)
        torch.testing.assert_close(night.ir, night.clean_ir)
    # 12 to 80 levels, a quarter of them at least, raised by 13 at most.
    assert min(medians) >= 3 - 0.5
    assert max(medians) <= 80 + 13 + 0.5
    assert max(medians) > 4 * min(medians)


def test_a_dark_pair_does_not_become_brighter_at_night() -> None:
    dark = pair()
    dark = replace(dark, visible=dark.visible // 32, thermal=dark.thermal // 32)
    night = sample(replace(PLAIN, night_share=1.0), dark)
    # What is raised is all of an image.
    assert (night.clean_vis.amax() - night.clean_vis.amin()).item() <= 7.5 / 255
    assert (night.clean_ir.amax() - night.clean_ir.amin()).item() <= 7.5 / 255


def test_a_clear_day_has_full_contrast_and_little_that_is_warm() -> None:
    """What is learnt changes with the inputs; nights come first, and are no such days."""
    settings = replace(PLAIN, clear_share=1.0)
    darker = []
    for seed in range(8):
        clear, plain = sample(settings, pair(), seed), sample(PLAIN, pair(), seed)
        assert torch.equal(clear.vis, clear.clean_vis)
        assert torch.equal(clear.ir, clear.clean_ir)
        low, high = rgb_luma(clear.vis).quantile(torch.tensor([0.02, 0.98]))
        assert low < 0.17
        assert high > 0.6
        darker.append((clear.ir.mean() / plain.ir.mean()).item())
        both = replace(settings, night_share=1.0)
        dark = sample(both, pair(), seed)
        night = sample(replace(PLAIN, night_share=1.0), pair(), seed)
        assert torch.equal(dark.vis, night.vis)
    assert max(darker) < 1.2
    assert sum(darker) / len(darker) < 0.7


def dim() -> ImagePair:
    dark = pair()
    return replace(dark, visible=dark.visible // 8, thermal=dark.thermal // 8)


def test_a_lamp_glows_in_the_visible_image_and_is_mostly_hot() -> None:
    """White at its core, in neither image darker than before, and learnt like the rest."""
    settings = replace(PLAIN, lamp_share=1.0)
    hot = 0
    for seed in range(12):
        lit, plain = sample(settings, dim(), seed), sample(PLAIN, dim(), seed)
        assert torch.equal(lit.vis, lit.clean_vis)
        assert torch.equal(lit.ir, lit.clean_ir)
        assert (lit.vis >= plain.vis - 1e-6).all()
        assert (lit.ir >= plain.ir - 1e-6).all()
        assert lit.vis.amax() <= 1
        assert lit.vis[0].amax() > 0.9
        # Red is the lamp's strongest colour.
        assert (lit.vis[0] - plain.vis[0]).sum() >= (lit.vis[2] - plain.vis[2]).sum()
        hot += (lit.ir - plain.ir).amax().item() > 0.2
    assert 6 <= hot <= 12


@pytest.mark.parametrize('share', ['noise_share', 'degraded_share'])
def test_faults_are_on_the_inputs_and_not_on_what_is_learnt(share: str) -> None:
    for seed in range(10):
        plain = sample(PLAIN, pair(), seed)
        one = sample(replace(PLAIN, **{share: 1.0}), pair(), seed)
        assert torch.equal(one.clean_vis, plain.clean_vis)
        assert torch.equal(one.clean_ir, plain.clean_ir)
        assert not (torch.equal(one.vis, plain.vis) and torch.equal(one.ir, plain.ir))


def test_noise_reaches_both_inputs_and_is_no_larger_than_allowed() -> None:
    one = sample(replace(PLAIN, noise_share=1.0, largest_noise=0.05), pair())
    assert 0.0 < (one.ir - one.clean_ir).std() <= 0.05
    assert 0.0 < (one.vis - one.clean_vis).std() <= 0.05


def test_every_degradation_is_as_likely_as_the_others() -> None:
    """One in eight loses an image, so 20 of 160, within 3 sigma of 4.2."""
    degraded = replace(PLAIN, degraded_share=1.0, crop=32)
    samples = [sample(degraded, pair(32), seed) for seed in range(160)]
    lost = [one for one in samples if (one.vis == 0.5).all() or (one.ir == 0.5).all()]
    assert len(lost) == pytest.approx(20, abs=13)


def test_infrared_as_counts_keeps_its_order() -> None:
    """A wide scene comes back as a clipped stretch of the 8-bit image."""
    plain = sample(PLAIN, pair()).ir
    counts = unturned(sample(replace(COUNTS, least_span=6000.0), pair()).ir, plain)
    assert torch.corrcoef(torch.stack((counts.flatten(), plain.flatten())))[0, 1] > 0.999
    assert counts.min() == 0.0
    assert counts.max() == 1.0


def test_a_narrow_scene_is_not_stretched_beyond_the_minimum_span() -> None:
    """150 counts in a minimum span of 300 fill half of the range."""
    ir = sample(replace(COUNTS, least_span=150.0, largest_span=150.0), pair()).ir
    assert (ir.max() - ir.min()).item() == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize('normalize_8bit', [False, True])
def test_the_range_of_infrared_is_that_of_the_whole_frame(normalize_8bit: bool) -> None:
    """Half of the frame is at 50, half at 100; a crop of one half alone still knows both."""
    thermal = torch.full((64, 128), 50, dtype=torch.uint8)
    thermal[:, 64:] = 100
    settings = replace(PLAIN if normalize_8bit else COUNTS, least_span=6000.0, crop=32)
    augmenter = Augmenter(settings, ThermalSettings(normalize_8bit=normalize_8bit))
    crops = [augmenter.augment(grey_pair(thermal), Chance(seed)).ir for seed in range(20)]
    plain = [crop.mean().item() for crop in crops if crop.min() == crop.max()]
    assert {round(level, 5) for level in plain} == {0.0, 1.0}


class Recorder:
    """Stands in for the network and keeps what reaches it."""

    images = torch.float32

    def __init__(self, network: Network) -> None:
        self.network = network

    def __call__(self, vis: Tensor, ir: Tensor) -> Tensor:
        self.seen = vis[0], ir[0]
        return vis


@pytest.mark.parametrize('encoding', [PixelEncoding.RGB8, PixelEncoding.BGR8])
@pytest.mark.parametrize('bits', [8, 16])
@pytest.mark.parametrize('color', [False, True])
def test_the_network_sees_the_same_in_training_and_in_the_node(
    encoding: PixelEncoding, bits: int, color: bool
) -> None:
    source = pair(encoding=encoding)
    settings = replace(PLAIN if bits == 8 else COUNTS, least_span=2550.0, largest_span=2550.0)
    thermal = source.thermal
    if bits == 16:
        thermal = (28000.0 + thermal * 10.0).to(torch.uint16)
    kind = PixelEncoding.MONO8 if bits == 8 else PixelEncoding.MONO16
    predictor = FusionPredictor(PredictorSettings(device='cpu'))
    predictor._backend = Recorder(replace(predictor.network, color=color))
    predictor.predict(
        FramePair(Frame(thermal.numpy(), kind), Frame(source.visible.numpy(), encoding))
    )
    vis, ir = predictor._backend.seen
    one = draw_batch([source], [1.0], 1, Augmenter(settings, ThermalSettings()), Chance(0), 'cpu')
    assert torch.equal(unturned(one.ir[0], ir), ir)
    if color:
        assert torch.equal(unturned(one.vis[0], vis), vis)
    else:
        torch.testing.assert_close(unturned(one.vis_y[0], vis), vis)
