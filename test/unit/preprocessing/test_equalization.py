"""Curves with limited gain, for the whole image and in tiles."""

from ir_vis_fusion.preprocessing.equalization import Equalizer
import pytest
import torch

TILES = [(1, 1), (6, 8)]


def scene(size=(96, 128)):
    """Return a scene whose grey levels crowd about 0.2, with a hot corner."""
    image = 0.2 + 0.02 * torch.randn(size, generator=torch.Generator().manual_seed(0))
    image[:8, :8] = 1.0
    return image.clamp_(0, 1)


def test_a_gain_of_one_leaves_the_image_nearly_as_it_is():
    """Up to the chance with which evenly spread levels fall into 256 bins."""
    image = torch.rand((96, 128), generator=torch.Generator().manual_seed(1))
    result = Equalizer((1, 1), 1.0).apply(image, 1.0)
    torch.testing.assert_close(result, image, atol=0.02, rtol=0)


@pytest.mark.parametrize('tiles', TILES)
def test_evenly_spread_levels_stay(tiles):
    """Equalisation has nothing to do where each tile holds every level as often."""
    ramp = torch.linspace(0, 1, 32).repeat(96, 4)
    result = Equalizer(tiles, 4.0).apply(ramp, 1.0)
    torch.testing.assert_close(result, ramp, atol=0.05, rtol=0)


@pytest.mark.parametrize('tiles', TILES)
def test_crowded_levels_are_spread_by_no_more_than_the_gain(tiles):
    image = scene()
    result = Equalizer(tiles, 3.0).apply(image, 1.0)
    gain = result[20:, 20:].std() / image[20:, 20:].std()
    # The excess, spread over all levels, adds up to one.
    assert 2.5 < gain < 4.0


@pytest.mark.parametrize('tiles', TILES)
def test_brighter_stays_brighter_and_ends_stay_in_range(tiles):
    image = scene()
    result = Equalizer(tiles, 10.0).apply(image, 1.0)
    assert 0 <= result.min()
    assert result.max() <= 1
    assert result[:8, :8].min() > result[20:, 20:].max()
    patch, mapped = image[40:44, 40:44].flatten(), result[40:44, 40:44].flatten()
    assert torch.all(mapped[patch.argsort()].diff() >= -0.02)


def test_a_plateau_follows_its_closed_form():
    """
    Half of the pixels at 0, half at 0.5, gain 2, 256 bins.

    Both bins are cut from 1/2 to 2/256; the excess of 1 - 4/256 is spread evenly, so the curve
    at 0.5 is bin 0 plus 128 even shares.
    """
    image = torch.zeros(64, 64)
    image[:, 32:] = 0.5
    result = Equalizer((1, 1), 2.0).apply(image, 1.0)
    even = (1 - 4 / 256) / 256
    assert result[0, 40].item() == pytest.approx(2 / 256 + 128 * even, abs=2 / 256)
    assert result[0, 0].item() == pytest.approx(0.0, abs=1 / 256)


def test_no_seam_is_seen_between_tiles():
    """In a smooth ramp neighbours stay neighbours."""
    ramp = torch.linspace(0, 1, 128).repeat(96, 1)
    result = Equalizer((6, 8), 3.0).apply(ramp, 1.0)
    assert result.diff(dim=1).abs().max() < 6 / 128
    assert result.diff(dim=0).abs().max() < 1e-3


@pytest.mark.parametrize('tiles', TILES)
def test_curves_go_the_given_share_of_the_way(tiles):
    first, second = scene(), 1 - scene()
    equalizer, fresh = Equalizer(tiles, 3.0), Equalizer(tiles, 3.0)
    before = equalizer.apply(first, 1.0)
    torch.testing.assert_close(equalizer.apply(first, 0.0), before)
    equalizer.apply(second, 0.0)
    torch.testing.assert_close(equalizer.apply(first, 0.0), before)
    halfway = equalizer.apply(second, 0.5)
    target = fresh.apply(second, 1.0)
    started = Equalizer(tiles, 3.0)
    started.apply(first, 1.0)
    start = started.apply(second, 0.0)
    torch.testing.assert_close(halfway, (start + target) / 2, atol=0.01, rtol=0)


@pytest.mark.parametrize('tiles', TILES)
def test_a_reset_or_another_size_starts_anew(tiles):
    equalizer = Equalizer(tiles, 3.0)
    equalizer.apply(1 - scene(), 1.0)
    equalizer.reset()
    fresh = Equalizer(tiles, 3.0).apply(scene(), 1.0)
    torch.testing.assert_close(equalizer.apply(scene(), 0.0), fresh)
    assert equalizer.apply(scene((51, 67)), 0.5).shape == (51, 67)
