"""``ivf prompts encode`` and ``ivf describe``, with a small random CLIP."""

from pathlib import Path

from ir_vis_fusion.cli.main import main
from ir_vis_fusion.config import ClipSettings
from ir_vis_fusion.guidance.clip import load_image_tower, load_text_tower
from ir_vis_fusion.guidance.prompts import describe, EmbeddingBank
from ir_vis_fusion.preprocessing.encodings import write_image
import numpy as np
import pytest
import torch


def test_encode_writes_a_bank_that_describe_reads(
    both_towers: ClipSettings, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    clip = ['--clip', both_towers.name, '--clip-file', both_towers.file, '--device', 'cpu']
    file = tmp_path / 'bank.safetensors'
    sentences = ['a road', 'a car', 'fog']
    assert main(['prompts', 'encode', *sentences, 'fog', '--out', str(file), *clip]) == 0
    bank = EmbeddingBank.load(file)
    assert bank.names == tuple(sentences)
    assert bank.clip == f'{both_towers.name} {Path(both_towers.file).name}'
    torch.testing.assert_close(bank.vectors, load_text_tower(both_towers).encode(sentences))

    pixels = np.random.default_rng(0).integers(0, 256, (64, 80, 3), np.uint8)
    write_image(tmp_path / 'image.png', pixels)
    capsys.readouterr()
    image = str(tmp_path / 'image.png')
    assert main(['describe', image, '--bank', str(file), '--top', '2', *clip]) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    images = torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255
    expected = describe(load_image_tower(both_towers)(images), bank, 2)
    assert [row.rsplit(maxsplit=1)[0] for row in rows] == list(expected.names[0])
    shown = [float(row.rsplit(maxsplit=1)[1]) for row in rows]
    assert shown == pytest.approx(expected.probabilities[0].tolist(), abs=6e-4)


def test_encode_without_a_text_tower_is_one_line_with_the_three_ways_out(
    image_only: ClipSettings, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    file = tmp_path / 'bank.safetensors'
    clip = ['--clip', image_only.name, '--clip-file', image_only.file]
    assert main(['prompts', 'encode', 'fog', '--out', str(file), *clip]) == 1
    error = capsys.readouterr().err
    assert 'no text tower' in error
    assert 'learned prompts' in error
    assert len(error.splitlines()) == 1
    assert not file.exists()
