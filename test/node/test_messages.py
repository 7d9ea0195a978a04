"""Messages to frames and back, without a node."""

from array import array
import sys
from types import SimpleNamespace
from typing import Any

from ir_vis_fusion.errors import EncodingError
from ir_vis_fusion.types import FusedFrame, PixelEncoding, Role, ThermalState
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros

K = [100.0, 0.0, 32.0, 0.0, 200.0, 48.0, 0.0, 0.0, 1.0]
P = [100.0, 0.0, 32.0, -10.0, 0.0, 200.0, 48.0, 0.0, 0.0, 0.0, 1.0, 0.0]


@pytest.fixture(autouse=True)
def no_cv_bridge(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every test without knowing whether cv_bridge is there."""
    from ir_vis_fusion.node.messages import cv_bridge

    cv_bridge.cache_clear()
    yield
    cv_bridge.cache_clear()


def header(stamp_ns: int = 1_500_000_007, frame_id: str = 'visible') -> Any:
    from std_msgs.msg import Header

    message = Header(frame_id=frame_id)
    message.stamp.sec, message.stamp.nanosec = divmod(stamp_ns, 10**9)
    return message


def scaled(fused_height: int, fused_width: int, **facts: Any) -> Any:
    from ir_vis_fusion.node.messages import camera_info_for
    from sensor_msgs.msg import CameraInfo

    facts = {'width': 64, 'height': 96, 'k': K, 'p': P} | facts
    return camera_info_for(CameraInfo(**facts), header(), fused_height, fused_width)


def test_a_raw_message_becomes_a_view_with_stamp_and_frame_id(helpers: SimpleNamespace) -> None:
    from ir_vis_fusion.node.messages import frame_from

    message = helpers.image(helpers.THERMAL, 'mono16')
    message.header = header(frame_id='thermal')

    frame = frame_from(message, Role.THERMAL)

    assert (frame.stamp_ns, frame.frame_id) == (1_500_000_007, 'thermal')
    np.testing.assert_array_equal(frame.image, helpers.THERMAL)
    assert np.shares_memory(frame.image, np.frombuffer(message.data, np.uint8))


def test_a_fused_frame_becomes_a_message_with_the_header_of_the_visible_one() -> None:
    from ir_vis_fusion.node.messages import image_from

    pixels = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)[:, ::-1]
    fused = FusedFrame(pixels, PixelEncoding.BGR8, 0, '', 0, ThermalState.LIVE)

    message = image_from(fused, header())

    assert message.header == header()
    assert (message.height, message.width, message.step) == (2, 3, 9)
    assert (message.encoding, message.is_bigendian) == ('bgr8', 0)
    assert isinstance(message.data, array)
    assert bytes(message.data) == pixels.tobytes()


def test_camera_info_of_the_same_size_changes_nothing_but_the_header() -> None:
    info = scaled(96, 64)

    assert list(info.k) == K
    assert list(info.p) == P
    assert info.header == header()


def test_camera_info_is_scaled_with_the_image() -> None:
    # Half the width, a quarter of the height: x terms times 1/2, y terms times 1/4.
    info = scaled(24, 32, d=[0.1, 0.2], distortion_model='plumb_bob')

    assert (info.height, info.width) == (24, 32)
    assert list(info.k) == [50, 0, 16, 0, 50, 12, 0, 0, 1]
    assert list(info.p) == [50, 0, 16, -5, 0, 50, 12, 0, 0, 0, 1, 0]
    assert list(info.d) == [0.1, 0.2]
    assert info.distortion_model == 'plumb_bob'


def test_binning_and_region_of_interest_are_worked_into_the_matrices() -> None:
    from sensor_msgs.msg import RegionOfInterest

    # The right lower quarter of 64 x 96, binned by 2: 16 x 24 pixels.
    roi = RegionOfInterest(x_offset=32, y_offset=48, width=32, height=48)
    info = scaled(24, 16, roi=roi, binning_x=2, binning_y=2)

    assert list(info.k) == [50, 0, 0, 0, 100, 0, 0, 0, 1]
    assert (info.binning_x, info.roi.width) == (0, 0)
    assert (info.height, info.width) == (24, 16)


def test_camera_info_without_a_size_or_calibration_is_passed_on() -> None:
    assert list(scaled(24, 32, width=0, height=0).k) == K
    assert list(scaled(24, 32, k=[0.0] * 9).k) == [0.0] * 9


class FakeBridge:
    """Stands for cv_bridge: knows bayer_rggb16, fails on all else."""

    class CvBridgeError(TypeError):
        pass

    class CvBridge:
        def imgmsg_to_cv2(self, message: Any, encoding: str) -> np.ndarray:
            if message.encoding != 'bayer_rggb16':
                raise FakeBridge.CvBridgeError('unknown')
            return np.full((message.height, message.width, 3), 7, np.uint8)


def test_cv_bridge_decodes_what_is_not_a_plain_view_where_it_is_there(
    helpers: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ir_vis_fusion.node.messages import frame_from

    monkeypatch.setitem(sys.modules, 'cv_bridge', FakeBridge)
    message = helpers.image(np.zeros((4, 6), np.uint16), 'bayer_rggb16')

    frame = frame_from(message, Role.VISIBLE)

    assert frame.encoding is PixelEncoding.RGB8
    assert frame.image.shape == (4, 6, 3)
    assert frame.image.max() == 7


def test_where_cv_bridge_fails_our_decoder_takes_over_or_names_the_fault(
    helpers: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ir_vis_fusion.node.messages import frame_from

    monkeypatch.setitem(sys.modules, 'cv_bridge', FakeBridge)
    bayer = helpers.image(np.full((4, 6), 9, np.uint8), 'bayer_rggb8')

    assert frame_from(bayer, Role.VISIBLE).image.max() == 9
    with pytest.raises(EncodingError, match='rgb9'):
        frame_from(helpers.image(np.zeros((4, 18), np.uint8), 'rgb9'), Role.VISIBLE)


def test_a_cv_bridge_that_breaks_at_import_counts_as_not_there(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ir_vis_fusion.node.messages import cv_bridge

    (tmp_path / 'cv_bridge.py').write_text("raise AttributeError('_ARRAY_API not found')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, 'cv_bridge', raising=False)

    assert cv_bridge() is None
