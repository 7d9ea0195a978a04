"""Degradations: each does what its formula says, on single samples and batches alike."""

import pytest
import torch
from torch import Generator, Tensor
from training.chance import Chance
from training.degradations import DEGRADATIONS


def images(*batch: int) -> tuple[Tensor, Tensor]:
    generator = Generator().manual_seed(3)
    vis = torch.rand(*batch, 3, 24, 32, generator=generator)
    return vis, torch.rand(*batch, 1, 24, 32, generator=generator)


def degrade(name: str, seed: int, *batch: int) -> tuple[Tensor, Tensor]:
    return DEGRADATIONS[name](*images(*batch), Chance(seed))


@pytest.mark.parametrize('name', DEGRADATIONS)
@pytest.mark.parametrize('batch', [(), (2,)])
def test_shapes_range_and_sources_stay(name: str, batch: tuple[int, ...]) -> None:
    vis, ir = images(*batch)
    seen_vis, seen_ir = DEGRADATIONS[name](vis, ir, Chance(0))
    assert seen_vis.shape == vis.shape
    assert seen_ir.shape == ir.shape
    for image in (seen_vis, seen_ir):
        assert image.dtype == torch.float32
        assert image.min() >= 0.0
        assert image.max() <= 1.0
    assert not (torch.equal(seen_vis, vis) and torch.equal(seen_ir, ir))
    assert torch.equal(vis, images(*batch)[0])
    assert torch.equal(ir, images(*batch)[1])


@pytest.mark.parametrize('name', DEGRADATIONS)
def test_the_same_chance_does_the_same(name: str) -> None:
    first, second = degrade(name, 4), degrade(name, 4)
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


@pytest.mark.parametrize('name', ['gamma', 'haze'])
def test_gamma_and_haze_leave_infrared_alone(name: str) -> None:
    assert torch.equal(degrade(name, 0)[1], images()[1])


@pytest.mark.parametrize('name', ['stripes', 'contrast', 'misregistration'])
def test_stripes_contrast_and_shift_leave_the_visible_image_alone(name: str) -> None:
    assert torch.equal(degrade(name, 0)[0], images()[0])


def test_gamma_is_one_power_between_its_bounds() -> None:
    powers = []
    for seed in range(60):
        power = degrade('gamma', seed)[0].log() / images()[0].log()
        assert power.std() < 1e-3
        powers.append(power.median().item())
    assert 0.4 <= min(powers) < 0.6
    assert 2.2 < max(powers) <= 2.5


def test_haze_veils_with_an_airlight_of_eight_tenths() -> None:
    """Black becomes 0.8 (1 - t), white t more: with t = 0.5, 0.4 and 0.9."""
    for seed in range(10):
        vis = torch.zeros(3, 8, 8)
        vis[:, :4] = 1.0
        hazy, _ = DEGRADATIONS['haze'](vis, vis[:1], Chance(seed))
        transmission = (hazy[0, 0, 0] - hazy[0, 7, 0]).item()
        assert 0.2 <= transmission <= 0.9
        assert hazy[0, 7, 0].item() == pytest.approx(0.8 * (1 - transmission), abs=1e-6)


def test_contrast_leaves_four_tenths() -> None:
    torch.testing.assert_close(degrade('contrast', 0)[1], 0.4 * images()[1])


def test_blur_keeps_the_mean_and_spreads_a_point_by_at_most_two_pixels() -> None:
    """The variance of a blurred point along one axis is sigma squared."""
    point = torch.zeros(1, 33, 33)
    point[0, 16, 16] = 1.0
    places = torch.arange(33.0) - 16
    sigmas = []
    for seed in range(40):
        for image in DEGRADATIONS['blur'](point.expand(3, -1, -1), point, Chance(seed)):
            assert image[0].sum().item() == pytest.approx(1.0, abs=1e-5)
            sigmas.append((image[0].sum(dim=0) * places**2).sum().sqrt().item())
    assert min(sigmas) < 0.2
    assert 1.8 < max(sigmas) <= 2.0


def test_noise_is_grey_new_in_each_image_and_at_most_six_hundredths() -> None:
    grey = torch.full((2, 3, 32, 32), 0.5)
    levels = []
    for seed in range(20):
        vis, ir = DEGRADATIONS['noise'](grey, grey[:, :1], Chance(seed))
        torch.testing.assert_close(vis[:, 0], vis[:, 2])
        assert not torch.equal(vis[0], vis[1])
        assert not torch.equal(vis[:, :1], ir)
        levels.append((ir - 0.5).std().item())
    assert 0.045 < max(levels) < 0.064


def test_stripes_are_constant_along_one_axis() -> None:
    axes = set()
    for seed in range(10):
        grey = torch.full((2, 1, 24, 32), 0.5)
        pattern = DEGRADATIONS['stripes'](grey, grey, Chance(seed))[1] - 0.5
        assert torch.equal(pattern[0], pattern[1])
        axis = 0 if torch.equal(pattern[0, 0], pattern[0, 0, :1].expand(24, 32)) else 1
        axes.add(axis)
        assert pattern[0, 0].std(dim=axis).abs().max() < 1e-6
        assert 0.01 < pattern.std().item() < 0.12
    assert axes == {0, 1}


def test_misregistration_shifts_by_one_to_four_pixels() -> None:
    """A ramp in y plus one in x, of different slopes, tells both shifts."""
    rows, columns = torch.meshgrid(torch.arange(24.0), torch.arange(32.0), indexing='ij')
    ramp = (rows + 100 * columns)[None]
    shifts = set()
    for seed in range(120):
        _, moved = DEGRADATIONS['misregistration'](ramp.expand(3, -1, -1), ramp, Chance(seed))
        difference = int((ramp - moved)[0, 12, 16].item())
        right = round(difference / 100)
        shifts.add((difference - 100 * right, right))
    assert all(1 <= max(abs(down), abs(right)) <= 4 for down, right in shifts)
    assert {(4, 0), (-1, 0), (0, 3), (0, -4), (2, 2), (-2, -2), (3, -3)} <= shifts
    assert len(shifts) == 32


def test_misregistration_repeats_the_edge() -> None:
    ramp = torch.arange(16.0).expand(1, 16, 16)
    for seed in range(20):
        _, moved = DEGRADATIONS['misregistration'](ramp, ramp, Chance(seed))
        assert (moved[0].diff(dim=1) >= 0).all()
        assert set(moved.flatten().tolist()) <= set(range(16))


def test_dropout_turns_one_of_the_two_mid_grey() -> None:
    lost = []
    for seed in range(40):
        gone = [bool((image == 0.5).all()) for image in degrade('dropout', seed)]
        assert sum(gone) == 1
        lost.append(gone[0])
    assert 10 <= sum(lost) <= 30
