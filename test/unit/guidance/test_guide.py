"""What a network gets beside the images: by tower, bank, prompt, or not at all."""

from pathlib import Path

from ir_vis_fusion.config import ClipSettings, GuidanceSettings
from ir_vis_fusion.errors import GuidanceError
from ir_vis_fusion.guidance.clip import load_text_tower
from ir_vis_fusion.guidance.guide import Guide, Wanted
from ir_vis_fusion.guidance.prompts import EmbeddingBank
from ir_vis_fusion.types import GuidanceState, PixelEncoding
import pytest
import torch
from torch import Tensor

NO_CLIP = GuidanceSettings()
IMAGES = Wanted(('vis_features', 'ir_features'), 3)
TEXT = Wanted(('text_features',), 3)
RED = torch.tensor([[[255, 0, 0]]], dtype=torch.uint8).expand(32, 40, 3)
WARM = torch.full((24, 32), 0.6)


def colours(images: Tensor) -> Tensor:
    """Stand in for an image tower: the mean colour as a unit vector; grey gives (1, 1, 1)."""
    means = images.mean(dim=(2, 3)).expand(-1, 3)
    return torch.nn.functional.normalize(means, dim=1)


@pytest.fixture
def bank(tmp_path: Path) -> str:
    """Return a bank of the three colours."""
    file = tmp_path / 'bank.safetensors'
    EmbeddingBank(('red', 'green', 'blue'), torch.eye(3), 'ViT-B-16-quickgelu openai').save(file)
    return str(file)


def look(guide: Guide, prompt: str = '') -> list[list[float] | None]:
    features = guide.features(RED, PixelEncoding.RGB8, WARM, prompt)
    return [None if x is None else [round(n, 3) for n in x[0].tolist()] for x in features]


def test_the_tower_sees_the_visible_image_in_rgb_and_the_infrared_one() -> None:
    guide = Guide(NO_CLIP, IMAGES, 'cpu', colours)
    assert look(guide) == [[1.0, 0.0, 0.0], [0.577, 0.577, 0.577]]
    bgr, _ = guide.features(RED, PixelEncoding.BGR8, WARM, '')
    assert bgr.tolist() == [[0.0, 0.0, 1.0]]
    assert look(Guide(NO_CLIP, Wanted(('vis_features',), 3), 'cpu', colours)) == [[1.0, 0.0, 0.0]]
    assert guide.state().in_force == 'image features'
    assert guide.state().age_s >= 0.0
    assert guide.note == ''


def test_without_a_tower_there_are_no_features_and_a_note_says_so() -> None:
    guide = Guide(NO_CLIP, IMAGES, 'cpu')
    assert look(guide) == [None, None]
    assert guide.state() == GuidanceState()
    assert 'no weights of a CLIP (pretrained or file) given' in guide.note


def test_a_prompt_goes_by_the_bank_and_before_the_scene(bank: str) -> None:
    guide = Guide(GuidanceSettings(bank=bank), TEXT, 'cpu', colours)
    assert look(guide, 'blue') == [[0.0, 0.0, 1.0]]
    assert guide.state() == GuidanceState("prompt 'blue'")


def test_without_a_prompt_bank_and_tower_describe_the_scene(bank: str) -> None:
    guide = Guide(GuidanceSettings(bank=bank), TEXT, 'cpu', colours)
    assert look(guide) == [[1.0, 0.0, 0.0]]
    assert guide.state().in_force.startswith('scene: red, ')
    assert guide.note == ''


@pytest.mark.parametrize(
    ('with_bank', 'with_tower', 'note'),
    [
        (True, False, 'no weights of a CLIP (pretrained or file) given'),
        (False, True, 'and no embedding bank given'),
        (False, False, 'no weights of a CLIP (pretrained or file) and no embedding bank given'),
    ],
)
def test_without_bank_or_tower_only_a_prompt_guides(
    bank: str, with_bank: bool, with_tower: bool, note: str
) -> None:
    settings = GuidanceSettings(bank=bank if with_bank else '')
    guide = Guide(settings, TEXT, 'cpu', colours if with_tower else None)
    assert look(guide) == [None]
    assert note in guide.note
    assert guide.note.endswith('only a prompt guides the network')


def test_a_prompt_that_nothing_knows_names_the_ways_out(bank: str) -> None:
    ways = 'a CLIP with a text tower.*an embedding bank.*or learned prompts'
    with pytest.raises(GuidanceError, match=rf"'gren'.*did you mean 'green'\?.*{ways}"):
        Guide(GuidanceSettings(bank=bank), TEXT, 'cpu').encode('gren')
    with pytest.raises(GuidanceError, match=f"no text tower for .*'green'.*{ways}"):
        Guide(NO_CLIP, TEXT, 'cpu').encode('green')


def test_a_prompt_goes_by_the_text_tower_once(both_towers: ClipSettings) -> None:
    expected = load_text_tower(both_towers).encode(['a road'])
    guide = Guide(GuidanceSettings(clip=both_towers), Wanted(TEXT.names, 16), 'cpu')
    torch.testing.assert_close(guide.encode('a road'), expected)
    assert guide.encode('a road') is guide.encode('a road')


def test_a_file_without_text_tower_and_a_bank_without_the_prompt_are_both_told(
    image_only: ClipSettings, tmp_path: Path
) -> None:
    file = tmp_path / 'bank.safetensors'
    EmbeddingBank(('a road',), torch.eye(1, 16)).save(file)
    settings = GuidanceSettings(clip=image_only, bank=str(file))
    guide = Guide(settings, Wanted(TEXT.names, 16), 'cpu')
    with pytest.raises(GuidanceError, match=r"did you mean 'a road'\?; .*no text tower in it"):
        guide.encode('a rod')
    assert guide.encode('a road').shape == (1, 16)


def test_the_tower_of_the_settings_is_loaded_only_where_it_is_of_use(
    image_only: ClipSettings,
) -> None:
    settings = GuidanceSettings(clip=image_only)
    guide = Guide(settings, Wanted(IMAGES.names, 16), 'cpu')
    assert [len(vector) for vector in look(guide)] == [16, 16]
    without_bank = Guide(settings, Wanted(TEXT.names, 16), 'cpu')
    assert look(without_bank) == [None]
    assert without_bank.note.startswith('no embedding bank given')


def test_clip_bank_and_network_must_belong_together(bank: str) -> None:
    other = ClipSettings(name='ViT-B-32', pretrained='openai')
    trained = Wanted(TEXT.names, 3, 'ViT-B-16-quickgelu')
    with pytest.raises(GuidanceError, match=r'CLIP ViT-B-16-quickgelu, .* is ViT-B-32'):
        Guide(GuidanceSettings(clip=other), trained, 'cpu')
    with pytest.raises(GuidanceError, match=r'made with CLIP ViT-B-16-quickgelu, .* ViT-B-32'):
        Guide(GuidanceSettings(clip=other, bank=bank), TEXT, 'cpu')
    with pytest.raises(GuidanceError, match=r'3 numbers a vector, the network takes 512'):
        Guide(GuidanceSettings(bank=bank), Wanted(TEXT.names, 512), 'cpu')
    with pytest.raises(GuidanceError, match=r'features of 512 numbers, this CLIP gives 3'):
        look(Guide(NO_CLIP, Wanted(IMAGES.names, 512), 'cpu', colours))
    assert look(Guide(GuidanceSettings(bank=bank), trained, 'cpu'), 'red') == [[1.0, 0.0, 0.0]]
