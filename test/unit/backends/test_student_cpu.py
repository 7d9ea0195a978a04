"""
The student on bytes gives what its network gives.

In float32 nothing is lost but the rounding of the result, so half a level is what may differ. In
bfloat16 the sum of a pixel's errors was up to 2.4 levels on white noise, which no camera shows,
and 0.6 on a picture: the weights that ship are such numbers, so that only maps are rounded.
"""

from collections.abc import Callable
import dataclasses
from pathlib import Path

from ir_vis_fusion.backends import student_cpu
from ir_vis_fusion.backends.chooser import load_backend
from ir_vis_fusion.backends.device import multiplies_bfloat16
from ir_vis_fusion.backends.student_cpu import StudentOnCpu
from ir_vis_fusion.backends.torch_backend import TorchBackend
from ir_vis_fusion.checkpoint import load_checkpoint, resolve, save_checkpoint
from ir_vis_fusion.models.registry import build
import pytest
import torch
from torch import nn, Tensor

CPU = torch.device('cpu')
HALF = 0.501

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Return a function that writes a checkpoint of a random student."""

    def save(**config: int) -> Path:
        torch.manual_seed(1)
        model = build('student', config)
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.1)
        path = tmp_path / 'random.safetensors'
        save_checkpoint(path, model, 'student', config, {}, {})
        return path

    return save


def noise(height: int = 48, width: int = 64) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    images = torch.randint(0, 256, (2, 1, 1, height, width), generator=generator)
    return images.to(torch.uint8).unbind()


def picture() -> tuple[Tensor, Tensor]:
    """Return a dark visible image with a lamp, and a warm square that it does not show."""
    vis = torch.linspace(10, 90, 96).expand(1, 1, 80, 96).clone()
    vis[..., 10:14, 70:74] = 250
    ir = torch.linspace(60, 20, 80)[:, None].expand(1, 1, 80, 96).clone()
    ir[..., 30:60, 20:40] = 230
    return vis.to(torch.uint8), ir.to(torch.uint8)


@torch.inference_mode()
def expected(path: Path, vis: Tensor, ir: Tensor, *guidance: Tensor) -> Tensor:
    return load_checkpoint(path).model(vis / 255, ir / 255, *guidance) * 255


def assert_within(levels: float, fused: Tensor, wanted: Tensor) -> None:
    assert fused.dtype == torch.uint8
    torch.testing.assert_close(fused.to(torch.float32), wanted, atol=levels, rtol=0)


@pytest.mark.parametrize('size', [(48, 64), (45, 50), (33, 32)])
@pytest.mark.parametrize(
    'config',
    [
        {'depth': 2},
        {'width': 16, 'factor': 2},
        {'dilations': [1, 2, 4, 1], 'last_side': 1},
        {'depth': 2, 'dilations': [1, 3], 'factor': 2},
        {'first_side': 1, 'last_side': 1},
        {'first_side': 1, 'factor': 2},
    ],
)
def test_it_gives_what_the_network_gives_at_every_size(
    save: Save, size: tuple[int, int], config: dict[str, int]
) -> None:
    path = save(**config)
    backend = load_backend(path, CPU, exact=True)
    assert isinstance(backend, StudentOnCpu)
    assert_within(HALF, backend(*noise(*size)), expected(path, *noise(*size)))


def test_without_the_fused_convolution_it_gives_the_same(
    save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(width=16)
    monkeypatch.setattr(student_cpu, 'has_fused_convolution', lambda: False)
    backend = load_backend(path, CPU, exact=True)
    assert_within(HALF, backend(*noise()), expected(path, *noise()))


def test_a_vector_that_guides_is_folded_into_the_weights(save: Save) -> None:
    path = save(width=16, guidance_features=6)
    backend = load_backend(path, CPU, exact=True)
    first, second, nothing = torch.ones(1, 6), torch.arange(6.0)[None], torch.zeros(1, 6)
    for guidance in (first, second, second.clone(), None, nothing, first):
        wanted = expected(path, *noise(), *(() if guidance is None else (guidance,)))
        assert_within(HALF, backend(*noise(), guidance), wanted)


def test_results_are_kept_and_images_left_alone() -> None:
    backend = load_backend(resolve('student'), CPU)
    vis, ir = noise()
    before, fused = (vis.clone(), ir.clone()), backend(vis, ir)
    kept = fused.clone()
    backend(*picture())
    backend(ir, vis)
    assert torch.equal(fused, kept)
    assert torch.equal(vis, before[0])
    assert torch.equal(ir, before[1])


@pytest.mark.parametrize('name', ['student', 'student_guided'])
def test_shipped_weights_are_numbers_of_bfloat16(name: str) -> None:
    """The first convolution's, which takes bytes, are 255 times such numbers."""
    first, *others = (layer.weight for layer in load_checkpoint(resolve(name)).model.body[::2])
    assert all(torch.equal(weight, weight.bfloat16().float()) for weight in others)
    assert torch.equal(first, (first / 255).bfloat16().float() * 255)


@pytest.mark.skipif(not multiplies_bfloat16(), reason='this CPU does not multiply bfloat16')
@pytest.mark.parametrize('name', ['student', 'student_guided'])
def test_bfloat16_keeps_pictures_within_a_level(name: str) -> None:
    """Of pure noise, which no camera sees, a pixel in a thousand is 1.3 levels away."""
    path = resolve(name)
    backend = load_backend(path, CPU)
    assert_within(1, backend(*picture()), expected(path, *picture()))
    fused, wanted = backend(*noise(240, 320)), expected(path, *noise(240, 320))
    assert (fused - wanted).abs().quantile(0.999) < 1.5
    assert_within(3, fused, wanted)
    assert abs((fused - wanted).mean()) < 0.02


@pytest.mark.parametrize('config', [{'factor': 3}, {'depth': 1, 'dilations': [2]}])
def test_a_student_that_bytes_do_not_suit_runs_as_it_is(
    save: Save, config: dict[str, int]
) -> None:
    path = save(**config)
    backend = load_backend(path, CPU)
    assert isinstance(backend, TorchBackend)
    vis, ir = noise()
    torch.testing.assert_close(backend(vis / 255, ir / 255) * 255, expected(path, vis, ir))


def test_its_network_is_told_like_that_of_any_back_end() -> None:
    path = resolve('student_guided')
    told = load_backend(path, CPU).network
    assert told == TorchBackend(load_checkpoint(path), CPU).network
    assert dataclasses.replace(told, guidance=()).guidance_features == 512


def test_context_and_guidance_go_together(save: Save) -> None:
    path = save(guidance_features=8, context=8, depth=2)
    student = load_checkpoint(path).model.eval()
    backend = StudentOnCpu(load_checkpoint(path), exact=True)
    vis, ir = torch.randint(0, 256, (2, 1, 1, 50, 70), dtype=torch.uint8)
    with torch.inference_mode():
        for guidance in (torch.randn(1, 8), None):
            wanted = 255 * student(vis / 255, ir / 255, guidance)
            assert_within(HALF, backend(vis, ir, guidance), wanted)
        # Both count.
        changed = student(vis / 255, ir / 255, torch.randn(1, 8)) - wanted / 255
        student.context[-1].weight.zero_()
        without = student(vis / 255, ir / 255) - wanted / 255
    assert min(changed.abs().max(), without.abs().max()) > 0.01
