"""Normalisation against its closed form."""

import math

from ir_vis_fusion.config import ThermalSettings
from ir_vis_fusion.preprocessing.thermal import ThermalNormalizer
import numpy as np
import pytest
import torch

SECOND = 1_000_000_000
LOW, PROBE = 29000, 29500
# Share of the new span by which the range stays off.
BAND = 0.04
DTYPES = [torch.uint16, torch.float32]


def scene(low=LOW, high=30000, dtype=torch.uint16, size=(64, 80)):
    """Half low, half high counts: all percentiles in use fall on them; one pixel is the probe."""
    image = torch.full(size, float(low))
    image[:, size[1] // 2 :] = high
    image[1, 1] = PROBE
    return image.to(dtype)


def top(normalized):
    """Return the upper end of the range from where the probe lies in it, with LOW below."""
    return LOW + (PROBE - LOW) / normalized[1, 1].item()


def make(**settings):
    return ThermalNormalizer(ThermalSettings(**settings))


@pytest.mark.parametrize('dtype', DTYPES)
def test_the_first_frame_sets_the_range_directly(dtype):
    result = make().normalize(scene(dtype=dtype), SECOND)
    assert result.dtype == torch.float32
    assert (result[:, 0].max(), result[:, -1].min()) == (0, 1)
    assert result[1, 1].item() == pytest.approx(0.5)


@pytest.mark.parametrize('dtype', DTYPES)
@pytest.mark.parametrize(('high', 'time_s'), [(31000, 0.3), (29600, 2.0)])
def test_the_range_widens_with_attack_and_narrows_with_decay(high, time_s, dtype):
    normalizer = make()
    normalizer.normalize(scene(dtype=dtype), SECOND)
    end = high - math.copysign(BAND * (high - LOW), high - 30000)
    for i in range(1, 60):
        elapsed_s = i / 30
        # From 30000 towards the band about the new level: a first-order step response.
        expected = end + (30000 - end) * math.exp(-elapsed_s / time_s)
        stamp_ns = SECOND + round(elapsed_s * SECOND)
        result = normalizer.normalize(scene(high=high, dtype=dtype), stamp_ns)
        assert top(result) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize('high', [30020, 29980])
def test_the_range_stands_still_where_it_is_nearly_right(high):
    normalizer = make()
    normalizer.normalize(scene(), SECOND)
    for i in range(1, 60):
        result = normalizer.normalize(scene(high=high), SECOND + i * SECOND)
    assert top(result) == pytest.approx(30000, abs=0.1)


def test_the_low_end_follows_in_the_same_way():
    normalizer = make()
    normalizer.normalize(scene(), SECOND)
    result = normalizer.normalize(scene(low=28000), SECOND + SECOND // 10)
    end = 28000 + BAND * 2000
    low = end + (29000 - end) * math.exp(-0.1 / 0.3)
    assert result[1, 1].item() == pytest.approx((PROBE - low) / (30000 - low), abs=1e-4)


def test_the_range_depends_on_time_and_not_on_the_number_of_frames():
    often, once = make(), make()
    for normalizer in (often, once):
        normalizer.normalize(scene(), SECOND)
    for i in range(1, 11):
        last = often.normalize(scene(high=31000), SECOND + i * SECOND // 20)
    first = once.normalize(scene(high=31000), SECOND + SECOND // 2)
    torch.testing.assert_close(last, first)


@pytest.mark.parametrize('stamp_ns', [SECOND, SECOND - 5])
def test_no_time_passes_when_the_stamp_stays_or_goes_back(stamp_ns):
    normalizer = make(attack_s=0.0, decay_s=0.0)
    normalizer.normalize(scene(), SECOND)
    assert top(normalizer.normalize(scene(high=31000), stamp_ns)) == pytest.approx(30000)
    result = normalizer.normalize(scene(high=31000), SECOND + 1)
    assert top(result) == pytest.approx(31000 - BAND * 2000, abs=0.1)


def test_a_flat_scene_is_mid_grey_and_its_noise_is_not_amplified():
    noise = np.random.default_rng(0).integers(-3, 4, (64, 80))
    image = torch.from_numpy((LOW + noise).astype(np.uint16))
    result = make(min_span_counts=300.0).normalize(image, SECOND)
    assert result.mean().item() == pytest.approx(0.5, abs=0.01)
    assert (result.max() - result.min()).item() == pytest.approx(6 / 300, abs=1e-4)


def test_the_minimum_span_of_known_units_is_in_kelvin():
    kelvin = torch.full((64, 80), 300.0)
    kelvin[0, 0] = 300.6
    result = make(min_span_kelvin=3.0).normalize(kelvin, SECOND)
    assert result[5, 5].item() == pytest.approx(0.5)
    assert result[0, 0].item() == pytest.approx(0.7, abs=1e-4)


@pytest.mark.parametrize('pixel', [0, 65535])
def test_a_dead_or_hot_pixel_does_not_move_the_range(pixel):
    with_pixel = scene().to(torch.int32)
    with_pixel[0, 0] = pixel
    result = make().normalize(with_pixel.to(torch.uint16), SECOND)
    assert result[1, 1].item() == pytest.approx(0.5)
    assert result[0, 0].item() == (pixel > 0)


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_pixels_that_are_not_finite_are_ignored_and_painted_as_low(value):
    image = scene(dtype=torch.float32)
    image[:, 60:] = value
    result = make().normalize(image, SECOND)
    assert result[:, 60:].abs().max() == 0
    assert result[1, 1].item() == pytest.approx(0.5)
    assert image[0, 60].item() == pytest.approx(value, nan_ok=True)


def test_a_frame_without_finite_pixels_is_black_and_leaves_the_range():
    dead = torch.full((64, 80), math.nan)
    normalizer = make()
    assert normalizer.normalize(dead, SECOND).abs().max() == 0
    live = scene(dtype=torch.float32)
    assert top(normalizer.normalize(live, 2 * SECOND)) == pytest.approx(30000)
    assert normalizer.normalize(dead, 3 * SECOND).abs().max() == 0
    assert top(normalizer.normalize(live, 4 * SECOND)) == pytest.approx(30000)


def test_a_frozen_frame_is_mapped_with_the_range_that_is_there_and_leaves_it():
    normalizer = make(attack_s=0.0)
    normalizer.normalize(scene(), SECOND)
    frozen = normalizer.normalize(scene(high=33000), 2 * SECOND, frozen=True)
    assert top(frozen) == pytest.approx(30000)
    again = normalizer.normalize(scene(), 3 * SECOND)
    assert top(again) == pytest.approx(30000)


def test_a_frozen_first_frame_does_not_set_the_range():
    normalizer = make()
    first = normalizer.normalize(scene(high=33000), SECOND, frozen=True)
    assert top(first) == pytest.approx(33000)
    assert top(normalizer.normalize(scene(), 2 * SECOND)) == pytest.approx(30000)


@pytest.mark.parametrize('other', [{'dtype': torch.float32}, {'size': (64, 90)}])
def test_another_type_or_size_starts_anew(other):
    normalizer = make()
    normalizer.normalize(scene(high=33000), SECOND)
    result = normalizer.normalize(scene(**other), SECOND + 1)
    assert top(result) == pytest.approx(30000)


def test_reset_starts_anew():
    normalizer = make()
    normalizer.normalize(scene(high=33000), SECOND)
    normalizer.reset()
    assert top(normalizer.normalize(scene(), SECOND + 1)) == pytest.approx(30000)


def test_8_bit_images_are_divided_by_255_whatever_came_before():
    image = torch.arange(256, dtype=torch.uint8).reshape(16, 16)
    normalizer = make()
    normalizer.normalize(image.flip(0) // 4, SECOND)
    torch.testing.assert_close(normalizer.normalize(image, 2 * SECOND), image / 255)


def test_8_bit_images_are_stretched_when_asked():
    image = torch.full((32, 40), 100, dtype=torch.uint8)
    image[:, 20:] = 164
    image[1, 1] = 132
    result = make(normalize_8bit=True).normalize(image, SECOND)
    assert (result.min().item(), result.max().item()) == (0, 1)
    assert result[1, 1].item() == pytest.approx(0.5)


def test_padded_rows_are_taken_as_they_are():
    buffer = np.full((64, 100), 65535, np.uint16)
    buffer[:, :80] = scene().numpy()
    result = make().normalize(torch.from_numpy(buffer[:, :80]), SECOND)
    torch.testing.assert_close(result, make().normalize(scene(), SECOND))


def test_a_large_image_gives_the_percentiles_of_the_whole_within_its_noise():
    counts = np.random.default_rng(0).normal(30000, 400, (512, 640)).astype(np.uint16)
    result = make().normalize(torch.from_numpy(counts), SECOND)
    assert (result == 0).float().mean().item() == pytest.approx(0.01, abs=0.004)
    assert (result == 1).float().mean().item() == pytest.approx(0.005, abs=0.003)


def test_the_input_is_left_as_it_was():
    for image in (scene(dtype=torch.float32), scene(), scene(high=255, low=0).to(torch.uint8)):
        before = image.clone()
        make().normalize(image, SECOND)
        assert torch.equal(image, before)


def test_a_guess_of_units_that_was_wrong_leaves_no_trace_in_the_range():
    """A float image that looks like counts, then celsius: 100 times other numbers inside."""
    normalizer = make()
    normalizer.normalize(torch.full((64, 80), 5000.0), SECOND)
    celsius = scene(low=10, high=30, dtype=torch.float32)
    celsius[1, 1] = 20.0
    result = normalizer.normalize(celsius, SECOND + 1)
    assert result[1, 1].item() == pytest.approx(0.5, abs=0.01)
    assert (result[:, 0].max(), result[:, -1].min()) == (0, 1)


@pytest.mark.parametrize('dtype', [torch.uint8, *DTYPES])
def test_a_scale_says_all_of_a_linear_image(dtype):
    """By it a kernel maps the camera's own numbers, whatever the units are inside."""
    settings = {'normalize_8bit': True, 'min_span_counts': 10.0}
    image = scene(low=10, high=90).to(dtype)
    if dtype == torch.float32:
        image[3, 3:6] = torch.tensor([math.nan, math.inf, -math.inf])
    low, span, _ = make(**settings).scale(image, SECOND)
    expected = ((image.to(torch.float32) - low) / span).clamp(0, 1)
    expected[~image.to(torch.float32).isfinite()] = 0
    torch.testing.assert_close(make(**settings).normalize(image, SECOND), expected)
    assert (expected.min(), expected.max()) == (0, 1)


@pytest.mark.parametrize('agc', ['linear', 'clahe'])
@pytest.mark.parametrize('dtype', [torch.uint8, *DTYPES])
def test_bytes_are_the_same_rounded(agc, dtype):
    counts = np.random.default_rng(0).normal(150, 40, (64, 80)).clip(0, 255)
    image = torch.from_numpy(counts).to(dtype)
    image = image if dtype == torch.uint8 else (image.to(torch.float32) * 9 + 28000).to(dtype)
    floats, levels = make(agc=agc), make(agc=agc)
    for stamp_ns in (SECOND, 2 * SECOND):
        expected = floats.normalize(image, stamp_ns) * 255
        found = levels.normalize(image, stamp_ns, dtype=torch.uint8)
        assert found.dtype == torch.uint8
        torch.testing.assert_close(found.to(torch.float32), expected, atol=0.501, rtol=0)
