"""The towers of a small random CLIP: what is kept, what is frozen, what images become."""

import logging
from pathlib import Path
import sys

from ir_vis_fusion.config import ClipSettings
from ir_vis_fusion.errors import ConfigError, GuidanceError
from ir_vis_fusion.guidance.clip import ImageTower, load_image_tower, load_text_tower
import numpy as np
import pytest
import torch
from torch import nn


def open_clip_model(settings: ClipSettings) -> nn.Module:
    """Return what open_clip itself makes of the file."""
    import open_clip

    return open_clip.create_model(settings.name, pretrained=settings.file).eval()


def test_the_image_tower_alone_gives_what_the_whole_model_gives(both_towers: ClipSettings) -> None:
    model = open_clip_model(both_towers)
    tower = load_image_tower(both_towers)
    images = torch.rand(2, 3, 80, 64)
    expected = model.encode_image(tower.preprocess(images), normalize=True)
    torch.testing.assert_close(tower(images), expected)
    count = sum(p.numel() for p in model.visual.parameters())
    assert sum(p.numel() for p in tower.parameters()) == count


def test_the_text_tower_alone_gives_what_the_whole_model_gives(both_towers: ClipSettings) -> None:
    import open_clip

    sentences = ['a road at night', 'fog']
    model = open_clip_model(both_towers)
    tower = load_text_tower(both_towers)
    tokens = open_clip.get_tokenizer(both_towers.name)(sentences)
    torch.testing.assert_close(
        tower.encode(sentences), model.encode_text(tokens, normalize=True).detach()
    )
    assert not any('visual' in name for name, _ in tower.named_parameters())


def test_a_file_with_the_image_tower_alone_is_enough(
    both_towers: ClipSettings, image_only: ClipSettings
) -> None:
    images = torch.rand(1, 3, 64, 80)
    assert torch.equal(load_image_tower(image_only)(images), load_image_tower(both_towers)(images))


def test_a_file_without_text_tower_names_the_three_ways_out(image_only: ClipSettings) -> None:
    with pytest.raises(GuidanceError, match='no text tower') as raised:
        load_text_tower(image_only)
    for way in ('CLIP with a text tower', 'embedding bank', 'learned prompts'):
        assert way in str(raised.value)


def test_a_tower_stays_frozen_and_in_eval_mode_inside_a_network_that_trains(
    both_towers: ClipSettings,
) -> None:
    towers = (load_image_tower(both_towers), load_text_tower(both_towers))
    nn.ModuleList(towers).train()
    for tower in towers:
        assert not any(module.training for module in tower.modules())
        assert not any(parameter.requires_grad for parameter in tower.parameters())


def test_gradients_reach_the_image_and_nothing_of_clip(image_only: ClipSettings) -> None:
    tower = load_image_tower(image_only)
    images = torch.rand(2, 1, 64, 80, requires_grad=True)
    (tower(images)[:, 0].sum() + tower.tokens(images, (2,))[0].square().mean()).backward()
    assert (images.grad.abs().amax(dim=(1, 2, 3)) > 0).all()
    assert all(parameter.grad is None for parameter in tower.parameters())


def test_features_are_unit_vectors_in_float32_also_from_a_halved_tower(
    image_only: ClipSettings,
) -> None:
    images = torch.rand(3, 3, 64, 64)
    features = load_image_tower(image_only)(images)
    halved = load_image_tower(image_only, dtype=torch.bfloat16)
    assert {p.dtype for p in halved.parameters()} == {torch.bfloat16}
    for result in (features, halved(images)):
        assert result.shape == (3, 16)
        assert result.dtype == torch.float32
        torch.testing.assert_close(result.norm(dim=-1), torch.ones(3))
    assert ((features * halved(images)).sum(dim=-1) > 0.999).all()


def test_a_grey_image_is_a_colour_image_of_three_equal_channels(image_only: ClipSettings) -> None:
    tower = load_image_tower(image_only)
    grey = torch.rand(2, 1, 64, 80)
    torch.testing.assert_close(tower(grey), tower(grey.repeat(1, 3, 1, 1)))


@pytest.mark.parametrize('size', [(120, 160), (64, 64), (40, 50)])
@pytest.mark.parametrize('interpolation', ['bicubic', 'bilinear'])
def test_preprocessing_agrees_with_that_of_open_clip(
    size: tuple[int, int], interpolation: str
) -> None:
    open_clip = pytest.importorskip('open_clip', reason='open_clip is not installed')
    from PIL import Image

    mean, std = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
    visual = nn.Module()
    visual.preprocess_cfg = {'size': 64, 'mean': mean, 'std': std, 'interpolation': interpolation}
    transform = open_clip.image_transform(
        64, is_train=False, resize_mode='squash', interpolation=interpolation
    )
    # Pillow rounds and clips after each direction: nothing here needs clipping.
    pixels = np.random.default_rng(0).integers(64, 192, (*size, 3), np.uint8)
    expected = transform(Image.fromarray(pixels))
    actual = ImageTower(visual).preprocess(torch.from_numpy(pixels).permute(2, 0, 1)[None] / 255)
    assert ((actual[0] - expected).abs() * torch.tensor(std).view(3, 1, 1)).max() < 1.6 / 255


def test_what_bicubic_interpolation_overshoots_is_clipped() -> None:
    visual = nn.Module()
    facts = {'mean': (0.0, 0.0, 0.0), 'std': (1.0, 1.0, 1.0), 'interpolation': 'bicubic'}
    visual.preprocess_cfg = facts | {'size': 64}
    steps = torch.rand(1, 3, 20, 20, generator=torch.Generator().manual_seed(0)).round()
    result = ImageTower(visual).preprocess(steps)
    assert result.min() == 0.0
    assert result.max() == 1.0


def test_a_file_is_prepared_for_as_the_published_weights_of_its_model(
    image_only: ClipSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    import open_clip

    facts = {'mean': (0.5, 0.5, 0.5), 'std': (0.25, 0.25, 0.25), 'interpolation': 'bilinear'}
    monkeypatch.setattr(open_clip, 'list_pretrained_tags_by_model', lambda _: ['first', 'second'])
    monkeypatch.setattr(
        open_clip, 'get_pretrained_cfg', lambda _, tag: facts if tag == 'first' else {}
    )
    tower = load_image_tower(image_only)
    assert tower.interpolation == 'bilinear'
    grey = torch.full((1, 1, 64, 64), 0.75)
    torch.testing.assert_close(tower.preprocess(grey), torch.ones(1, 3, 64, 64))


@pytest.mark.parametrize(
    'images',
    [
        torch.rand(3, 64, 64),
        torch.rand(1, 2, 64, 64),
        torch.zeros(1, 3, 64, 64, dtype=torch.uint8),
    ],
)
def test_other_shapes_and_types_are_told(image_only: ClipSettings, images: torch.Tensor) -> None:
    with pytest.raises(ValueError, match='float in'):
        load_image_tower(image_only)(images)


def test_tokens_are_those_behind_the_blocks_that_were_asked_for(image_only: ClipSettings) -> None:
    tower = load_image_tower(image_only)
    images = torch.rand(2, 3, 64, 80)
    seen = {}
    for number, block in enumerate(tower.visual.transformer.resblocks, 1):
        block.register_forward_hook(lambda _, __, output, n=number: seen.update({n: output}))
    tokens = tower.tokens(images, (1, 3))
    assert sorted(seen) == [1, 2, 3]
    for number, found in zip((1, 3), tokens, strict=True):
        assert found.shape == (2, 16, 32)
        torch.testing.assert_close(found, seen[number][:, 1:])


@pytest.mark.parametrize('blocks', [(), (0,), (5,), (3, 1)])
def test_blocks_that_are_not_there_are_told(
    image_only: ClipSettings, blocks: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match='from 1 to 4'):
        load_image_tower(image_only).tokens(torch.rand(1, 3, 64, 64), blocks)


def test_a_file_that_is_about_to_fill_the_model_raises_no_warning(
    image_only: ClipSettings, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        load_image_tower(image_only)
    assert 'No pretrained weights' not in caplog.text
    assert not logging.getLogger().filters


def test_weights_of_another_model_are_refused(image_only: ClipSettings, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    state = load_file(image_only.file)
    file = tmp_path / 'other.safetensors'
    other = ClipSettings(name=image_only.name, file=str(file))
    for change in (
        {'visual.proj': torch.zeros(32, 8)},
        {'visual.unknown': torch.zeros(1)},
        {'visual.conv1.weight': None},
    ):
        changed = {k: v for k, v in (state | change).items() if v is not None}
        save_file(changed, file)
        name = next(iter(change)).removeprefix('visual.')
        with pytest.raises(GuidanceError, match=rf'another CLIP model: 1 tensors .* \({name}'):
            load_image_tower(other)


def test_an_unknown_model_brings_near_names() -> None:
    pytest.importorskip('open_clip', reason='open_clip is not installed')
    with pytest.raises(GuidanceError, match='ViT-B-16-quickgelu'):
        load_image_tower(ClipSettings(name='ViT-B-16-quickgel', pretrained='openai'))


@pytest.mark.parametrize('tag', ['', 'opanai', '/home/me/clip.pt'])
def test_an_unknown_tag_brings_the_known_ones(tag: str) -> None:
    pytest.importorskip('open_clip', reason='open_clip is not installed')
    with pytest.raises(GuidanceError, match='openai'):
        load_image_tower(ClipSettings(name='ViT-B-32', pretrained=tag))


def test_weights_that_cannot_be_downloaded_are_one_clear_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    open_clip = pytest.importorskip('open_clip', reason='open_clip is not installed')
    asked = {}

    def create_model(name: str, **arguments: object) -> None:
        asked.update(arguments, name=name)
        raise OSError('no route to host')

    monkeypatch.setattr(open_clip, 'create_model', create_model)
    with pytest.raises(GuidanceError, match='no route to host.*safetensors'):
        load_image_tower(ClipSettings(name='ViT-B-32', pretrained='openai'))
    assert asked == {'name': 'ViT-B-32', 'pretrained': 'openai', 'force_quick_gelu': True}


@pytest.mark.parametrize('content', [b'', b'not weights at all'])
def test_a_damaged_file_is_told(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / 'clip.safetensors'
    file.write_bytes(content)
    with pytest.raises(GuidanceError, match='not a safetensors file'):
        load_image_tower(ClipSettings(file=str(file)))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(GuidanceError, match='no such file'):
        load_image_tower(ClipSettings(file=str(tmp_path / 'clip.safetensors')))


@pytest.mark.parametrize('name', ['clip.pt', 'clip.bin', 'clip.npz'])
def test_pickled_files_are_refused_unread(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    torch.save({'visual.proj': torch.zeros(2)}, file)
    with pytest.raises(GuidanceError, match='must be a .safetensors file'):
        load_image_tower(ClipSettings(file=str(file)))


def test_a_file_and_a_tag_at_once_are_a_contradiction() -> None:
    with pytest.raises(ConfigError, match='not both'):
        ClipSettings(pretrained='openai', file='clip.safetensors')


def test_without_open_clip_the_error_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'open_clip', None)
    with pytest.raises(GuidanceError, match=r"pip install 'ir_vis_fusion\[clip\]'"):
        load_image_tower(ClipSettings(pretrained='openai'))


def test_towers_without_transformer_blocks_have_no_tokens() -> None:
    visual = nn.Conv2d(3, 8, 1)
    half = (0.5, 0.5, 0.5)
    visual.preprocess_cfg = {'size': 32, 'mean': half, 'std': half, 'interpolation': 'bicubic'}
    with pytest.raises(ValueError, match='not those of Conv2d'):
        ImageTower(visual).tokens(torch.rand(1, 3, 32, 32))
