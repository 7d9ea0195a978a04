"""Local contrast: by hand on a dot, alike for bytes and floats, nothing where nothing is asked."""

from ir_vis_fusion.preprocessing.local_contrast import add_local_contrast
import pytest
import torch
from torch import Tensor


def dot() -> Tensor:
    image = torch.full((1, 1, 480, 64), 100, dtype=torch.uint8)
    image[..., 240, 32] = 200
    return image


def test_a_dot_stands_out_more_and_its_surroundings_of_13_pixels_less() -> None:
    """Mean around it: 100 + 100 / 169; by a gain of 0.5: 100 + 0.5 (100 - 0.6) and - 0.3."""
    sharper = add_local_contrast(dot(), 0.5)
    assert sharper[0, 0, 240, 32] == 250
    floats = add_local_contrast(dot() / 255, 0.5)[0, 0, 240] * 255
    assert floats[32 - 6] == pytest.approx(100 - 0.5 * 100 / 169, abs=1e-3)
    assert floats[32 - 7] == pytest.approx(100, abs=1e-3)


@pytest.mark.parametrize('gain', [0.2, 1.0])
def test_bytes_and_floats_give_the_same_and_stay_in_their_range(gain: float) -> None:
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (1, 1, 240, 77), dtype=torch.uint8, generator=generator)
    of_bytes = add_local_contrast(image, gain)
    of_floats = add_local_contrast(image / 255, gain)
    assert of_bytes.dtype == torch.uint8
    assert (of_floats * 255 - of_bytes.float()).abs().max() <= 1.01
    assert of_floats.min() >= 0
    assert of_floats.max() <= 1


def test_colours_get_the_same_difference_in_each_channel() -> None:
    image = 0.4 + 0.2 * torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    added = add_local_contrast(image, 0.3) - image
    torch.testing.assert_close(added, added[:, :1].expand_as(added))
    assert added.abs().max() > 0.01


def test_no_gain_gives_the_same_image() -> None:
    image = dot()
    assert add_local_contrast(image, 0.0) is image
