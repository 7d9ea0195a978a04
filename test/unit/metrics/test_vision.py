"""MS-SSIM, Qcv and Qcb: hand-derived values, and independent code where there is one."""

import math

from ir_vis_fusion import metrics
from ir_vis_fusion.metrics.frequency import filtered, radius, stretch
from ir_vis_fusion.metrics.ms_ssim import local_terms
from ir_vis_fusion.metrics.windows import blur, gaussian
import numpy as np
import pytest
import torch
from torch import Tensor


def picture(seed: int, height: int = 64, width: int = 72) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (1, 1, height, width), generator=generator).double()


def test_identical_images_are_perfect() -> None:
    image = picture(0)
    large = picture(0, 176, 180)
    assert metrics.ms_ssim(large, large, large).item() == pytest.approx(2.0, abs=1e-12)
    assert metrics.qcv(image, image, image).item() == 0.0
    assert metrics.qcb(image, image, image).item() == pytest.approx(1.0, abs=1e-12)


def test_multi_scale_similarity_of_flat_images_is_the_luminance_term_of_the_last_scale() -> None:
    """Cs is 1 at all scales; l = (2 * 100 * 50 + C1) / (100^2 + 50^2 + C1), C1 = 6.5025."""
    dark, bright = torch.full((1, 1, 176, 176), 50.0), torch.full((1, 1, 176, 176), 100.0)
    expected = 2 * (10006.5025 / 12506.5025) ** 0.1333
    assert metrics.ms_ssim(dark, bright, bright).item() == pytest.approx(expected, abs=1e-9)


def test_multi_scale_similarity_needs_room_for_five_scales() -> None:
    image = picture(0, 175, 300)
    assert math.isnan(metrics.ms_ssim(image, image, image).item())


def test_the_first_scale_equals_another_implementation() -> None:
    structural_similarity = pytest.importorskip('skimage.metrics').structural_similarity
    first, second = picture(1)[0, 0].numpy(), picture(2)[0, 0].numpy()
    _, whole = structural_similarity(
        first,
        second,
        data_range=255,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        full=True,
    )
    luminance, structure = local_terms(
        torch.from_numpy(first)[None, None], torch.from_numpy(second)[None, None]
    )
    np.testing.assert_allclose((luminance * structure)[0, 0], whole[5:-5, 5:-5], atol=1e-12)


def test_a_window_slides_as_a_convolution_does() -> None:
    image, window = picture(3), gaussian(7, 2.0)
    kernel = torch.tensor(window, dtype=torch.float64)
    expected = torch.nn.functional.conv2d(image, torch.outer(kernel, kernel)[None, None])
    torch.testing.assert_close(blur(image, window), expected)
    assert sum(window) == pytest.approx(1.0)


def test_stretching_fills_the_range_with_whole_numbers() -> None:
    image = torch.tensor([[[[10.0, 20.0, 30.0]]]])
    assert stretch(image).flatten().tolist() == [0.0, 128.0, 255.0]
    assert stretch(torch.full((1, 1, 2, 2), 9.0)).max().item() == 0.0


def test_frequencies_reach_the_size_over_the_cycles() -> None:
    """In an image of 16 x 8 with 4 cycles: 4 down and 2 across, at index N / 2."""
    distance = radius(torch.zeros(1, 1, 16, 8, dtype=torch.float64), cycles=4)
    assert distance[0, 0].item() == 0.0
    assert distance[8, 0].item() == 4.0
    assert distance[0, 4].item() == 2.0
    assert distance[8, 4].item() == pytest.approx(math.hypot(4, 2))


def test_a_response_of_one_leaves_an_image_as_it_is() -> None:
    image = picture(4)
    torch.testing.assert_close(filtered(image, torch.ones(64, 72)), image)


def test_the_error_against_the_more_salient_source_counts() -> None:
    """A flat source has no edges, hence no weight: copying the other one is without error."""
    flat = torch.full((1, 1, 64, 72), 100.0)
    image = picture(5)
    assert metrics.qcv(image, image, flat).item() == 0.0
    assert metrics.qcv(flat, image, flat).item() > 100.0


def test_contrast_of_one_source_alone_is_kept_by_its_copy() -> None:
    flat = torch.full((1, 1, 64, 72), 100.0)
    image = picture(6)
    assert metrics.qcb(image, image, flat).item() == pytest.approx(1.0, abs=1e-12)
    assert metrics.qcb(flat, image, flat).item() < 0.01
    assert metrics.qcb(flat, flat, flat).item() == 1.0
