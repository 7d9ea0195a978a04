"""Losses in CLIP's space: hand-derived on two and three axes in place of its 512."""

import math

import pytest
import torch
from torch import Tensor
from training.losses.balance import balance_loss
from training.losses.cosine import cosine, unit
from training.losses.direction import direction_loss
from training.losses.patches import accept_patches, cut_patches, draw_windows, entropy, Windows
from training.losses.prompt_classification import prompt_classification_loss, prompt_logits
from training.losses.ranking import fused_probability, ranking_loss
from training.losses.similarity import similarity_loss

X, Y, Z = torch.eye(3)
HALF = torch.tensor([1.0, 1.0, 0.0])


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_unit_vectors_and_cosines_are_float32_whatever_comes_in() -> None:
    half = torch.tensor([3.0, 4.0], dtype=torch.float16)
    torch.testing.assert_close(unit(half), torch.tensor([0.6, 0.8]))
    assert cosine(X, 7 * HALF).item() == pytest.approx(0.5**0.5)


def test_a_zero_vector_stays_zero_with_a_finite_gradient() -> None:
    zero = torch.zeros(4, requires_grad=True)
    unit(zero).sum().backward()
    assert torch.equal(unit(zero), torch.zeros(4))
    torch.testing.assert_close(zero.grad, torch.full((4,), 1e3))


def test_direction_is_zero_when_the_image_moves_exactly_along_the_texts() -> None:
    """Y -> X and Z -> X in both spaces; lengths do not count."""
    fused, visible, infrared = (Tensor.repeat(axis, 2, 1) for axis in (X, Y, Z))
    assert direction_loss(fused, visible, infrared, X, Y, Z).item() == pytest.approx(0, abs=1e-5)
    longer = direction_loss(5 * fused, 2 * visible, infrared, X, 3 * Y, Z)
    assert longer.item() == pytest.approx(0, abs=1e-5)


def test_direction_counts_the_angle_between_the_ways() -> None:
    """Images move Y -> X and Z -> X, texts X -> Y and X -> Z: opposite, 1 - (-1) = 2."""
    assert direction_loss(X[None], Y[None], Z[None], X, Y, Z).item() < 1e-5
    away = direction_loss(X[None], Y[None], Y[None], Y, X, X)
    assert away.item() == pytest.approx(2.0, abs=1e-5)
    # X - Y against X - Z: cosine 1/2, for one source only.
    assert direction_loss(X[None], Y[None], Z[None], X, Z, Z).item() == pytest.approx(
        0.25, abs=1e-5
    )


def test_rejected_patches_add_nothing_and_stay_in_the_mean() -> None:
    """Two patches of one sample that each cost 2; one is rejected: 2 / 2."""
    fused, source = X.expand(2, 1, 3), Y[None]
    accepted = torch.tensor([[True], [False]])
    loss = direction_loss(fused, source, source, Y, X, X, accepted)
    assert loss.item() == pytest.approx(1.0, abs=1e-5)


def test_a_fused_image_that_equals_a_source_has_a_finite_gradient() -> None:
    fused = X[None].half().requires_grad_()
    loss = direction_loss(fused, X[None].half(), Y[None].half(), Z, X, Y)
    loss.backward()
    assert loss.isfinite()
    assert fused.grad.isfinite().all()


def test_similarity_weighs_the_distances_to_the_sources() -> None:
    """Cosine 1 to the visible image, 0 to the infrared one."""
    fused, visible, infrared = X[None], 4 * X[None], Y[None]
    assert similarity_loss(fused, visible, infrared).item() == pytest.approx(0.5, abs=1e-5)
    weighed = similarity_loss(fused, visible, infrared, visible_weight=0.35)
    assert weighed.item() == pytest.approx(0.65, abs=1e-5)


def test_classification_is_the_cross_entropy_of_cosines_times_100() -> None:
    """Cosines 0.02, 0, 0 of a unit vector: -log(e^2 / (e^2 + 2))."""
    image = torch.tensor([[0.02, 0.0, 0.0, (1 - 0.02**2) ** 0.5]])
    prompts = torch.eye(4)[:3]
    expected = math.log(1 + 2 * math.exp(-2))
    loss = prompt_classification_loss(9 * image, prompts, 0)
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    conditioned = prompt_classification_loss(image, 2 * prompts[None], torch.tensor([0]))
    assert conditioned.item() == pytest.approx(expected, rel=1e-4)


def test_logits_are_one_row_an_image() -> None:
    logits = prompt_logits(torch.stack((X, Y)), torch.stack((X, HALF, Z)))
    root = 100 * 0.5**0.5
    expected = torch.tensor([[100.0, root, 0.0], [0.0, root, 0.0]])
    torch.testing.assert_close(logits, expected, rtol=1e-5, atol=1e-3)


def test_balance_is_the_difference_of_the_cosines() -> None:
    """Cosine 1 and 1/sqrt(2) to the prompts; none between them."""
    loss = balance_loss(torch.stack((X, X)), X, HALF)
    assert loss.item() == pytest.approx(1 - 0.5**0.5, abs=1e-5)
    assert balance_loss(Z[None], X, Y).item() == pytest.approx(0.0, abs=1e-6)


def test_ranking_counts_what_lacks_to_the_margins() -> None:
    """0.1 - 0.7 + 0.9 = 0.3 and 0.7 - 0.8 + 0.2 = 0.1."""
    source, old, new = (torch.tensor([score]) for score in (0.1, 0.7, 0.8))
    assert ranking_loss(source, old).item() == pytest.approx(0.3)
    assert ranking_loss(source, old, new).item() == pytest.approx(0.4)
    assert ranking_loss(source, old, new, 0.5, 0.05).item() == pytest.approx(0.0)


def test_the_probability_of_being_fused_is_that_of_the_third_prompt() -> None:
    """Equal cosines: a third each; near its prompt: one."""
    prompts = torch.eye(4)[:3]
    images = torch.eye(4)[[3, 2, 0]]
    expected = torch.tensor([1 / 3, 1.0, 0.0])
    torch.testing.assert_close(fused_probability(images, prompts), expected)


def test_embeddings_in_bfloat16_are_judged_in_float32_under_autocast_too() -> None:
    """Only what rounding the embeddings themselves changes is changed."""
    draw = generator()
    images = [torch.randn(4, 64, generator=draw).bfloat16() for _ in range(3)]
    prompts = torch.randn(3, 64, generator=draw).bfloat16()

    def losses(images: list[Tensor], prompts: Tensor) -> list[Tensor]:
        scores = [fused_probability(image, prompts) for image in images]
        return [
            direction_loss(*images, *prompts),
            similarity_loss(*images),
            prompt_classification_loss(images[0], prompts, 1),
            balance_loss(images[0], *prompts[:2]),
            ranking_loss(*scores),
        ]

    expected = losses([image.float() for image in images], prompts.float())
    with torch.autocast('cpu', torch.bfloat16):
        results = losses(images, prompts)
    assert {result.dtype for result in results} == {torch.float32}
    torch.testing.assert_close(results, expected)


def plain_window(half: float, x: float, y: float) -> Windows:
    return Windows(half, torch.tensor([[x, y]]), torch.eye(2)[None], torch.zeros(1, 2))


def test_a_straight_window_of_pixels_is_the_crop() -> None:
    """Half the side of 16, right and below the middle: columns 8 to 15, rows 4 to 11."""
    images = torch.rand(2, 1, 16, 16, generator=generator())
    patches = cut_patches(images, plain_window(0.5, 0.5, 0.0), 8)
    torch.testing.assert_close(patches[0], images[..., 4:12, 8:16])


def test_a_shifted_window_is_black_outside_its_crop() -> None:
    """A quarter down: the crop's top three quarters, below two black rows of 8."""
    image = torch.rand(1, 1, 16, 16, generator=generator())
    windows = Windows(0.5, torch.zeros(1, 2), torch.eye(2)[None], torch.tensor([[0.0, 0.5]]))
    patch = cut_patches(image, windows, 8)[0, 0, 0]
    assert torch.equal(patch[:2], torch.zeros(2, 8))
    torch.testing.assert_close(patch[2:], image[0, 0, 4:10, 4:12])


def test_an_enlarged_window_shows_the_middle_of_its_crop() -> None:
    """Twice as large: the ramp over the image, half of half of it wide."""
    ramp = ((torch.arange(64.0) * 2 + 1) / 64 - 1).expand(1, 1, 64, 64)
    windows = Windows(0.5, torch.zeros(1, 2), torch.eye(2)[None] / 2, torch.zeros(1, 2))
    patch = cut_patches(ramp, windows, 4)[0, 0, 0]
    torch.testing.assert_close(patch[0], torch.tensor([-0.1875, -0.0625, 0.0625, 0.1875]))


def test_drawn_windows_lie_in_the_image_and_keep_to_the_bounds() -> None:
    """The map of turn, shear and scale s keeps areas but for s^2, 1 to 2.25."""
    windows = draw_windows(500, generator())
    assert 0.5 <= windows.half <= 0.8
    assert windows.centre.abs().max() <= 1 - windows.half
    area = 1 / torch.linalg.det(windows.inverse)
    assert area.min() >= 1.0 - 1e-5
    assert area.max() <= 2.25 + 1e-5
    forward = torch.linalg.inv(windows.inverse)
    angle = torch.atan2(forward[:, 1, 0], forward[:, 0, 0]).rad2deg()
    assert angle.abs().max() <= 5.0 + 1e-4
    assert windows.shift[:, 0].abs().max() == 0
    assert 0.15 < windows.shift[:, 1].abs().max() <= 0.2


def test_the_same_seed_draws_the_same_windows() -> None:
    image = torch.rand(1, 1, 32, 32, generator=generator())
    first, again, other = (
        cut_patches(image, draw_windows(3, generator(s)), 16) for s in (1, 1, 2)
    )
    assert first.shape == (3, 1, 1, 16, 16)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_gradients_flow_from_patches_to_the_image() -> None:
    image = torch.rand(1, 1, 32, 32, generator=generator()).requires_grad_()
    cut_patches(image, draw_windows(2, generator()), 16).sum().backward()
    assert image.grad.abs().sum() > 0


def test_entropy_is_in_bits_of_256_bins() -> None:
    """One level: 0; two equally often: 1; all 256 levels of an 8-bit image: 8."""
    flat = torch.full((16, 16), 0.3)
    halves = flat.clone()
    halves[:8] = 0.7
    levels = (torch.arange(256.0) / 255).reshape(16, 16)
    bits = entropy(torch.stack((flat, halves, levels))[:, None])
    torch.testing.assert_close(bits, torch.tensor([0.0, 1.0, 8.0]))


def test_a_patch_counts_only_if_both_sources_have_more_than_six_bits() -> None:
    """64 levels equally often are six bits, which is not more."""
    rich = (torch.arange(256.0) / 255).reshape(1, 16, 16)
    poor = (rich * 255 / 4).floor() * 4 / 255
    visible = torch.stack((rich, rich, poor))[:, None]
    infrared = torch.stack((rich, poor, rich))[:, None]
    accepted = accept_patches(visible, infrared)
    assert accepted.tolist() == [[True], [False], [False]]
    assert accept_patches(visible, infrared, least_bits=5.9).all()
