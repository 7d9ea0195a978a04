"""Embedding banks and descriptions; no open_clip is needed for them."""

import json
import math
from pathlib import Path

from ir_vis_fusion.errors import GuidanceError
from ir_vis_fusion.guidance.prompts import describe, EmbeddingBank, encode_sentences
import pytest
from safetensors.torch import save_file
import torch


def bank() -> EmbeddingBank:
    return EmbeddingBank(('road', 'car', 'fog'), torch.eye(3), 'some CLIP')


def test_a_bank_survives_its_file(tmp_path: Path) -> None:
    file = tmp_path / 'bank.safetensors'
    bank().save(file)
    found = EmbeddingBank.load(file)
    assert found.names == ('road', 'car', 'fog')
    assert found.clip == 'some CLIP'
    assert torch.equal(found.vectors, torch.eye(3))
    assert [path.name for path in tmp_path.iterdir()] == ['bank.safetensors']


def test_vectors_are_brought_to_length_1_in_float32() -> None:
    vectors = EmbeddingBank(('a', 'b'), torch.tensor([[3.0, 4.0], [0.0, 5.0]]).half()).vectors
    assert vectors.dtype == torch.float32
    torch.testing.assert_close(vectors, torch.tensor([[0.6, 0.8], [0.0, 1.0]]))


def several_tensors(folder: Path) -> Path:
    file = folder / 'several.safetensors'
    names = {'coco_names': json.dumps(['cat', 'dog']), 'voc_names': json.dumps(['sofa'])}
    tensors = {
        'coco_multi': torch.tensor([[1.0, 0.0], [0.0, 1.0]]),
        'coco_single': torch.tensor([[0.0, 1.0], [1.0, 0.0]]),
        'voc12_single': torch.tensor([[0.6, 0.8]]),
    }
    save_file(tensors, file, names)
    return file


def test_one_of_several_tensors_is_chosen_behind_the_path(tmp_path: Path) -> None:
    file = several_tensors(tmp_path)
    assert EmbeddingBank.load(f'{file}#coco_single').encode(['cat']).tolist() == [[0.0, 1.0]]
    assert EmbeddingBank.load(f'{file}#voc12_single').names == ('sofa',)


@pytest.mark.parametrize('choice', ['', '#coco'])
def test_which_of_several_tensors_is_asked_for(tmp_path: Path, choice: str) -> None:
    with pytest.raises(GuidanceError, match='coco_multi, coco_single, voc12_single'):
        EmbeddingBank.load(f'{several_tensors(tmp_path)}{choice}')


def test_files_that_are_no_banks_are_told(tmp_path: Path) -> None:
    file = tmp_path / 'bank.safetensors'
    with pytest.raises(GuidanceError, match='ivf prompts encode'):
        EmbeddingBank.load(file)
    file.write_bytes(b'nothing')
    with pytest.raises(GuidanceError, match='not a safetensors file'):
        EmbeddingBank.load(file)
    save_file({'vectors': torch.eye(2)}, file)
    with pytest.raises(GuidanceError, match='no names for vectors'):
        EmbeddingBank.load(file)
    save_file({'vectors': torch.eye(2)}, file, {'names': json.dumps(['one'])})
    with pytest.raises(GuidanceError, match=r'1 names and vectors of shape \(2, 2\)'):
        EmbeddingBank.load(file)


def test_a_bank_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    with pytest.raises(GuidanceError, match='cannot be written'):
        bank().save(tmp_path / 'missing' / 'bank.safetensors')


def test_a_sentence_that_a_bank_lacks_brings_a_near_one_and_the_three_ways_out() -> None:
    with pytest.raises(GuidanceError, match="did you mean 'road'") as raised:
        encode_sentences(['raod'], bank())
    for way in ('CLIP with a text tower', 'embedding bank', 'learned prompts'):
        assert way in str(raised.value)


def test_a_sentence_without_any_source_names_the_three_ways_out() -> None:
    with pytest.raises(GuidanceError, match='no text tower') as raised:
        encode_sentences(['a road at night'], None)
    for way in ('CLIP with a text tower', 'embedding bank', 'learned prompts'):
        assert way in str(raised.value)


def test_sentences_come_back_in_the_order_that_was_asked_for() -> None:
    assert torch.equal(encode_sentences(['fog', 'road'], bank()), torch.eye(3)[[2, 0]])


def test_probabilities_are_a_softmax_of_100_cosines_over_the_whole_bank() -> None:
    # Unit vector with cosines 0.71 and 0.70 to the first two names; its length does not count.
    features = torch.tensor([[0.71, 0.70, math.sqrt(1 - 0.71**2 - 0.70**2)]])
    description = describe(7 * features, bank(), top=2)
    assert description.names == (('road', 'car'),)
    first, second = math.exp(71), math.exp(70)
    total = first + second + math.exp(100 * features[0, 2])
    expected = torch.tensor([[first / total, second / total]])
    torch.testing.assert_close(description.probabilities, expected, rtol=1e-4, atol=0)


def test_the_text_vector_is_the_mean_of_the_top_names_by_probability() -> None:
    features = torch.tensor([[0.71, 0.70, 0.0], [0.0, 0.0, 1.0]])
    description = describe(features, bank(), top=2)
    # The ratio of two probabilities is exp(100 * difference of the cosines).
    cosines = features[0] / features[0].norm()
    ratio = math.exp(100 * (cosines[1] - cosines[0]))
    expected = torch.tensor([1.0, ratio, 0.0]) / math.hypot(1.0, ratio)
    torch.testing.assert_close(description.text_features[0], expected, rtol=1e-3, atol=1e-6)
    torch.testing.assert_close(description.text_features[1], torch.tensor([0.0, 0.0, 1.0]))


def test_a_bank_of_another_clip_is_told() -> None:
    with pytest.raises(GuidanceError, match='some CLIP'):
        describe(torch.rand(1, 4), bank())


@pytest.mark.parametrize('top', [0, 4])
def test_more_names_than_a_bank_has_are_told(top: int) -> None:
    with pytest.raises(GuidanceError, match='from 1 to the 3 names'):
        describe(torch.rand(1, 3), bank(), top)
