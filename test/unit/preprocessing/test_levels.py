"""Bytes stand for floats, and back."""

from ir_vis_fusion.models.student import statistics
from ir_vis_fusion.preprocessing.levels import (
    blend,
    byte_statistics,
    round_sum,
    stretch,
    to_type,
)
import pytest
import torch


def test_bytes_become_floats_and_the_same_bytes_again() -> None:
    levels = torch.arange(256, dtype=torch.uint8).view(16, 16)
    floats = to_type(levels, torch.float32)
    torch.testing.assert_close(floats, torch.arange(256).view(16, 16) / 255)
    assert torch.equal(to_type(floats, torch.uint8), levels)


def test_floats_are_rounded_and_clamped_and_not_changed() -> None:
    floats = torch.tensor([[-0.1, 0.4 / 255, 0.6 / 255, 1.0, 1.2]])
    before = floats.clone()
    assert to_type(floats, torch.uint8).tolist() == [[0, 0, 1, 255, 255]]
    batch = floats.expand(3, -1)[None, None]
    assert to_type(batch, torch.uint8).tolist() == [[[[0, 0, 1, 255, 255]] * 3]]
    assert torch.equal(floats, before)


@pytest.mark.parametrize('dtype', [torch.uint8, torch.float32])
def test_an_image_of_the_wanted_type_is_returned_as_it_is(dtype: torch.dtype) -> None:
    image = torch.zeros(2, 2, dtype=dtype)
    assert to_type(image, dtype) is image


def test_images_are_blended_by_a_strength_and_a_mask() -> None:
    first, second = torch.tensor([[0, 100, 200]]), torch.tensor([[255, 200, 190]])
    mask = torch.tensor([[0.0, 0.5, 1.0]])
    for strength, share, expected in (
        (1.0, None, [255, 200, 190]),
        (0.5, None, [127.5, 150, 195]),
        (1.0, mask, [0, 150, 190]),
        (0.5, mask, [0, 125, 195]),
    ):
        floats = blend(first / 255, second / 255, strength, share)
        torch.testing.assert_close(floats * 255, torch.tensor([expected], dtype=torch.float32))
        levels = blend(first.to(torch.uint8), second.to(torch.uint8), strength, share)
        assert levels.tolist() == [[int(level + 0.5) for level in expected]]


def test_a_sum_is_rounded_and_clamped() -> None:
    first = torch.tensor([[10.0, 10.0, 10.0, 200.0]])
    second = torch.tensor([[0.1, 0.4, -10.0, 50.0]])
    assert round_sum(first, second, 2.0, 0.5).tolist() == [[11, 11, 0, 255]]


@pytest.mark.parametrize('span', [20.0, 255.0, 300.0, 509.0, 511.0, 3000.7, 70000.0])
@pytest.mark.parametrize('low', [-7.3, 0.0, 0.9, 299.5, 29000.01, 29000.99])
def test_counts_are_stretched_as_exactly_as_numbers_can_be(low: float, span: float) -> None:
    counts = torch.arange(65536, dtype=torch.int32).view(256, 256)
    expected = ((counts.to(torch.float64) - low) * (255 / span)).clamp(0, 255)
    found = stretch(counts.to(torch.uint16), low, span).to(torch.float64)
    torch.testing.assert_close(found, expected, atol=0.502, rtol=0)


def test_statistics_of_bytes_are_those_of_the_student() -> None:
    """With gaps between the rows; a flat pair has no spread."""
    generator = torch.Generator().manual_seed(5)
    first, second = torch.randint(0, 256, (2, 90, 70), generator=generator, dtype=torch.uint8)
    second //= 3
    found = torch.tensor(byte_statistics(first[::4], second[::4])) / 255
    expected = statistics(first[None, None] / 255, second[None, None] / 255)[0]
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)
    flat = byte_statistics(torch.full_like(first, 200), torch.full_like(first, 50))
    assert flat == (200.0, 50.0, 150.0, 0.0, 0.0, 0.0)
