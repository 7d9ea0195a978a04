"""Rows of telemetry are found and cut off, and nothing else is."""

from ir_vis_fusion.config import ThermalSettings
from ir_vis_fusion.errors import EncodingError
from ir_vis_fusion.preprocessing.telemetry import TelemetryCrop
from ir_vis_fusion.types import Frame, PixelEncoding
import numpy as np
import pytest

HEIGHTS = [(514, 640), (258, 320), (122, 160)]


def with_telemetry(height, width, top, rows=2, seed=0):
    """Return a frame whose telemetry has a counter, a serial number and zeros, and its picture."""
    generator = np.random.default_rng(seed)
    ramp = np.linspace(29_000, 30_000, height - rows)[:, None]
    picture = (ramp + generator.normal(0, 5, (height - rows, width))).astype(np.uint16)
    lines = np.zeros((rows, width), np.uint16)
    lines[0, :12] = generator.integers(0, 65_536, 12)
    image = np.concatenate([lines, picture] if top else [picture, lines])
    return Frame(image, PixelEncoding.MONO16, 5, 'thermal'), picture


@pytest.mark.parametrize(('height', 'width'), HEIGHTS)
@pytest.mark.parametrize('top', [True, False])
def test_two_rows_of_known_heights_are_cut_from_the_side_they_are_on(height, width, top):
    frame, picture = with_telemetry(height, width, top)
    crop = TelemetryCrop(ThermalSettings())
    cropped = crop.crop(frame)
    np.testing.assert_array_equal(cropped.image, picture)
    assert (cropped.stamp_ns, cropped.frame_id, crop.rows) == (5, 'thermal', 2)
    assert np.shares_memory(cropped.image, frame.image)


def test_the_side_is_decided_by_the_first_image():
    crop = TelemetryCrop(ThermalSettings())
    crop.crop(with_telemetry(122, 160, top=False)[0])
    plain = np.arange(122 * 160, dtype=np.uint16).reshape(122, 160)
    cropped = crop.crop(Frame(plain, PixelEncoding.MONO16)).image
    np.testing.assert_array_equal(cropped, plain[:-2])


def test_a_side_that_is_set_is_taken():
    frame, _ = with_telemetry(122, 160, top=True)
    cropped = TelemetryCrop(ThermalSettings(crop_from='bottom')).crop(frame)
    np.testing.assert_array_equal(cropped.image, frame.image[:-2])


def test_rows_that_are_set_are_cut_from_any_height():
    """InfiRay's stack: a picture for people above the temperatures."""
    frame = Frame(np.arange(384 * 256, dtype=np.uint16).reshape(384, 256), PixelEncoding.MONO16)
    cropped = TelemetryCrop(ThermalSettings(crop_rows=192, crop_from='top')).crop(frame)
    np.testing.assert_array_equal(cropped.image, frame.image[192:])


@pytest.mark.parametrize(('rows', 'height'), [(-1, 512), (-1, 480), (0, 514)])
def test_other_images_are_left_as_they_are(rows, height):
    frame = Frame(np.zeros((height, 640), np.uint16), PixelEncoding.MONO16)
    crop = TelemetryCrop(ThermalSettings(crop_rows=rows))
    assert crop.crop(frame) is frame
    assert crop.rows == 0


def test_float_telemetry_with_nan_is_found_too():
    frame, _ = with_telemetry(122, 160, top=False)
    image = frame.image.astype(np.float32)
    image[0, :5] = np.nan
    cropped = TelemetryCrop(ThermalSettings()).crop(Frame(image, PixelEncoding.FLOAT32))
    assert cropped.image.shape == (120, 160)
    assert np.isnan(cropped.image[0, 0])


def test_a_crop_that_leaves_nothing_is_told_with_the_parameter():
    frame = Frame(np.zeros((8, 8), np.uint16), PixelEncoding.MONO16)
    with pytest.raises(EncodingError, match='thermal.crop_rows is 8, but .* has 8 rows'):
        TelemetryCrop(ThermalSettings(crop_rows=8)).crop(frame)
