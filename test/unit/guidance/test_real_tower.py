"""What OpenAI's image tower (ViT-B/16) sees, where its file stands beside the data."""

import os
from pathlib import Path
import subprocess
import sys

from ir_vis_fusion.config import ClipSettings
from ir_vis_fusion.guidance.clip import ImageTower, load_image_tower
from ir_vis_fusion.guidance.prompts import describe, EmbeddingBank
from ir_vis_fusion.preprocessing.encodings import read_image
from ir_vis_fusion.types import PixelEncoding, Role
import numpy as np
import pytest
import torch

DATA = os.environ.get('IR_VIS_FUSION_DATA')
MODELS = Path(DATA or '.').parent / 'models'
NAMES = MODELS / 'clip_vitb16_openai_text_embeddings.safetensors'


@pytest.fixture(scope='module')
def tower(tmp_path_factory: pytest.TempPathFactory) -> ImageTower:
    pytest.importorskip('open_clip', reason='open_clip is not installed')
    if not DATA:
        pytest.skip('IR_VIS_FUSION_DATA is not set')
    script = MODELS / 'unpack_clip.py'
    if not (script.is_file() and NAMES.is_file()):
        pytest.skip(f'no CLIP weights in {MODELS}')
    file = tmp_path_factory.mktemp('clip') / 'tower.safetensors'
    subprocess.run([sys.executable, script, file], check=True)
    try:
        return load_image_tower(ClipSettings(name='ViT-B-16-quickgelu', file=str(file)))
    finally:
        file.unlink()


@torch.inference_mode()
def most_probable(tower: ImageTower, pixels: np.ndarray, top: int) -> dict[str, float]:
    """Return names with probabilities, falling, for (H, W, 3) uint8 RGB."""
    features = tower(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None] / 255)
    description = describe(features, EmbeddingBank.load(f'{NAMES}#coco_multi'), top)
    return dict(zip(description.names[0], description.probabilities[0].tolist(), strict=True))


def test_a_cat_is_a_cat(tower: ImageTower) -> None:
    data = pytest.importorskip('skimage.data', reason='scikit-image is not installed')
    found = most_probable(tower, data.chelsea(), 5)
    assert found['cat'] == pytest.approx(0.83, abs=0.03)


def test_a_street_is_pavement_and_road(tower: ImageTower) -> None:
    path = Path(DATA) / 'msrs_val' / 'vi' / '00123D.png'
    if not path.is_file():
        pytest.skip(f'{path} is missing')
    frame = read_image(path, Role.VISIBLE)
    pixels = frame.image[..., ::-1] if frame.encoding is PixelEncoding.BGR8 else frame.image
    found = most_probable(tower, pixels, 3)
    assert next(iter(found)) == 'pavement'
    assert 'road' in found
