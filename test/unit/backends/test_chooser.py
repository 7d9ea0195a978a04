"""The ending of a model's file chooses what runs it."""

from pathlib import Path

from ir_vis_fusion.backends.chooser import load_backend
from ir_vis_fusion.checkpoint import load_checkpoint, resolve, shipped
from ir_vis_fusion.errors import CheckpointError
from ir_vis_fusion.preprocessing.levels import to_type
import pytest
import torch

CPU = torch.device('cpu')


@pytest.mark.parametrize('path', shipped(), ids=lambda path: path.stem)
@torch.inference_mode()
def test_a_checkpoint_gives_what_its_network_gives(path: Path) -> None:
    checkpoint, backend = load_checkpoint(path), load_backend(path, CPU, exact=True)
    vis, ir, *features = checkpoint.model.example_inputs(37, 44)
    generator = torch.Generator().manual_seed(1)
    vis, ir = (torch.randint(0, 256, image.shape, generator=generator) for image in (vis, ir))
    images = [to_type(image.to(torch.uint8), backend.images) for image in (vis, ir)]
    for given in (features, [None] * len(features)):
        fused = backend(*images, *given)
        assert fused.dtype == backend.images
        expected = checkpoint.model(vis / 255, ir / 255, *given)
        # Bytes are rounded.
        tolerance = 0.501 / 255 if backend.images == torch.uint8 else 1e-5
        fused = to_type(fused, torch.float32)
        torch.testing.assert_close(fused, expected, atol=tolerance, rtol=0)


def test_a_back_end_tells_what_its_network_takes() -> None:
    plain = load_backend(resolve('student'), CPU).network
    assert (plain.name, plain.color, plain.guidance, plain.clip) == ('student', False, (), '')
    assert plain.sha256 == load_checkpoint(plain.path).sha256
    guided = load_backend(resolve('mgfusion'), CPU).network
    assert guided.guidance == ('vis_features', 'ir_features')
    assert guided.guidance_features == 512
    assert guided.clip == 'ViT-B-16-quickgelu'


def test_an_unknown_ending_is_refused_with_those_there_are(tmp_path: Path) -> None:
    path = tmp_path / 'student.pth'
    path.write_bytes(b'weights')
    with pytest.raises(CheckpointError, match=r"student\.pth: unknown ending '\.pth'.*safetens"):
        load_backend(path, CPU)
