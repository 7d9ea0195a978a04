"""EN, SD, SF, AG, MI, CC, MSE and PSNR: values derived by hand."""

import math

from ir_vis_fusion import metrics
import pytest
import torch
from torch import Tensor

FLAT = torch.full((1, 1, 8, 8), 77.0)


def halves(low: float, high: float) -> Tensor:
    """Return an image (1, 1, 8, 8) whose upper half is dark."""
    image = torch.full((1, 1, 8, 8), low)
    image[:, :, 4:] = high
    return image


def ramp(x: float, y: float) -> Tensor:
    rows, columns = torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing='ij')
    return (x * columns + y * rows)[None, None]


def noise(seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (1, 1, 200, 200), generator=generator).float()


def test_a_flat_image_has_no_entropy_spread_or_slope() -> None:
    for metric in (metrics.en, metrics.sd, metrics.sf, metrics.ag):
        assert metric(FLAT, FLAT, FLAT).item() == 0.0


def test_two_levels_in_equal_shares_are_one_bit() -> None:
    assert metrics.en(halves(10, 200), FLAT, FLAT).item() == pytest.approx(1.0, abs=1e-12)


def test_all_levels_in_equal_shares_are_eight_bits() -> None:
    image = torch.arange(256.0).view(1, 1, 16, 16)
    assert metrics.en(image, image, image).item() == pytest.approx(8.0, abs=1e-12)


def test_entropy_counts_the_levels_that_an_8_bit_file_holds() -> None:
    image = halves(9.6, 200.4)
    assert metrics.en(image, FLAT, FLAT).item() == metrics.en(halves(10, 200), FLAT, FLAT).item()


def test_the_spread_is_that_of_the_population() -> None:
    """Half 10, half 30: every pixel is 10 away from the mean."""
    assert metrics.sd(halves(10, 30), FLAT, FLAT).item() == pytest.approx(10.0, abs=1e-12)


def test_frequency_and_gradient_of_a_ramp() -> None:
    """Slopes 3 and 4 everywhere: SF = sqrt(9 + 16), AG = sqrt((9 + 16) / 2)."""
    image = ramp(3, 4)
    assert metrics.sf(image, FLAT, FLAT).item() == pytest.approx(5.0, abs=1e-12)
    assert metrics.ag(image, FLAT, FLAT).item() == pytest.approx(math.sqrt(12.5), abs=1e-12)


def test_frequency_is_averaged_over_the_differences_that_exist() -> None:
    """Of 7 x 8 vertical differences 8 are 20: sqrt(400 / 7)."""
    image = halves(10, 30)
    assert metrics.sf(image, FLAT, FLAT).item() == pytest.approx(math.sqrt(400 / 7), abs=1e-12)


def test_the_gradient_is_central_inside() -> None:
    """A step of 20 is seen from both rows beside it, as 10: 16 of 64 pixels, 10 / sqrt(2)."""
    value = metrics.ag(halves(10, 30), FLAT, FLAT).item()
    assert value == pytest.approx(10 / math.sqrt(2) / 4, abs=1e-12)


def test_identical_images_share_their_whole_entropy_twice() -> None:
    image = noise(0)
    shared = 2 * metrics.en(image, image, image).item()
    assert metrics.mi(image, image, image, bits=True).item() == pytest.approx(shared, abs=1e-9)
    nats = metrics.mi(image, image, image).item()
    assert nats == pytest.approx(shared * math.log(2), abs=1e-9)


def test_an_image_that_does_not_depend_on_the_sources_shares_nothing() -> None:
    """Upper and lower half against left and right half: all four combinations, a quarter each."""
    image = halves(10, 200)
    across = image.transpose(2, 3).contiguous()
    assert metrics.mi(image, across, FLAT).item() == pytest.approx(0.0, abs=1e-12)


def test_a_level_that_is_renamed_is_still_shared() -> None:
    """Mutual information does not see the sign: 1 bit with each source."""
    image, inverted = halves(10, 200), halves(90, 5)
    assert metrics.mi(image, inverted, inverted, bits=True).item() == pytest.approx(2.0, abs=1e-12)


def test_correlation_is_one_with_itself_and_minus_one_with_its_inverse() -> None:
    image = noise(1)
    assert metrics.cc(image, image, image).item() == pytest.approx(1.0, abs=1e-12)
    assert metrics.cc(image, 255 - image, 255 - image).item() == pytest.approx(-1.0, abs=1e-12)
    assert metrics.cc(image, image, 255 - image).item() == pytest.approx(0.0, abs=1e-12)


def test_correlation_with_a_flat_image_is_undefined() -> None:
    assert math.isnan(metrics.cc(halves(1, 2), FLAT, halves(1, 2)).item())


def test_the_error_is_averaged_over_both_sources() -> None:
    """(3^2 + 4^2) / 2 = 12.5, and 10 log10(65025 / 12.5) = 37.162 dB."""
    images = FLAT, FLAT + 3, FLAT - 4
    assert metrics.mse(*images).item() == 12.5
    assert metrics.psnr(*images).item() == pytest.approx(37.1617, abs=1e-4)


def test_a_peak_to_noise_ratio_of_zero_db_is_an_error_of_full_scale() -> None:
    black, white = torch.zeros(1, 1, 8, 8), torch.full((1, 1, 8, 8), 255.0)
    assert metrics.psnr(black, white, white).item() == pytest.approx(0.0, abs=1e-12)
    assert metrics.psnr(black, white, white, legacy=True).item() == pytest.approx(
        48.1308, abs=1e-4
    )


def test_no_error_is_an_infinite_ratio() -> None:
    assert metrics.psnr(FLAT, FLAT, FLAT).item() == math.inf
