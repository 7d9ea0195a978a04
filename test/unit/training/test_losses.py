"""Losses: zero where nothing is left to do, hand-derived elsewhere."""

import pytest
import torch
from torch import Tensor
from training.losses import gradient_loss, intensity_loss, ssim_loss
from training.losses.gradient import sobel


def picture(seed: int) -> Tensor:
    return torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize('loss', [gradient_loss, intensity_loss, ssim_loss])
def test_equal_images_cost_nothing(loss: object) -> None:
    image = picture(0)
    assert loss(image, image, image).item() == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize('loss', [gradient_loss, intensity_loss, ssim_loss])
def test_gradients_are_finite_on_flat_images(loss: object) -> None:
    fused = torch.full((1, 1, 16, 16), 0.5, requires_grad=True)
    flat = torch.zeros(1, 1, 16, 16)
    loss(fused, flat, flat).backward()
    assert fused.grad.isfinite().all()


def test_intensity_is_the_distance_to_the_brighter_source() -> None:
    """|0.2 - max(0.5, 0.1)| = 0.3."""
    fused, ir, vis_y = (torch.full((1, 1, 8, 8), value) for value in (0.2, 0.5, 0.1))
    assert intensity_loss(fused, ir, vis_y).item() == pytest.approx(0.3)


def test_sobel_is_in_grey_levels_a_pixel() -> None:
    ramp = (0.01 * torch.arange(32.0)).expand(1, 1, 16, 32)
    x, y = sobel(ramp).unbind(1)
    torch.testing.assert_close(x, torch.full_like(x, 0.02))
    torch.testing.assert_close(y, torch.zeros_like(y))


def test_an_edge_turned_round_costs_more_than_none() -> None:
    """A magnitude loss would call the turned edge perfect."""
    edge = torch.zeros(1, 1, 16, 16)
    edge[..., 8:] = 0.5
    flat = torch.zeros_like(edge)
    turned = gradient_loss(0.5 - edge, edge, flat).item()
    assert turned == pytest.approx(2 * gradient_loss(flat, edge, flat).item())


def test_a_flat_source_does_not_hold_back_the_structure_of_the_other() -> None:
    """Smoke in the visible image: the infrared structure is nearly all that counts."""
    smoke, ir = torch.full((2, 1, 32, 32), 0.6), picture(1)
    assert ssim_loss(ir, ir, smoke).item() < 0.02
    assert ssim_loss(smoke, ir, smoke).item() > 0.9
