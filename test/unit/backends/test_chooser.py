"""The ending of a model's file chooses what runs it."""

from pathlib import Path

from ir_vis_fusion.backends.chooser import load_backend
from ir_vis_fusion.checkpoint import load_checkpoint, resolve, shipped
from ir_vis_fusion.errors import CheckpointError
import pytest
import torch

CPU = torch.device('cpu')


@pytest.mark.parametrize('path', shipped(), ids=lambda path: path.stem)
def test_a_checkpoint_gives_what_its_network_gives(path: Path) -> None:
    checkpoint, backend = load_checkpoint(path), load_backend(path, CPU)
    vis, ir, *features = checkpoint.model.example_inputs(37, 44)
    generator = torch.Generator().manual_seed(1)
    vis, ir = (torch.rand(image.shape, generator=generator) for image in (vis, ir))
    with torch.inference_mode():
        expected = checkpoint.model(vis, ir, *features)
        torch.testing.assert_close(backend(vis, ir, *features), expected)
        nothing = [None] * len(features)
        torch.testing.assert_close(backend(vis, ir, *nothing), checkpoint.model(vis, ir, *nothing))


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
