"""A CLIP small enough to be made at random in a moment."""

import json
from pathlib import Path

from ir_vis_fusion.config import ClipSettings
import pytest
import torch

TINY = {
    'embed_dim': 16,
    'vision_cfg': {'image_size': 64, 'layers': 4, 'width': 32, 'head_width': 16, 'patch_size': 16},
    'text_cfg': {'context_length': 77, 'vocab_size': 49408, 'width': 32, 'heads': 2, 'layers': 2},
}


def make_clip(folder: Path, name: str, layers: int = 4, custom_text: bool = False) -> ClipSettings:
    """Write a random CLIP with both towers and make its name known to open_clip."""
    open_clip = pytest.importorskip('open_clip', reason='open_clip is not installed')
    from safetensors.torch import save_file

    config = folder / f'{name}.json'
    vision = TINY['vision_cfg'] | {'layers': layers}
    config.write_text(json.dumps(TINY | {'vision_cfg': vision, 'custom_text': custom_text}))
    open_clip.add_model_config(config)
    torch.manual_seed(0)
    model = open_clip.create_model(name)
    file = folder / f'{name}.safetensors'
    save_file(model.state_dict(), file)
    return ClipSettings(name=name, file=str(file))


@pytest.fixture(scope='session', params=['tiny', 'tiny-custom-text'])
def both_towers(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> ClipSettings:
    """Return the settings of a random CLIP in a file, in open_clip's two layouts of the text."""
    folder = tmp_path_factory.mktemp('clip')
    return make_clip(folder, request.param, custom_text=request.param != 'tiny')


@pytest.fixture
def image_only(both_towers: ClipSettings, tmp_path: Path) -> ClipSettings:
    """Return the settings of the same CLIP in a file without its text tower."""
    from safetensors.torch import load_file, save_file

    state = load_file(both_towers.file)
    file = tmp_path / 'image.safetensors'
    save_file({k: v for k, v in state.items() if k.startswith('visual.')}, file)
    return ClipSettings(name=both_towers.name, file=str(file))


@pytest.fixture(scope='session')
def deep_clip(tmp_path_factory: pytest.TempPathFactory) -> ClipSettings:
    """Return the settings of a random CLIP with the nine blocks whose tokens losses compare."""
    return make_clip(tmp_path_factory.mktemp('deep'), 'tiny-deep', layers=9)
