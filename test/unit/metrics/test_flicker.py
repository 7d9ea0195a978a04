"""Flicker and jitter: values derived by hand."""

from ir_vis_fusion.metrics import flicker, jitter
import pytest
import torch


def video(*frames):
    """Make a video of two pixels an image."""
    return torch.tensor(frames).reshape(len(frames), 1, 1, 2)


def noise(seed, frames=5):
    generator = torch.Generator().manual_seed(seed)
    return 255 * torch.rand(frames, 1, 16, 12, generator=generator)


def test_only_change_beyond_the_larger_of_the_sources_counts():
    fused = video([100, 100], [110, 80], [110, 80])
    ir = video([10, 10], [14, 10], [14, 60])
    vis_y = video([50, 50], [47, 45], [47, 45])
    # First step: 10 - max(4, 3) = 6 and 20 - max(0, 5) = 15; then the fused image is still.
    assert flicker(fused, ir, vis_y).tolist() == [10.5, 0.0]


def test_copies_maxima_and_fixed_mixtures_of_the_sources_do_not_flicker():
    ir, vis_y = noise(1), noise(2)
    for fused in (ir, vis_y, torch.maximum(ir, vis_y), torch.minimum(ir, vis_y)):
        assert flicker(fused, ir, vis_y).tolist() == [0.0] * 4
    assert flicker((ir + vis_y) / 2, ir, vis_y).max() < 1e-4


def test_a_brightness_that_alternates_flickers_by_its_amplitude():
    still = torch.full((4, 1, 8, 8), 90.0)
    fused = still + torch.tensor([0.0, 3.0, 0.0, 3.0]).reshape(4, 1, 1, 1)
    assert flicker(fused, still, still).tolist() == [3.0] * 3


def test_one_image_has_no_flicker_to_measure():
    assert flicker(noise(1, 1), noise(2, 1), noise(3, 1)).shape == (0,)


def test_jitter_is_the_mean_deviation_from_the_median_interval():
    stamps = torch.tensor([0, 30, 62, 90, 120]) * 1_000_000
    # Intervals of 30, 32, 28 and 30 ms.
    assert jitter(stamps).item() == pytest.approx(1.0)
    assert jitter(torch.arange(9) * 33_333_333).item() == 0.0


def test_a_missing_image_counts_and_a_bag_that_starts_over_does_not():
    period = 10_000_000
    gap = torch.tensor([0, 1, 2, 4, 5]) * period
    assert jitter(gap).item() == pytest.approx(2.5)
    looped = torch.tensor([0, 1, 2, 0, 1, 2]) * period
    assert jitter(looped).item() == 0.0


def test_jitter_of_too_few_stamps_is_not_a_number():
    assert jitter(torch.tensor([5, 10])).isnan()
    assert jitter(torch.empty(0, dtype=torch.int64)).isnan()
