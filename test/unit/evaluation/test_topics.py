"""Topics: names decide, then encodings; what cannot be told is asked for."""

from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.topics import guess_mode, guess_topics, ImageTopic
import pytest

RAW, PACKED = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'


def topics(*names):
    """Make topics of names such as ``/a/image:mono16``; ``/compressed`` makes them packed."""
    found = []
    for name, _, encoding in (text.partition(':') for text in names):
        found.append(ImageTopic(name, PACKED if 'compressed' in name else RAW, 9, encoding))
    return found


@pytest.mark.parametrize(
    ('names', 'thermal', 'visible'),
    [
        (['/thermal/image_raw', '/visible/image_raw'], 0, 1),
        (['/rgb/image', '/ir/image'], 1, 0),
        (['/flir_boson/image16', '/camera/image_raw'], 0, 1),
        (['/camera/color/image_raw:rgb8', '/camera/infra1/image_rect_raw:mono8'], 1, 0),
        (['/cam0/image_raw:mono16', '/cam1/image_raw:bayer_rggb8'], 0, 1),
        (['/cam0/image_raw:mono8', '/cam1/image_raw:16UC1'], 1, 0),
        (['/lepton/image:rgb8', '/usb_cam/image_raw:rgb8'], 0, 1),
        (['/thermalCamera/image_raw', '/rgbCamera/image_raw'], 0, 1),
        (['/thermal_left/image_raw', '/left/image_raw:mono8'], 0, 1),
        (['/thermal/image:mono16', '/depth/image:16UC1', '/color/image:rgb8'], 0, 2),
        (['/thermal/image_raw/compressed', '/thermal/image_raw', '/rgb/image_raw'], 1, 2),
        (['/ir/compressed:mono16; png', '/front/compressed:rgb8; jpeg compressed bgr8'], 0, 1),
        (['/thermal/preview:rgb8', '/thermal/image_raw:mono16', '/vis/image'], 1, 2),
        (['/thermal/image', '/visible/image', '/fused/image'], 0, 1),
        (['/first/image', '/air/lwir'], 1, 0),
    ],
)
def test_topics_are_told_by_name_and_encoding(names, thermal, visible):
    found = topics(*names)
    assert guess_topics(found) == (found[thermal].name, found[visible].name)


@pytest.mark.parametrize(
    ('names', 'message'),
    [
        (['/cam0/image:mono8', '/cam1/image:mono8'], 'thermal topic .none looks like it'),
        (['/infra1/image', '/infra2/image', '/rgb/image'], 'thermal topic .2 look alike'),
        (['/thermal/image', '/front/image', '/rear/image'], 'visible topic .2 look alike'),
        (['/thermal/image'], 'visible topic .none looks like it'),
        ([], 'image topics: none'),
    ],
)
def test_what_cannot_be_told_is_asked_for_with_the_list_of_topics(names, message):
    with pytest.raises(EvaluationError, match=message) as caught:
        guess_topics(topics(*names))
    assert all(name.partition(':')[0] in str(caught.value) for name in names)


def test_names_that_are_given_win():
    found = topics('/thermal/image', '/rgb/image', '/other/image')
    assert guess_topics(found, thermal='/other/image') == ('/other/image', '/rgb/image')
    assert guess_topics(found, visible='/other/image') == ('/thermal/image', '/other/image')
    assert guess_topics(topics('/a', '/b'), '/b', '/a') == ('/b', '/a')


@pytest.mark.parametrize(
    ('thermal', 'visible', 'mode'),
    [(300, 300, 'both_new'), (90, 300, 'hold_thermal'), (300, 150, 'both_new')],
)
def test_a_thermal_camera_much_the_slower_one_is_held(thermal, visible, mode):
    assert guess_mode(thermal, visible) == mode


def test_the_name_of_a_raw_topic_stands_for_its_compressed_one():
    found = topics('/a/compressed', '/b')
    assert guess_topics(found, '/a', '/b') == ('/a/compressed', '/b')


def test_a_name_that_is_not_there_is_named():
    with pytest.raises(EvaluationError, match=r"no image topic '/x'; image topics: /a \(Image"):
        guess_topics(topics('/a', '/b'), thermal='/x')


def test_one_topic_cannot_be_both():
    with pytest.raises(EvaluationError, match="both '/a'"):
        guess_topics(topics('/a', '/b'), '/a', '/a')
