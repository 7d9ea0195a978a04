"""What a range must bear: hot and dead pixels, hot objects, noise, real scenes over time."""

from collections.abc import Iterator
import copy
import itertools
import os
from pathlib import Path

from ir_vis_fusion.config import ThermalSettings
from ir_vis_fusion.preprocessing.thermal import ThermalNormalizer
import numpy as np
import pytest
import torch

FRAME_NS = 33_000_000
VIDEOS = ('0111_1716', '0117_1605', '1230_1202')


def make(**settings):
    return ThermalNormalizer(ThermalSettings(**settings))


def street(seed, level=29_000):
    """Return a scene of 10 K with noise of 50 mK, in centikelvin."""
    generator = np.random.default_rng(seed)
    ramp = np.linspace(level, level + 1_000, 160)
    return np.tile(ramp, (120, 1)) + generator.normal(0, 5, (120, 160))


def tensor(image):
    return torch.from_numpy(image.round().clip(0, 65_535).astype(np.uint16))


@pytest.mark.parametrize('agc', ['linear', 'plateau', 'clahe'])
@pytest.mark.parametrize('value', [0, 65_535])
def test_dead_and_hot_pixels_change_no_other_pixel(agc, value):
    """One in 500, as a worn sensor has, spread at random."""
    clean = street(0)
    spoiled = clean.copy()
    bad = np.random.default_rng(1).random(clean.shape) < 0.002
    spoiled[bad] = value
    results = [make(agc=agc).normalize(tensor(image), 1) for image in (clean, spoiled)]
    difference = (results[0] - results[1]).abs().numpy()
    assert difference[~bad].max() < 0.05
    assert difference[~bad].mean() < 0.01


def test_one_hot_pixel_does_not_move_the_range_by_a_hundredth_of_a_kelvin():
    clean = street(0)
    hot = clean.copy()
    hot[50, 50] = 65_535
    ranges = []
    for image in (clean, hot):
        normalizer = make(units='centikelvin')
        normalizer.normalize(tensor(image), 1)
        ranges.append(normalizer.range())
    assert ranges[0] == pytest.approx(ranges[1], abs=0.011)


def test_a_fire_that_enters_dims_the_scene_gradually_and_hides_no_person():
    """
    A fire of 300 K over the scene on 2 % of the image, and a person of 10 K over it.

    The range reaches no farther than 50 K over the median (295 K), so a span of 10 K becomes one
    of 55 K at most: with a time constant of 0.3 s, and back with 2 s when the fire is gone.
    """
    normalizer, stamp_ns = make(), 1
    grounds, persons = [], []
    for i in range(300):
        image = street(i)
        image[60:75, 100:104] = image[60:75, 100:104].mean() + 1_000
        if 30 <= i < 90:
            image[20:39, 20:40] = 59_000
        result = normalizer.normalize(tensor(image), stamp_ns)
        if 30 <= i < 90:
            assert result[25:35, 25:35].min() == 1
        grounds.append(result[80:].mean().item())
        persons.append(result[60:75, 100:104].mean().item() - result[60:75, 105:109].mean().item())
        stamp_ns += FRAME_NS
    assert grounds[29] == pytest.approx(0.5, abs=0.05)
    assert grounds[89] == pytest.approx(4.9 / 54.9, abs=0.02)
    # 46 of 255 grey levels.
    assert persons[89] == pytest.approx(10 / 54.9, abs=0.02)
    assert np.abs(np.diff(grounds)).max() < 0.2
    assert all(later >= one - 0.005 for one, later in itertools.pairwise(grounds[90:]))
    assert grounds[299] > 0.4


def test_noise_alone_is_not_amplified():
    """A wall: 50 mK of noise in a minimum span of 3 K are 4 grey levels of 255."""
    normalizer = make()
    walls = [np.random.default_rng(i).normal(29_500, 5, (120, 160)) for i in range(5)]
    for i, wall in enumerate(walls):
        result = normalizer.normalize(tensor(wall), 1 + i * FRAME_NS)
    assert result.mean().item() == pytest.approx(0.5, abs=0.02)
    assert result.std().item() * 255 == pytest.approx(5 / 300 * 255, rel=0.05)


def counts_of(name: str) -> Iterator[tuple[int, torch.Tensor]]:
    """Yield stamps and images of a real video, their 8 bits as a scene of 10 K with noise."""
    from ir_vis_fusion.evaluation.videos import VideoReader

    folder = os.environ.get('IR_VIS_FUSION_DATA')
    if not folder:
        pytest.skip('set IR_VIS_FUSION_DATA to a folder with m3svd_video')
    generator = np.random.default_rng(0)
    reader = VideoReader(Path(folder) / 'm3svd_video' / 'ir' / f'{name}.mp4')
    for stamp_ns, image in itertools.islice(reader, 90):
        # A ninth of the pixels are enough for percentiles.
        grey = image[::3, ::3, 0].astype(np.float32)
        yield stamp_ns, tensor(29_000 + 4 * grey + generator.normal(0, 5, grey.shape))


def stretch(image, measured):
    """Map an image with the percentiles of one, as drivers do for every image."""
    low, high = np.percentile(measured.numpy(), (1.0, 99.5))
    return (image.to(torch.float32) - low).div_(high - low).clamp_(0, 1)


@pytest.mark.parametrize('name', VIDEOS)
def test_flicker_on_real_video_is_a_fifth_of_that_of_a_stretch_of_every_image(name):
    """
    Flicker: how differently one and the same image is shown before and after it was seen.

    That is the mean change of grey which a viewer sees though the scene stays.
    """
    normalizer, ours, theirs, before = make(), [], [], None
    for stamp_ns, image in counts_of(name):
        if before is not None:
            held = copy.deepcopy(normalizer).normalize(image, 0, frozen=True)
            theirs.append((stretch(image, image) - stretch(image, before)).abs().mean().item())
        shown = normalizer.normalize(image, 1 + stamp_ns)
        if before is not None:
            ours.append((shown - held).abs().mean().item())
        before = image
    assert len(ours) == 89
    assert 5 * np.mean(ours) < np.mean(theirs)
