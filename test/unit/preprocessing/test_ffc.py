"""The watch for shutter calibrations and hangs."""

from ir_vis_fusion.preprocessing.ffc import FfcDetector
from ir_vis_fusion.types import ThermalState
import numpy as np
import pytest


def noise(seed):
    return np.random.default_rng(seed).integers(29000, 31000, (128, 160), dtype=np.uint16)


def test_frames_that_differ_in_one_pixel_are_live():
    detector = FfcDetector()
    image = noise(0)
    assert detector.update(image, 1) is ThermalState.LIVE
    image = image.copy()
    image[100, 101] += 1
    assert detector.update(image, 2) is ThermalState.LIVE


def test_frames_that_stay_identical_for_a_fifth_of_a_second_are_frozen_until_one_differs():
    detector = FfcDetector()
    shown = [(0, 0), (100, 1), (200, 1), (299, 1), (300, 1), (400, 1), (500, 2), (600, 2)]
    states = [detector.update(noise(seed), ms * 10**6).value for ms, seed in shown]
    assert states == ['live', 'live', 'live', 'live', 'frozen', 'frozen', 'live', 'live']


def test_a_slow_camera_behind_a_fast_driver_is_not_frozen():
    """A 9 Hz core on a driver that publishes at 27 Hz: every frame comes three times."""
    detector = FfcDetector()
    states = {detector.update(noise(i // 3), i * 37_000_000) for i in range(60)}
    assert states == {ThermalState.LIVE}


def test_images_whose_memory_stays_are_told_apart_without_a_copy():
    detector = FfcDetector()
    shown = [(0, 0), (100, 1), (200, 1), (300, 1), (400, 2), (500, 2)]
    images = [noise(seed) for _, seed in shown]
    states = [
        detector.update(image, ms * 10**6, stays=True).value
        for image, (ms, _) in zip(images, shown, strict=True)
    ]
    assert states == ['live', 'live', 'live', 'frozen', 'live', 'live']
    assert np.shares_memory(detector._last, images[4])


def test_the_same_stamp_again_keeps_the_state():
    detector = FfcDetector()
    for stamp_s, state in [(1, 'live'), (1, 'live'), (2, 'frozen'), (2, 'frozen')]:
        assert detector.update(noise(0), stamp_s * 10**9).value == state


@pytest.mark.parametrize('dtype', [np.uint8, np.uint16, np.float32])
def test_a_frame_of_equal_pixels_is_flat(dtype):
    detector = FfcDetector()
    shutter = np.full((128, 160), 77, dtype)
    assert detector.update(shutter, 1) is ThermalState.FLAT
    assert detector.update(shutter, 2) is ThermalState.FLAT
    almost = shutter.copy()
    almost[3, 4] = 78
    assert detector.update(almost, 3) is ThermalState.LIVE


def test_frozen_float_frames_with_nan_are_recognised():
    detector = FfcDetector()
    kelvin = noise(0).astype(np.float32)
    kelvin[:9] = np.nan
    detector.update(kelvin, 1)
    assert detector.update(kelvin.copy(), 1 + 10**9) is ThermalState.FROZEN


def test_memory_that_is_used_again_for_the_next_frame_is_no_freeze():
    detector = FfcDetector()
    memory = noise(0)
    detector.update(memory, 1)
    memory[:] = noise(1)
    assert detector.update(memory, 10**9) is ThermalState.LIVE


def test_another_size_or_a_reset_is_no_freeze():
    detector = FfcDetector()
    detector.update(noise(0), 1)
    assert detector.update(noise(0)[:64], 10**9) is ThermalState.LIVE
    detector.reset()
    assert detector.update(noise(0)[:64], 2 * 10**9) is ThermalState.LIVE


def picture(spread, seed, level=29_500, kind=np.uint16):
    """Return a scene of warm and cold areas ``spread`` counts apart, with noise of 5 counts."""
    generator = np.random.default_rng(seed)
    image = level + generator.normal(0, 5, (120, 160))
    image[40:80, :100] += spread
    return image.astype(kind)


def watch(detector, spreads, period_ms=33, kind=np.uint16, start_ms=0):
    """Return the states of a series of images."""
    return [
        detector.update(picture(one, i, kind=kind), (start_ms + i * period_ms) * 10**6).value
        for i, one in enumerate(spreads)
    ]


@pytest.mark.parametrize('period_ms', [16, 33, 111])
@pytest.mark.parametrize('kind', [np.uint16, np.float32])
def test_a_shutter_with_noise_is_seen_by_the_contrast_that_goes_at_once(period_ms, kind):
    states = watch(FfcDetector(), [800] * 20 + [0] * 10 + [800] * 5, period_ms, kind)
    assert states == ['live'] * 20 + ['flat'] * 10 + ['live'] * 5


def test_a_shutter_that_takes_two_images_to_close_is_seen():
    states = watch(FfcDetector(), [800] * 30 + [250, 0, 0, 0, 800], period_ms=16)
    assert states == ['live'] * 31 + ['flat'] * 3 + ['live']


def test_a_turn_towards_a_wall_is_no_shutter():
    fading = [800 * 0.85**i for i in range(30)]
    assert set(watch(FfcDetector(), [800] * 20 + fading + [0] * 60)) == {'live'}


def test_a_scene_without_contrast_from_the_start_is_live():
    assert set(watch(FfcDetector(), [0] * 60)) == {'live'}


def test_what_looks_like_a_shutter_for_more_than_three_seconds_is_a_scene():
    states = watch(FfcDetector(), [800] * 20 + [0] * 150)
    assert states[20:110] == ['flat'] * 90
    assert states[112:] == ['live'] * 58


def test_a_person_who_enters_and_leaves_is_no_calibration():
    spreads = [300] * 20 + [3_000] * 20 + [300] * 60
    assert set(watch(FfcDetector(), spreads)) == {'live'}


def test_each_calibration_is_counted_once():
    detector = FfcDetector()
    watch(detector, ([800] * 20 + [0] * 10) * 3)
    assert detector.events == 3
    detector.reset()
    assert detector.events == 3


def test_telemetry_tells_a_calibration_that_no_image_shows():
    detector = FfcDetector()
    assert watch(detector, [800] * 3) == ['live'] * 3
    detector.tell(True)
    assert watch(detector, [800] * 3, start_ms=100) == ['calibrating'] * 3
    detector.tell(False)
    assert watch(detector, [800] * 3, start_ms=200) == ['live'] * 3
    assert detector.events == 1


def test_telemetry_that_is_lost_during_a_calibration_holds_for_three_seconds():
    detector = FfcDetector()
    detector.tell(True)
    states = watch(detector, [800] * 100, period_ms=50)
    assert states == ['calibrating'] * 60 + ['live'] * 40
