"""The synthetic scene: the same for a seed, and physically what it says it is."""

from ir_vis_fusion.evaluation.bags import BagReader
from ir_vis_fusion.evaluation.scene import (
    CENTIKELVIN_AT_0_C,
    HIDDEN,
    PEOPLE,
    Scene,
    write_sample_bag,
)
from ir_vis_fusion.evaluation.topics import guess_topics
import numpy as np
import pytest

# The hidden person is deep in the smoke, and the thermal camera live.
SMOKE_FRAME = 120
FFC_FRAMES = range(210, 231)


@pytest.fixture(scope='module')
def scene():
    return Scene(seed=0)


@pytest.fixture(scope='module')
def without_hidden():
    return Scene(seed=0, people=PEOPLE)


def celsius(thermal):
    return (thermal.astype(float) - CENTIKELVIN_AT_0_C) / 100


def within(image, person, index):
    """Cut out a person; thermal images have 512 rows for 480."""
    left, top, right, bottom = person.bounds(index / 30)
    stretch = image.shape[0] / 480
    return image[round(top * stretch) : round(bottom * stretch), left:right]


def test_frames_have_the_sizes_and_types_of_the_cameras(scene):
    thermal, visible = scene.frame(0)
    assert (thermal.shape, thermal.dtype) == ((512, 640), np.uint16)
    assert (visible.shape, visible.dtype) == ((480, 640, 3), np.uint8)


def test_a_frame_is_decided_by_seed_and_number_alone(scene):
    later_first = Scene(seed=0)
    later_first.frame(40)
    for one, other in zip(scene.frame(3), later_first.frame(3), strict=True):
        assert np.array_equal(one, other)
    assert not np.array_equal(scene.frame(3)[0], Scene(seed=1).frame(3)[0])


def test_people_are_warm_on_cool_ground(scene):
    temperatures = celsius(scene.frame(60)[0])
    ground = np.median(temperatures[440:, 100:600])
    walker = within(temperatures, PEOPLE[3], 60)
    assert 9 < ground < 13
    assert 31 < np.percentile(walker, 99.5) < 35
    assert 25 < np.median(walker[walker > 20]) < 29


def test_the_sensors_are_noisy_but_not_frozen_outside_the_ffc(scene):
    before, after = (scene.frame(index) for index in (100, 101))
    still = (slice(460, 500), slice(200, 300))
    noise = (after[0][still].astype(float) - before[0][still]).std() / np.sqrt(2)
    assert 4 < noise < 6  # 50 mK
    dark = (after[1][:60, 250:400].astype(float) - before[1][:60, 250:400]).std()
    assert 2 < dark < 12


def test_during_the_ffc_thermal_images_are_identical_and_visible_ones_are_not(scene):
    frozen = [scene.frame(index) for index in (FFC_FRAMES[0], FFC_FRAMES[9], FFC_FRAMES[-1])]
    assert np.array_equal(frozen[0][0], frozen[1][0])
    assert np.array_equal(frozen[0][0], frozen[2][0])
    assert not np.array_equal(frozen[0][1], frozen[1][1])
    for live in (FFC_FRAMES[0] - 1, FFC_FRAMES[-1] + 1):
        assert not np.array_equal(scene.frame(live)[0], frozen[0][0])


def test_the_ffc_takes_the_drift_away(scene):
    ground = (slice(460, 500), slice(200, 300))
    before, after = (np.median(scene.frame(index)[0][ground]) for index in (205, 235))
    assert 20 < before - after < 35  # 4 centikelvin a second for 7 s


def test_smoke_hides_a_person_from_the_visible_camera_but_not_from_the_thermal(
    scene, without_hidden
):
    with_person, without = scene.frame(SMOKE_FRAME), without_hidden.frame(SMOKE_FRAME)
    seen, unseen = (
        within(one.astype(float), HIDDEN, SMOKE_FRAME) - within(other, HIDDEN, SMOKE_FRAME)
        for one, other in zip(with_person, without, strict=True)
    )
    assert np.percentile(seen, 60) > 1000  # more than 10 K
    assert np.abs(unseen).mean() < 1.0
    assert np.percentile(np.abs(unseen), 99) <= 3


def test_before_the_smoke_comes_the_person_is_there_for_both(scene, without_hidden):
    # Arms and legs against the wall behind, at the very start.
    with_person, without = scene.frame(0)[1], without_hidden.frame(0)[1]
    changed = within(with_person.astype(float), HIDDEN, 0) - within(without, HIDDEN, 0)
    assert np.abs(changed).mean() > 5


def test_the_sample_bag_holds_both_cameras_with_their_infos(tmp_path):
    write_sample_bag(tmp_path / 'scene.mcap', duration_s=0.2)
    with BagReader(tmp_path / 'scene.mcap') as bag:
        topics = bag.image_topics()
        assert guess_topics(topics) == ('/thermal/image_raw', '/visible/image_raw')
        assert {topic.encoding for topic in topics} == {'mono16', 'rgb8'}
        assert bag.counts == dict.fromkeys(
            (
                f'/{name}/{kind}'
                for name in ('visible', 'thermal')
                for kind in ('image_raw', 'camera_info')
            ),
            6,
        )
        images = list(bag.images([topic.name for topic in topics]))
    visible = [image.stamp_ns for topic, image in images if 'visible' in topic]
    thermal = [image.stamp_ns for topic, image in images if 'thermal' in topic]
    assert np.allclose(np.diff(visible), 1e9 / 30, atol=1)
    assert np.allclose(np.subtract(thermal, visible), 6e6, atol=2e6)
