"""Networks that CLIP guides, by the one way from a pair to a fused frame."""

from collections.abc import Callable
import dataclasses
from pathlib import Path
import threading
from typing import Any

from ir_vis_fusion.checkpoint import load_checkpoint, save_checkpoint
from ir_vis_fusion.config import ClipSettings, FrameSettings, GuidanceSettings, PredictorSettings
from ir_vis_fusion.errors import GuidanceError
from ir_vis_fusion.guidance.prompts import EmbeddingBank
from ir_vis_fusion.models.registry import build
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.preprocessing.color import luma, recombine
from ir_vis_fusion.preprocessing.levels import to_type
from ir_vis_fusion.preprocessing.view import register
from ir_vis_fusion.types import Frame, FramePair, GuidanceState, PixelEncoding
import numpy as np
import pytest
import torch
from torch import nn, Tensor

TIMEOUT_S = 60
CONFIGS = {
    'mgfusion': {
        'channels': 4,
        'encoder_blocks': 1,
        'decoder_blocks': 1,
        'heads': 2,
        'clip_features': 4,
    },
    'textfusion': {
        'channels': 4,
        'blocks': [1, 1, 1],
        'text_features': 4,
        'text_hidden': 8,
    },
    'student': {'width': 8, 'depth': 2, 'guidance_features': 4},
}
PLAIN = PredictorSettings(device='cpu', precision='float32')

Make = Callable[..., FusionPredictor]


def pair(seed: int = 0, encoding: PixelEncoding = PixelEncoding.RGB8) -> FramePair:
    random = np.random.default_rng(seed)
    thermal = random.integers(0, 256, (27, 30), dtype=np.uint8)
    visible = random.integers(0, 256, (36, 41, 3), dtype=np.uint8)
    if encoding is PixelEncoding.BGR8:
        visible = np.ascontiguousarray(visible[..., ::-1])
    return FramePair(Frame(thermal, PixelEncoding.MONO8, 1), Frame(visible, encoding, 1))


def tower(images: Tensor) -> Tensor:
    """Stand in for CLIP: the means of the four quarters."""
    pooled = nn.functional.adaptive_avg_pool2d(images.mean(1, keepdim=True), 2)
    return nn.functional.normalize(pooled.flatten(1) - 0.5, dim=1)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Return a function that makes a predictor of a small random network which uses guidance."""

    def make(name: str, *arguments: Any, guidance: Any = None, **config: Any) -> FusionPredictor:
        torch.manual_seed(1)
        config = CONFIGS[name] | config
        model = build(name, config)
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.3)
        if name == 'mgfusion':
            nn.init.ones_(model.vis_mean.mean)
            nn.init.ones_(model.ir_mean.mean)
        path, facts = tmp_path / f'{name}.safetensors', {'clip': {'name': 'ViT-B-16-quickgelu'}}
        save_checkpoint(path, model, name, config, facts, {})
        settings = dataclasses.replace(
            PLAIN, model=str(path), guidance=guidance or GuidanceSettings()
        )
        return FusionPredictor(settings, *arguments)

    return make


@pytest.fixture
def bank(tmp_path: Path) -> GuidanceSettings:
    file = tmp_path / 'bank.safetensors'
    EmbeddingBank(('road', 'car', 'fog', 'tree'), torch.eye(4)).save(file)
    return GuidanceSettings(bank=str(file))


@torch.inference_mode()
def expected_luma(predictor: FusionPredictor, given: FramePair, *features: Tensor) -> np.ndarray:
    """Fuse by the network itself: thermal resized, colours kept."""
    visible, images = torch.from_numpy(given.visible.image), predictor._backend.images
    vis_y = luma(visible, given.visible.encoding, images)
    ir = register(torch.from_numpy(given.thermal.image) * (1 / 255), vis_y.shape, None)
    images_in = (to_type(to_type(image, images), torch.float32) for image in (vis_y, ir))
    vis, ir = (image[None, None] for image in images_in)
    fused = load_checkpoint(predictor.network.path).model(vis, ir, *features)[0, 0]
    return recombine(visible, vis_y, to_type(fused, images)).numpy()


def features_of(given: FramePair) -> tuple[Tensor, Tensor]:
    visible = torch.from_numpy(given.visible.image).permute(2, 0, 1)[None] / 255
    return tower(visible), tower(torch.from_numpy(given.thermal.image)[None, None] * (1 / 255))


def test_the_shipped_student_gives_what_its_network_gives() -> None:
    predictor = FusionPredictor(PLAIN)
    np.testing.assert_array_equal(
        predictor.predict(pair()).image, expected_luma(predictor, pair())
    )
    assert predictor.guidance_state() == GuidanceState()
    assert predictor.guidance_note == ''


def test_mgfusion_gets_the_features_of_both_images(make: Make) -> None:
    predictor = make('mgfusion', tower)
    given = pair()
    fused = predictor.predict(given).image
    expected = expected_luma(predictor, given, *features_of(given))
    np.testing.assert_array_equal(fused, expected)
    assert (fused != expected_luma(predictor, given)).any()
    assert predictor.guidance_state().in_force == 'image features'


def test_mgfusion_without_clip_runs_on_the_mean_of_its_training(make: Make) -> None:
    predictor = make('mgfusion')
    np.testing.assert_array_equal(
        predictor.predict(pair()).image,
        expected_luma(predictor, pair(), torch.ones(1, 4), torch.ones(1, 4)),
    )
    assert 'runs without features of the images' in predictor.guidance_note


def test_a_guided_student_gets_the_features_of_the_visible_image(make: Make) -> None:
    predictor = make('student', tower)
    given = pair()
    np.testing.assert_array_equal(
        predictor.predict(given).image, expected_luma(predictor, given, features_of(given)[0])
    )


def test_a_student_that_text_guides_follows_the_prompt(make: Make, bank: GuidanceSettings) -> None:
    predictor = make('student', guidance=bank, guided_by='text_features')
    for row, name in enumerate(('road', 'car')):
        np.testing.assert_array_equal(
            predictor.predict(pair(), FrameSettings(prompt=name)).image,
            expected_luma(predictor, pair(), torch.eye(4)[row : row + 1]),
        )


@torch.inference_mode()
def expected_color(predictor: FusionPredictor, given: FramePair, *features: Tensor) -> np.ndarray:
    vis = torch.from_numpy(given.visible.image).permute(2, 0, 1)[None] / 255
    ir = torch.from_numpy(given.thermal.image)[None, None] / 255
    ir = nn.functional.interpolate(ir, size=vis.shape[-2:], mode='bilinear', align_corners=False)
    model = load_checkpoint(predictor.network.path).model
    fused = model(vis, ir, *features)[0]
    return (fused * 255).round().permute(1, 2, 0).numpy()


def test_textfusion_gives_the_colours_of_the_network(make: Make) -> None:
    predictor = make('textfusion')
    difference = predictor.predict(pair()).image - expected_color(predictor, pair())
    assert np.abs(difference).max() <= 1
    swapped = predictor.predict(pair(encoding=PixelEncoding.BGR8)).image
    np.testing.assert_array_equal(swapped, predictor.predict(pair()).image)
    still = predictor.predict(pair(), FrameSettings(strength=0.0)).image
    np.testing.assert_array_equal(still, pair().visible.image)


def test_textfusion_follows_prompt_then_scene_then_nothing(
    make: Make, bank: GuidanceSettings
) -> None:
    predictor = make('textfusion', tower, guidance=bank)
    described = predictor.predict(pair()).image
    assert predictor.guidance_state().in_force.startswith('scene: ')
    prompted = predictor.predict(pair(), FrameSettings(prompt='fog')).image
    assert predictor.guidance_state().in_force == "prompt 'fog'"
    difference = prompted - expected_color(predictor, pair(), torch.eye(4)[2:3])
    assert np.abs(difference).max() <= 1
    plain = make('textfusion').predict(pair()).image
    assert (described != prompted).any()
    assert (described != plain).any()


def test_a_prompt_that_cannot_be_followed_is_refused(make: Make, bank: GuidanceSettings) -> None:
    make('textfusion', None, guidance=bank).check(FrameSettings(prompt='car'))
    make('textfusion').check(FrameSettings())
    with pytest.raises(GuidanceError, match=r"no text tower for .*'car'.*or learned prompts"):
        make('textfusion').check(FrameSettings(prompt='car'))
    with pytest.raises(GuidanceError, match=r"prompt 'car': mgfusion takes no text"):
        make('mgfusion', tower).check(FrameSettings(prompt='car'))
    with pytest.raises(GuidanceError, match=r"prompt 'car': student takes no text"):
        FusionPredictor(PLAIN).check(FrameSettings(prompt='car'))


def test_another_clip_than_that_of_the_training_is_refused(make: Make) -> None:
    other = GuidanceSettings(clip=ClipSettings(name='ViT-B-32', pretrained='openai'))
    with pytest.raises(GuidanceError, match=r'of CLIP ViT-B-16-quickgelu, .* is ViT-B-32'):
        make('mgfusion', guidance=other)


def test_clip_for_a_network_that_takes_none_is_told_and_not_loaded(bank: GuidanceSettings) -> None:
    predictor = FusionPredictor(dataclasses.replace(PLAIN, guidance=bank))
    assert predictor.guidance_note == (
        'guidance.* has no effect: student takes no features of CLIP'
    )


def test_in_the_background_a_frame_takes_what_was_seen_before(make: Make) -> None:
    begun, go_on = threading.Semaphore(0), threading.Semaphore(0)

    def slow_tower(images: Tensor) -> Tensor:
        begun.release()
        assert go_on.acquire(timeout=TIMEOUT_S)
        return tower(images)

    predictor = make('student', slow_tower, True, guidance=GuidanceSettings(period_s=0.0))
    first, second = pair(0), pair(1)
    unguided = predictor.predict(first)
    assert begun.acquire(timeout=TIMEOUT_S)
    np.testing.assert_array_equal(unguided.image, expected_luma(predictor, first))
    assert predictor.guidance_state().in_force == 'none'

    predictor.predict(second)
    go_on.release()
    assert begun.acquire(timeout=TIMEOUT_S)
    np.testing.assert_array_equal(
        predictor.predict(second).image, expected_luma(predictor, second, features_of(first)[0])
    )
    assert predictor.guidance_state().in_force == 'image features'

    predictor.reset()
    np.testing.assert_array_equal(
        predictor.predict(second).image, expected_luma(predictor, second)
    )
    go_on.release(9)
    predictor.close()


def test_in_the_background_a_failure_of_clip_ends_nothing(make: Make) -> None:
    failed = threading.Event()

    def blind(_images: Tensor) -> Tensor:
        failed.set()
        raise RuntimeError('CUDA out of memory')

    predictor = make('mgfusion', blind, True)
    fused = predictor.predict(pair())
    assert failed.wait(TIMEOUT_S)
    predictor.close()
    np.testing.assert_array_equal(fused.image, expected_luma(predictor, pair()))
    state = predictor.guidance_state()
    assert (state.in_force, state.failures) == ('none', 1)
    assert state.fault == 'RuntimeError: CUDA out of memory'
