"""Losses: zero where nothing is left to do, hand-derived elsewhere."""

from collections.abc import Callable

from ir_vis_fusion import metrics
from ir_vis_fusion.models.textfusion import recolour
import pytest
import torch
from torch import Tensor
from training.losses import (
    added_edges_loss,
    axis_gradient_loss,
    block_steps_loss,
    chroma_loss,
    consistency_loss,
    differences_loss,
    distillation_loss,
    edge_loss,
    edge_transfer_loss,
    fine_structure_loss,
    gradient_loss,
    information_loss,
    intensity_loss,
    level_loss,
    salience_loss,
    selective_intensity_loss,
    ssim_loss,
    structure_loss,
)
from training.losses.gradient import sobel

Loss = Callable[..., Tensor]
OF_GREY = [
    axis_gradient_loss,
    edge_loss,
    gradient_loss,
    intensity_loss,
    ssim_loss,
    structure_loss,
]
# Each with the number of images that it takes and their channels.
ALL = [
    *((loss, (1, 1, 1)) for loss in OF_GREY),
    (distillation_loss, (1, 1)),
    (selective_intensity_loss, (3, 1, 3)),
    (chroma_loss, (3, 3)),
]


def picture(seed: int, channels: int = 1) -> Tensor:
    return torch.rand(2, channels, 32, 32, generator=torch.Generator().manual_seed(seed))


def smooth(seed: int, side: int = 96) -> Tensor:
    """Return a picture whose edges are some pixels wide, as a camera's are."""
    coarse = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, (side, side), mode='bicubic').clamp(0, 1)


def flat(value: float, channels: int = 1) -> Tensor:
    return torch.full((1, channels, 16, 16), value)


def step(height: float) -> Tensor:
    """Return dark left of column 8, which is seen in 2 of the 14 columns of its gradient."""
    image = torch.zeros(1, 1, 16, 16)
    image[..., 8:] = height
    return image


@pytest.mark.parametrize(('loss', 'channels'), ALL)
def test_equal_images_cost_nothing(loss: Loss, channels: tuple[int, ...]) -> None:
    image = picture(0)
    equal = [image.expand(-1, count, -1, -1) for count in channels]
    assert loss(*equal).item() == pytest.approx(0.0, abs=1e-5)


@pytest.mark.parametrize(('loss', 'channels'), ALL)
def test_gradients_are_finite_on_flat_images(loss: Loss, channels: tuple[int, ...]) -> None:
    fused, *sources = (flat(0.5 * (place == 0), c) for place, c in enumerate(channels))
    loss(fused.requires_grad_(), *sources).backward()
    assert fused.grad.isfinite().all()


@pytest.mark.parametrize(('loss', 'channels'), ALL)
def test_gradients_reach_each_pixel_of_the_fused_image(
    loss: Loss, channels: tuple[int, ...]
) -> None:
    """But for the few where two terms cancel or a Sobel kernel has its zeros."""
    fused, *sources = (picture(place, count) for place, count in enumerate(channels))
    loss(fused.requires_grad_(), *sources).backward()
    assert fused.grad.isfinite().all()
    assert (fused.grad != 0).float().mean() > 0.8


# gradient_loss is left out: autocast rounds its convolution.
@pytest.mark.parametrize(
    ('loss', 'channels'), [case for case in ALL if case[0] is not gradient_loss]
)
def test_a_fused_image_in_bfloat16_is_judged_in_float32(
    loss: Loss, channels: tuple[int, ...]
) -> None:
    """Under autocast too; only what rounding the image itself changes is changed."""
    images = [0.5 + 0.1 * picture(place, count) for place, count in enumerate(channels)]
    fused = images[0].bfloat16()
    expected = loss(fused.float(), *images[1:])
    with torch.autocast('cpu', torch.bfloat16):
        result = loss(fused, *images[1:])
    assert result.dtype == torch.float32
    assert result.item() == pytest.approx(expected.item(), rel=1e-5)


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


@pytest.mark.parametrize('loss', [edge_loss, axis_gradient_loss])
def test_a_missing_edge_costs_its_height_and_a_turned_one_nothing(loss: Loss) -> None:
    """|gx| is 0.7 in 2 of 14 columns: 0.1."""
    edge, none = step(0.7), flat(0.0)
    assert loss(none, edge, none).item() == pytest.approx(0.1)
    assert loss(none, none, edge).item() == pytest.approx(0.1)
    assert loss(edge, none, none).item() == pytest.approx(0.1)
    assert loss(0.7 - edge, edge, none).item() == pytest.approx(0.0, abs=1e-6)
    assert loss(edge / 2, edge, edge / 7).item() == pytest.approx(0.05)


def test_axes_are_compared_apart_and_edges_as_a_whole() -> None:
    """
    A vertical edge of one source crosses a horizontal one of the other.

    Two columns and two rows of 14 share 4 of 196 pixels, which need both edges by axis (56 in
    all) and one of them as a whole (52).
    """
    ir, vis_y = step(0.5), step(0.5).mT
    none = torch.zeros_like(ir)
    assert axis_gradient_loss(none, ir, vis_y).item() == pytest.approx(0.5 * 56 / 196)
    assert edge_loss(none, ir, vis_y).item() == pytest.approx(0.5 * 52 / 196)
    # Both sources' sum has |gx| + |gy| = 1 at the 4 pixels: right by axis, too much as a whole.
    assert axis_gradient_loss(ir + vis_y, ir, vis_y).item() == pytest.approx(0.0, abs=1e-6)
    assert edge_loss(ir + vis_y, ir, vis_y).item() == pytest.approx(0.5 * 4 / 196)


def test_distillation_counts_an_offset_once_and_notices_a_turned_edge() -> None:
    """A step of 0.7: half the pixels differ by it, the gradient by 0.7 in 2 of 14 columns."""
    teacher = step(0.7)
    assert distillation_loss(teacher + 0.1, teacher).item() == pytest.approx(0.1)
    assert distillation_loss(flat(0.0), teacher).item() == pytest.approx(0.35 + 0.1)
    assert distillation_loss(0.7 - teacher, teacher).item() == pytest.approx(0.7 + 0.2)
    assert distillation_loss(flat(0.0), teacher.mT).item() == pytest.approx(0.35 + 0.1)


def test_structure_counts_both_sources_alike() -> None:
    """Of flat images only the means count: (2 * 0.25 * 0.5 + C1) / (0.25^2 + 0.5^2 + C1)."""
    c1 = 0.01**2
    similarity = (0.25 + c1) / (0.3125 + c1)
    half, quarter = flat(0.5), flat(0.25)
    assert structure_loss(half, half, quarter).item() == pytest.approx(1 - similarity)
    assert structure_loss(half, quarter, quarter).item() == pytest.approx(2 - 2 * similarity)


def test_structure_does_not_spare_a_flat_source() -> None:
    """Smoke has next to no similarity to anything: one whole SSIM is lost."""
    smoke, ir = torch.full((2, 1, 32, 32), 0.6), picture(1)
    assert 0.9 < structure_loss(ir, ir, smoke).item() < 1.1


def test_turned_structure_costs_more_than_none() -> None:
    image = picture(0)
    flat_image = torch.full_like(image, 0.5)
    assert structure_loss(1 - image, image, image) > structure_loss(flat_image, image, image) > 1


def test_selective_intensity_wants_grey_where_the_infrared_is_brighter() -> None:
    """
    The visible colour (0.6, 0.2, 0.1) has the mean 0.3.

    Infrared of 0.4 is the target (0.2 + 0.2 + 0.3) / 3 away; below 0.3 the colour itself is.
    """
    vis = torch.tensor([0.6, 0.2, 0.1]).view(1, 3, 1, 1).expand(1, 3, 16, 16)
    assert selective_intensity_loss(vis, flat(0.4), vis).item() == pytest.approx(0.7 / 3)
    assert selective_intensity_loss(flat(0.4, 3), flat(0.4), vis).item() == 0
    assert selective_intensity_loss(vis, flat(0.29), vis).item() == 0
    assert selective_intensity_loss(vis + 0.1, flat(0.29), vis).item() == pytest.approx(0.1)


def test_chroma_is_that_which_the_network_shifts() -> None:
    """Cb by 0.03 and Cr by -0.05: 0.08, whatever happens to the luma."""
    vis = picture(0, 3)
    shift = torch.tensor([0.03, -0.05]).view(1, 2, 1, 1)
    fused = recolour(vis, picture(1), shift)
    assert chroma_loss(fused, vis).item() == pytest.approx(0.08, rel=1e-4)
    assert chroma_loss(vis + 0.2, vis).item() == pytest.approx(0.0, abs=1e-6)


def test_more_red_is_more_cr_and_less_cb() -> None:
    """Red by 0.2: Cr by 0.2 (1 - 0.299) / 1.402 = 0.1, Cb by -0.2 * 0.299 / 1.772."""
    redder = flat(0.3, 3)
    redder[:, 0] += 0.2
    expected = 0.1 + 0.2 * 0.299 / 1.772
    assert chroma_loss(redder, flat(0.3, 3)).item() == pytest.approx(expected)


def test_a_ramp_beside_an_edge_is_an_added_edge() -> None:
    """
    A ramp of 0.01 a pixel: 0.02 by Sobel, and four times that between blocks of 4 pixels.

    What both sources have more of, and what one of them has less of, costs nothing.
    """
    ramp, none = (0.01 * torch.arange(64.0)).expand(1, 1, 64, 64), torch.zeros(1, 1, 64, 64)
    assert added_edges_loss(ramp, none, none).item() == pytest.approx(0.1, rel=0.02)
    assert added_edges_loss(ramp, ramp, none).item() == pytest.approx(0.0, abs=1e-6)
    assert added_edges_loss(ramp, none, 1 - 2 * ramp).item() == pytest.approx(0.0, abs=1e-6)
    assert added_edges_loss(none, ramp, none).item() == pytest.approx(0.0, abs=1e-6)


def test_consistency_counts_all_but_the_border() -> None:
    fused = smooth(0, 48)
    other = fused.clone()
    other[..., :8, :] += 0.5
    other[..., -8:] -= 0.5
    assert consistency_loss(fused, other).item() == 0
    assert consistency_loss(fused, other + 0.1).item() == pytest.approx(0.1)


def test_a_step_counts_at_the_border_of_a_block_and_nowhere_else() -> None:
    """Of 15 borders of 64 columns one has a step of 0.2; what the sources show costs nothing."""
    none = torch.zeros(1, 1, 64, 64)
    at_border, within = torch.zeros(2, 1, 1, 64, 64)
    at_border[..., 24:] = 0.2
    within[..., 26:] = 0.2
    slope = (0.01 * torch.arange(64.0)).expand(1, 1, 64, 64)
    assert block_steps_loss(at_border, none, none).item() == pytest.approx(0.2 / 15)
    assert block_steps_loss(at_border.mT, none, none).item() == pytest.approx(0.2 / 15)
    assert block_steps_loss(1 - at_border, none, none).item() == pytest.approx(0.2 / 15)
    assert block_steps_loss(at_border, at_border, none).item() == 0
    assert block_steps_loss(within, none, none).item() == 0
    assert block_steps_loss(slope, none, none).item() == pytest.approx(0.0, abs=1e-6)


def test_half_of_the_edges_are_kept_where_one_of_two_equal_ones_is() -> None:
    """A vertical edge of one source, a horizontal one of the other; a copy keeps the first."""
    copy = edge_transfer_loss(step(0.5), step(0.5), step(0.5).mT).item()
    both = edge_transfer_loss(step(0.5), step(0.5), step(0.5)).item()
    # 0.9994 / (1 + e^-7.5) * 0.9879 / (1 + e^-4.4) is the most that an edge can keep.
    assert both == pytest.approx(1 - 0.9994 / 1.000553 * 0.9879 / 1.012277, abs=1e-4)
    # Four of 28 + 28 pixels with an edge have both, at 45 degrees to each.
    assert 0.45 < copy < 0.55


def test_edges_of_half_the_height_are_half_kept_in_strength() -> None:
    """G = 0.5: the first sigmoid is 1/2."""
    most = 0.9994 / 2 * 0.9879 / (1 + 2.718281828**-4.4)
    loss = edge_transfer_loss(step(0.25), step(0.5), step(0.5)).item()
    assert loss == pytest.approx(1 - most, abs=0.01)


def test_edges_of_a_dark_image_count_as_much_as_those_of_a_bright_one() -> None:
    dark, bright = (step(0.05), step(0.05).mT), (step(0.5), step(0.5))
    losses = [edge_transfer_loss(one, one, other).item() for one, other in (dark, bright)]
    both = [torch.cat(images) for images in zip(dark, bright, strict=True)]
    assert losses[0] > losses[1] + 0.3
    assert edge_transfer_loss(both[0], *both).item() == pytest.approx(sum(losses) / 2, abs=1e-4)


@pytest.mark.parametrize('seed', [0, 7])
@pytest.mark.parametrize(
    ('loss', 'metric', 'best', 'tolerance'),
    [
        (information_loss, metrics.vif, 2, 0.02),
        (differences_loss, metrics.scd, 2, 0.002),
        (fine_structure_loss, metrics.ssim, 2, 0.03),
        # The metric's angle jumps at the vertical, the loss's does not.
        (edge_transfer_loss, metrics.qabf, 1, 0.06),
    ],
)
def test_a_loss_follows_its_metric(
    loss: Loss, metric: Loss, best: float, tolerance: float, seed: int
) -> None:
    ir, vis_y = smooth(seed), smooth(seed + 1)
    for fused in (torch.maximum(ir, vis_y), 0.3 * ir + 0.5 * vis_y, 0.8 * vis_y + 0.1):
        expected = metric(255 * fused, 255 * ir, 255 * vis_y).mean().item()
        assert best - loss(fused, ir, vis_y).item() == pytest.approx(expected, abs=tolerance)


@pytest.mark.parametrize(
    'loss',
    [
        added_edges_loss,
        block_steps_loss,
        differences_loss,
        edge_transfer_loss,
        fine_structure_loss,
        information_loss,
        level_loss,
        salience_loss,
    ],
)
def test_losses_after_metrics_have_finite_gradients_everywhere(loss: Loss) -> None:
    for fused, ir, vis_y in (
        (torch.full((1, 1, 48, 48), 0.5), torch.zeros(1, 1, 48, 48), torch.ones(1, 1, 48, 48)),
        (smooth(0, 48), smooth(0, 48), smooth(1, 48)),
    ):
        fused = fused.clone().requires_grad_()
        value = loss(fused, ir, vis_y)
        value.backward()
        assert value.dtype == torch.float32
        assert fused.grad.isfinite().all()


def test_a_share_of_the_darker_source_adds_up_around_its_mean() -> None:
    """Halves of 0.05 and 0.25 under a brighter 0.6 of the other one: -0.015 and 0.015."""
    darker = torch.full((1, 1, 64, 64), 0.05)
    darker[..., 32:] = 0.25
    ir = torch.full_like(darker, 0.6)
    assert level_loss(ir + 0.15 * (darker - 0.15), ir, darker).item() == pytest.approx(0, abs=1e-6)
    assert level_loss(ir, ir, darker).item() == pytest.approx(0.015 + 6 * 0.015**2, abs=1e-6)


def test_a_few_places_far_off_cost_more_than_all_of_them_a_little() -> None:
    bright, black = torch.full((1, 1, 64, 64), 0.8), torch.zeros(1, 1, 64, 64)
    patched = bright.clone()
    patched[..., :4] = 0.0
    losses = [level_loss(fused, bright, black).item() for fused in (patched, bright - 0.05)]
    assert losses == pytest.approx([0.05 + 6 * 0.8**2 / 16, 0.05 + 6 * 0.05**2], rel=1e-4)


@pytest.mark.parametrize(('black', 'haze'), [(10, 0), (25, 5), (60, 20)])
def test_haze_is_taken_off_where_the_visible_image_is_brighter(black: int, haze: int) -> None:
    vis_y = torch.full((1, 1, 64, 64), black / 255)
    vis_y[..., 16:48] = 0.5
    vis_y[..., 48:] = 1
    none = torch.zeros_like(vis_y)
    clear = (vis_y - haze / 255) / (1 - haze / 255)
    assert level_loss(clear, none, vis_y).item() == pytest.approx(0, abs=1e-6)
    # White stays white, black loses the haze.
    assert clear.max() == 1
    assert 255 * clear.min() <= black - haze / 2


def test_the_source_with_the_edges_gives_the_brightness() -> None:
    """A darker source that has edges is nearer than a brighter flat one, and than the mean."""
    textured, bright = 0.1 + 0.2 * picture(2), torch.full((2, 1, 32, 32), 0.8)
    of_textured, of_bright, of_mean = (
        salience_loss(fused, textured, bright).item()
        for fused in (textured, bright, (textured + bright) / 2)
    )
    assert of_textured < 0.01 < of_mean < of_bright
    # Both flat: each counts half.
    black, white = torch.zeros(1, 1, 32, 32), torch.ones(1, 1, 32, 32)
    assert salience_loss(0.3 * white, black, white).item() == pytest.approx(0.5)


def test_brightness_that_adds_up_leaves_no_difference() -> None:
    """F - B = A and F - A = B; of the mean, (A - B) / 2, less is left of either."""
    ir, vis_y = picture(0), picture(1)
    assert differences_loss(ir + vis_y, ir, vis_y).item() == pytest.approx(0.0, abs=1e-3)
    # For independent sources of equal spread r((A - B) / 2, A) = 1 / sqrt(2).
    mean = differences_loss((ir + vis_y) / 2, ir, vis_y).item()
    assert mean == pytest.approx(2 - 2**0.5, abs=0.05)


def test_structure_of_single_grey_levels_counts() -> None:
    """Faint and dark: the usual SSIM, made for 0 to 255, does not miss it."""
    faint = (2 + 2 * picture(3).round()) / 255
    gone = torch.full_like(faint, 3 / 255)
    assert fine_structure_loss(gone, faint, faint).item() > 1.5
    assert ssim_loss(gone, faint, faint).item() < 0.1
