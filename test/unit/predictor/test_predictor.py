"""The one way from a pair to a fused frame, with the weights that ship."""

import dataclasses
from pathlib import Path

from ir_vis_fusion.backends.device import select_device
from ir_vis_fusion.config import FrameSettings, PredictorSettings
from ir_vis_fusion.errors import CheckpointError, DeviceError
from ir_vis_fusion.predictor import FusionPredictor, STAGES
from ir_vis_fusion.types import Frame, FramePair, FusedFrame, Mode, PixelEncoding, ThermalState
import numpy as np
import pytest
import torch

SETTINGS = PredictorSettings(device='cpu')


def make_pair(
    thermal_shape: tuple[int, int] = (64, 80), visible_shape: tuple[int, int] = (64, 80)
) -> FramePair:
    """Return a noisy scene with a warm square that the dark visible image does not show."""
    random = np.random.default_rng(3)
    thermal = random.integers(20, 40, thermal_shape, dtype=np.uint8)
    height, width = thermal_shape
    thermal[height // 4 : height // 2, width // 4 : width // 2] = 220
    visible = random.integers(10, 60, (*visible_shape, 3), dtype=np.uint8)
    return FramePair(
        Frame(thermal, PixelEncoding.MONO8, 1_000_000, 'thermal'),
        Frame(visible, PixelEncoding.RGB8, 2_000_000, 'visible'),
        offset_ns=-1_000_000,
    )


def test_the_result_has_size_stamp_and_frame_of_the_visible_image() -> None:
    fused = FusionPredictor(SETTINGS).predict(make_pair((51, 40), (65, 83)))
    assert fused.image.shape == (65, 83, 3)
    assert fused.image.dtype == np.uint8
    assert (fused.stamp_ns, fused.frame_id) == (2_000_000, 'visible')
    assert fused.offset_ns == -1_000_000
    assert fused.thermal_state is ThermalState.LIVE


def test_a_warm_square_is_seen_in_the_fused_image() -> None:
    pair = make_pair()
    fused = FusionPredictor(SETTINGS).predict(pair).image.mean(axis=2)
    inside = fused[20:28, 24:36].mean()
    outside = fused[40:60, 48:76].mean()
    assert inside > 150
    assert outside < 60


def test_disabled_fusion_passes_the_visible_image_through() -> None:
    pair = make_pair()
    fused = FusionPredictor(SETTINGS).predict(pair, FrameSettings(enable=False))
    np.testing.assert_array_equal(fused.image, pair.visible.image)


def test_the_mode_tells_what_the_image_is() -> None:
    predictor, pair = FusionPredictor(SETTINGS), make_pair()

    assert predictor.predict(pair).mode is Mode.FUSED
    assert predictor.predict(pair, FrameSettings(enable=False)).mode is Mode.VISIBLE_ONLY


@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8'])
def test_the_visible_image_alone_comes_in_the_output_encoding(encoding: str) -> None:
    visible = make_pair().visible

    alone = FusionPredictor(dataclasses.replace(SETTINGS, output_encoding=encoding)).visible_only(
        visible
    )

    expected = visible.image if encoding == 'rgb8' else visible.image[..., ::-1]
    np.testing.assert_array_equal(alone.image, expected)
    assert (alone.encoding.value, alone.mode) == (encoding, Mode.VISIBLE_ONLY)
    assert (alone.stamp_ns, alone.frame_id) == (2_000_000, 'visible')


def test_the_thermal_image_alone_is_grey_in_the_size_of_the_visible_one() -> None:
    thermal = make_pair().thermal

    alone = FusionPredictor(SETTINGS).thermal_only(thermal, 128, 160)

    assert (alone.image.shape, alone.image.dtype) == ((128, 160, 3), np.uint8)
    assert (alone.mode, alone.thermal_state) == (Mode.THERMAL_ONLY, ThermalState.LIVE)
    np.testing.assert_array_equal(alone.image[..., 0], alone.image[..., 2])
    # Twice the size: the mean of four pixels is the pixel that they came from, within rounding.
    means = alone.image[..., 0].reshape(64, 2, 80, 2).mean(axis=(1, 3))
    assert np.abs(means[17:31, 21:39] - thermal.image[17:31, 21:39]).max() <= 1
    assert (alone.stamp_ns, alone.frame_id) == (1_000_000, 'thermal')


def test_strength_zero_is_the_visible_image_and_one_half_lies_between() -> None:
    predictor, pair = FusionPredictor(SETTINGS), make_pair()
    np.testing.assert_array_equal(
        predictor.predict(pair, FrameSettings(strength=0.0)).image, pair.visible.image
    )
    square = (slice(20, 28), slice(24, 36))
    levels = [
        predictor.predict(pair, FrameSettings(strength=strength)).image[square].mean()
        for strength in (0.0, 0.5, 1.0)
    ]
    assert levels[0] + 30 < levels[1] < levels[2] - 30


def test_local_contrast_can_be_raised_from_frame_to_frame() -> None:
    predictor, pair = FusionPredictor(SETTINGS), make_pair()
    plain, more, again = (
        predictor.predict(pair, FrameSettings(local_contrast=gain)).image.astype(float)
        for gain in (0.0, 0.5, 0.0)
    )
    np.testing.assert_array_equal(plain, again)
    steps = [np.abs(np.diff(image, axis=1)).mean() for image in (plain, more)]
    assert steps[1] > 1.1 * steps[0]


@pytest.mark.parametrize('output', ['rgb8', 'bgr8'])
def test_colour_order_of_input_and_output_do_not_change_the_picture(output: str) -> None:
    pair = make_pair()
    swapped = dataclasses.replace(
        pair,
        visible=dataclasses.replace(
            pair.visible,
            image=np.ascontiguousarray(pair.visible.image[..., ::-1]),
            encoding=PixelEncoding.BGR8,
        ),
    )
    predictor = FusionPredictor(dataclasses.replace(SETTINGS, output_encoding=output))
    first, second = predictor.predict(pair), predictor.predict(swapped)
    assert first.encoding is second.encoding is PixelEncoding(output)
    difference = first.image.astype(int) - second.image.astype(int)
    assert np.abs(difference).max() <= 1
    reference = FusionPredictor(SETTINGS).predict(pair).image
    expected = reference if output == 'rgb8' else reference[..., ::-1]
    np.testing.assert_array_equal(first.image, expected)


def test_sixteen_bit_thermal_gives_the_picture_of_its_normalised_version() -> None:
    pair = make_pair()
    counts = (28_000 + 10 * pair.thermal.image.astype(np.uint16)).astype(np.uint16)
    deep = dataclasses.replace(pair, thermal=Frame(counts, PixelEncoding.MONO16, 1_000_000))
    fused = FusionPredictor(SETTINGS).predict(deep).image.mean(axis=2)
    assert fused[20:28, 24:36].mean() > fused[40:60, 48:76].mean() + 100


def test_a_repeated_thermal_image_is_told_and_reset_forgets_it() -> None:
    predictor, pair = FusionPredictor(SETTINGS), make_pair()
    later = dataclasses.replace(
        pair, thermal=dataclasses.replace(pair.thermal, stamp_ns=301_000_000)
    )
    assert predictor.predict(pair).thermal_state is ThermalState.LIVE
    assert predictor.predict(later).thermal_state is ThermalState.FROZEN
    predictor.reset()
    assert predictor.predict(later).thermal_state is ThermalState.LIVE


def test_the_shutter_is_not_fused_and_leaves_the_thermal_range_alone() -> None:
    """A calibration shows the warm shutter, then repeats itself, for more than a second."""
    random = np.random.default_rng(1)
    visible = make_pair().visible
    scene = random.integers(29_000, 30_000, (64, 80), dtype=np.uint16)
    shutter = np.full((64, 80), 31_000, np.uint16)
    closing = shutter + random.integers(0, 50, shutter.shape, dtype=np.uint16)

    def fuse(thermal: np.ndarray, stamp_s: float) -> FusedFrame:
        frame = Frame(thermal, PixelEncoding.MONO16, round(stamp_s * 1e9))
        return predictor.predict(FramePair(frame, visible))

    predictor = FusionPredictor(SETTINGS)
    before = fuse(scene, 1.0)
    flat = fuse(shutter, 1.5)
    assert flat.thermal_state is ThermalState.FLAT
    np.testing.assert_array_equal(flat.image, visible.image)
    after = fuse(scene[::-1].copy(), 3.0)
    flipped = FusionPredictor(SETTINGS).predict(
        FramePair(Frame(scene[::-1].copy(), PixelEncoding.MONO16, 1), visible)
    )
    np.testing.assert_array_equal(after.image, flipped.image)

    predictor.reset()
    fuse(scene, 1.0)
    fuse(closing, 1.0 + 1e-9)
    assert fuse(closing, 2.0).thermal_state is ThermalState.FROZEN
    np.testing.assert_array_equal(fuse(scene, 2.0 + 1e-8).image, before.image)


def test_every_stage_is_told_when_it_ends() -> None:
    laps: list[str] = []
    predictor = FusionPredictor(SETTINGS)
    predictor.lap = laps.append
    fused = predictor.predict(make_pair())
    # The plain student takes no guidance.
    assert set(laps) == set(STAGES) - {'guidance'}
    assert laps[-3:] == ['network', 'recombine', 'download']
    predictor.lap = FusionPredictor(SETTINGS).lap
    np.testing.assert_array_equal(predictor.predict(make_pair()).image, fused.image)


def test_padded_and_read_only_rows_give_the_same_picture() -> None:
    pair = make_pair()
    wide = np.zeros((64, 100, 3), np.uint8)
    wide[:, :80] = pair.visible.image
    wide.flags.writeable = False
    padded = dataclasses.replace(
        pair, visible=dataclasses.replace(pair.visible, image=wide[:, :80])
    )
    predictor = FusionPredictor(SETTINGS)
    np.testing.assert_array_equal(predictor.predict(padded).image, predictor.predict(pair).image)


def test_a_missing_model_is_named_with_those_that_are_there() -> None:
    with pytest.raises(CheckpointError, match=r"'studnet'.*student"):
        FusionPredictor(PredictorSettings(model='studnet'))


def test_a_missing_weights_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match='nothing.safetensors'):
        FusionPredictor(PredictorSettings(model=str(tmp_path / 'nothing.safetensors')))


@pytest.mark.parametrize('name', ['gpu', 'cuda:x', '', 'mps'])
def test_an_unknown_device_is_refused_with_the_choices(name: str) -> None:
    with pytest.raises(DeviceError, match=r'must be auto, cpu, cuda or cuda:N'):
        select_device(name)


def test_a_cuda_device_that_is_not_there_is_refused() -> None:
    absent = f'cuda:{torch.cuda.device_count()}'
    with pytest.raises(DeviceError, match=f'{absent}.*is not there'):
        select_device(absent)
