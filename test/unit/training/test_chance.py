"""Chance: the same seeds, the same draws; fair, and free of state from elsewhere."""

import pytest
import torch
from training.chance import Chance


def draws(chance: Chance) -> tuple[float, int, list[int], list[float]]:
    return (
        chance.between(-2.0, 3.0),
        chance.integer(1000),
        chance.choose([1.0, 2.0, 3.0], 5),
        chance.noise((2, 3)).flatten().tolist(),
    )


def test_the_same_seeds_give_the_same_draws_whatever_was_drawn_elsewhere() -> None:
    first = draws(Chance(3, 14, 0))
    torch.manual_seed(1)
    torch.rand(7)
    assert draws(Chance(3, 14, 0)) == first


@pytest.mark.parametrize('seeds', [(3, 15, 0), (3, 14, 1), (4, 14, 0), (14, 3, 0), (3, 14)])
def test_other_seeds_give_other_draws(seeds: tuple[int, ...]) -> None:
    pairs = zip(draws(Chance(*seeds)), draws(Chance(3, 14, 0)), strict=True)
    assert all(one != other for one, other in pairs)


def test_neighbouring_seeds_have_nothing_in_common() -> None:
    values = torch.tensor([Chance(0, step).between(0.0, 1.0) for step in range(2000)])
    assert values.mean().item() == pytest.approx(0.5, abs=0.02)
    assert values.std().item() == pytest.approx(12**-0.5, abs=0.02)
    assert torch.corrcoef(torch.stack((values[1:], values[:-1])))[0, 1].abs() < 0.07


def test_numbers_lie_between_their_bounds() -> None:
    chance = Chance(0)
    values = torch.tensor([chance.between(2.0, 5.0) for _ in range(2000)])
    assert values.min() >= 2.0
    assert values.max() < 5.0
    assert values.mean().item() == pytest.approx(3.5, abs=0.08)
    assert {chance.integer(3) for _ in range(100)} == {0, 1, 2}


@pytest.mark.parametrize(
    ('share', 'least', 'most'), [(0, 0, 0), (0.25, 440, 560), (1, 2000, 2000)]
)
def test_something_happens_in_its_share_of_cases(share: float, least: int, most: int) -> None:
    chance = Chance(1)
    assert least <= sum(chance.happens(share) for _ in range(2000)) <= most


def test_indices_are_chosen_in_proportion_to_their_weights() -> None:
    """4000 draws of weights 3, 0, 1: 3000, 0 and 1000 are expected, within 4 sigma of 27."""
    chosen = torch.tensor(Chance(2).choose(torch.tensor([3.0, 0.0, 1.0]), 4000))
    counts = torch.bincount(chosen, minlength=3).tolist()
    assert counts[0] == pytest.approx(3000, abs=110)
    assert counts[1] == 0


def test_noise_is_standard_normal_and_does_not_disturb_the_other_draws() -> None:
    chance, silent = Chance(5), Chance(5)
    grain = chance.noise((100, 100))
    assert grain.dtype == torch.float32
    assert grain.mean().item() == pytest.approx(0.0, abs=0.04)
    assert grain.std().item() == pytest.approx(1.0, abs=0.03)
    assert chance.between(0.0, 1.0) == silent.between(0.0, 1.0)
