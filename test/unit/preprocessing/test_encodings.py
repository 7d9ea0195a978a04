"""Raw messages: every encoding, either byte order, padded rows, and what is refused."""

import array

from ir_vis_fusion.errors import EncodingError
from ir_vis_fusion.preprocessing.encodings import decode, FAST_ENCODINGS, SUPPORTED_ENCODINGS
from ir_vis_fusion.types import PixelEncoding, RawImage, Role
import numpy as np
import pytest

HEIGHT, WIDTH = 6, 8
COLOR = np.array([200, 100, 50], np.uint8)
SAMPLES = {
    'mono8': ('u1', 1),
    '8UC1': ('u1', 1),
    'mono16': ('u2', 1),
    '16UC1': ('u2', 1),
    '32FC1': ('f4', 1),
    'rgb8': ('u1', 3),
    'bgr8': ('u1', 3),
    '8UC3': ('u1', 3),
    'rgba8': ('u1', 4),
    'bgra8': ('u1', 4),
}
endians = pytest.mark.parametrize('is_bigendian', [False, True])
paddings = pytest.mark.parametrize('padding', [0, 1, 12])


def message(rows, encoding, is_bigendian=False, padding=0, size=(HEIGHT, WIDTH), stamp_ns=0):
    """Pack rows of samples as a camera would; padding bytes are 255 to be noticed."""
    rows = np.ascontiguousarray(rows)
    rows = rows.astype(rows.dtype.newbyteorder('>' if is_bigendian else '<'))
    rows = rows.reshape(rows.shape[0], -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)), constant_values=255)
    data = array.array('B', rows.tobytes())
    height, width = size
    return RawImage(height, width, encoding, is_bigendian, rows.shape[1], data, stamp_ns, 'cam')


def pixels_of(encoding):
    dtype, channels = SAMPLES[encoding]
    generator = np.random.default_rng(0)
    if dtype == 'f4':
        return generator.normal(300, 20, (HEIGHT, WIDTH, 1)).astype(np.float32)
    largest = np.iinfo(dtype).max
    return generator.integers(0, largest, (HEIGHT, WIDTH, channels), dtype, endpoint=True)


def test_the_fast_encodings_are_those_that_are_views():
    assert set(SAMPLES) == FAST_ENCODINGS
    assert FAST_ENCODINGS < SUPPORTED_ENCODINGS


@endians
@paddings
@pytest.mark.parametrize('encoding', ['mono8', '8UC1', 'mono16', '16UC1', '32FC1'])
def test_thermal_mono_keeps_its_values_in_native_byte_order(encoding, padding, is_bigendian):
    pixels = pixels_of(encoding)
    frame = decode(message(pixels, encoding, is_bigendian, padding, stamp_ns=7), Role.THERMAL)
    np.testing.assert_array_equal(frame.image, pixels[..., 0])
    assert frame.image.dtype.isnative
    assert frame.image.flags.aligned
    assert frame.encoding.value == {'8UC1': 'mono8', '16UC1': 'mono16'}.get(encoding, encoding)
    assert (frame.stamp_ns, frame.frame_id) == (7, 'cam')


@endians
@paddings
@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', '8UC3', 'rgba8', 'bgra8'])
def test_visible_colour_is_a_view_of_the_message_without_alpha(encoding, padding, is_bigendian):
    pixels = pixels_of(encoding)
    raw = message(pixels, encoding, is_bigendian, padding)
    frame = decode(raw, Role.VISIBLE)
    np.testing.assert_array_equal(frame.image, pixels[..., :3])
    assert np.shares_memory(frame.image, np.frombuffer(raw.data, np.uint8))
    assert frame.image.flags.writeable
    blue_first = encoding in ('bgr8', '8UC3', 'bgra8')
    assert frame.encoding is (PixelEncoding.BGR8 if blue_first else PixelEncoding.RGB8)


@endians
@paddings
@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', '8UC3', 'rgba8', 'bgra8'])
def test_thermal_colour_becomes_luminance(encoding, padding, is_bigendian):
    pixels = pixels_of(encoding)
    frame = decode(message(pixels, encoding, is_bigendian, padding), Role.THERMAL)
    weights = np.array([0.299, 0.587, 0.114])
    weights = weights[::-1] if encoding in ('bgr8', '8UC3', 'bgra8') else weights
    assert frame.encoding is PixelEncoding.MONO8
    np.testing.assert_allclose(frame.image, pixels[..., :3] @ weights, atol=0.51)


@endians
@paddings
@pytest.mark.parametrize('encoding', ['mono8', '8UC1', 'mono16', '16UC1'])
def test_visible_mono_becomes_three_equal_8_bit_channels(encoding, padding, is_bigendian):
    pixels = pixels_of(encoding)
    pixels.flat[:3] = np.iinfo(pixels.dtype).max, 0, 128
    frame = decode(message(pixels, encoding, is_bigendian, padding), Role.VISIBLE)
    expected = np.round(pixels / (257 if pixels.dtype == np.uint16 else 1))
    assert (frame.encoding, frame.image.dtype) == (PixelEncoding.RGB8, np.uint8)
    np.testing.assert_array_equal(frame.image, np.repeat(expected, 3, axis=2))


@pytest.mark.parametrize('encoding', ['mono8', 'mono16', '32FC1'])
def test_thermal_mono_in_native_order_is_a_view_of_the_message(encoding):
    raw = message(pixels_of(encoding), encoding, padding=4)
    frame = decode(raw, Role.THERMAL)
    assert np.shares_memory(frame.image, np.frombuffer(raw.data, np.uint8))


def test_a_view_of_bytes_is_read_only():
    raw = RawImage(1, 2, 'rgb8', False, 6, bytes(range(6)))
    assert not decode(raw, Role.VISIBLE).image.flags.writeable


def yuv_rows(encoding, y, u, v):
    """One colour as the rows of a YUV image."""
    if encoding == 'nv12':
        chroma = np.tile(np.array([u, v], np.uint8), (HEIGHT // 2, WIDTH // 2))
        return np.vstack([np.full((HEIGHT, WIDTH), y, np.uint8), chroma])
    four = [u, y, v, y] if encoding in ('yuv422', 'uyvy') else [y, u, y, v]
    return np.tile(np.array(four, np.uint8), (HEIGHT, WIDTH // 2))


@endians
@paddings
@pytest.mark.parametrize('encoding', ['yuv422', 'uyvy', 'yuv422_yuy2', 'yuyv', 'nv12'])
@pytest.mark.parametrize(
    ('yuv', 'rgb'),
    [
        # BT.601 studio range: its black, white, and pure red, green and blue.
        ((16, 128, 128), (0, 0, 0)),
        ((235, 128, 128), (255, 255, 255)),
        ((81, 90, 240), (255, 0, 0)),
        ((145, 54, 34), (0, 255, 0)),
        ((41, 240, 110), (0, 0, 255)),
    ],
)
def test_yuv_becomes_rgb(encoding, yuv, rgb, padding, is_bigendian):
    rows = yuv_rows(encoding, *yuv)
    frame = decode(message(rows, encoding, is_bigendian, padding), Role.VISIBLE)
    assert frame.encoding is PixelEncoding.RGB8
    assert frame.image.shape == (HEIGHT, WIDTH, 3)
    np.testing.assert_allclose(frame.image, np.broadcast_to(rgb, frame.image.shape), atol=2)
    gray = decode(message(rows, encoding, is_bigendian, padding), Role.THERMAL)
    np.testing.assert_allclose(gray.image, np.dot(rgb, [0.299, 0.587, 0.114]), atol=2)


@pytest.mark.parametrize('encoding', ['yuv422', 'yuv422_yuy2', 'nv12'])
def test_yuv_keeps_every_pixel_in_its_place(encoding):
    rows = yuv_rows(encoding, 16, 128, 128)
    y = rows[:HEIGHT] if encoding == 'nv12' else rows[:, encoding == 'yuv422' :: 2]
    ramp = np.arange(16, 16 + HEIGHT * WIDTH, dtype=np.uint8).reshape(HEIGHT, WIDTH)
    y[:] = ramp
    frame = decode(message(rows, encoding), Role.VISIBLE)
    expected = (ramp - 16.0) * 255 / 219
    np.testing.assert_allclose(frame.image, np.repeat(expected[..., None], 3, 2), atol=1)


@endians
@paddings
@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_a_bayer_mosaic_named_by_its_first_two_rows_becomes_its_colour(
    pattern, padding, is_bigendian
):
    four = [COLOR['rgb'.index(letter)] for letter in pattern]
    mosaic = np.tile(np.array(four, np.uint8).reshape(2, 2), (HEIGHT // 2, WIDTH // 2))
    raw = message(mosaic, f'bayer_{pattern}8', is_bigendian, padding)
    frame = decode(raw, Role.VISIBLE)
    assert frame.encoding is PixelEncoding.RGB8
    np.testing.assert_array_equal(frame.image, np.broadcast_to(COLOR, (HEIGHT, WIDTH, 3)))
    np.testing.assert_array_equal(decode(raw, Role.THERMAL).image, 124)  # 0.299 R + ...


def refuse(raw, role=Role.VISIBLE):
    with pytest.raises(EncodingError) as caught:
        decode(raw, role)
    return caught.value.kind, str(caught.value)


@pytest.mark.parametrize('encoding', sorted(SUPPORTED_ENCODINGS))
@pytest.mark.parametrize('size', [(0, WIDTH), (HEIGHT, 0), (0, 0)])
def test_an_image_without_pixels_is_empty(encoding, size):
    kind, text = refuse(RawImage(*size, encoding, False, 64, b''))
    assert kind == 'empty'
    assert f'{size[1]}x{size[0]}' in text


@pytest.mark.parametrize('encoding', sorted(SUPPORTED_ENCODINGS))
def test_too_little_data_or_a_short_step_is_truncated(encoding):
    rows = HEIGHT * 3 // 2 if encoding == 'nv12' else HEIGHT
    step = WIDTH * 4
    enough = bytes(rows * step)
    decode(RawImage(HEIGHT, WIDTH, encoding, False, step, enough), Role.THERMAL)
    for data in (b'', enough[: (rows - 1) * step]):
        kind, text = refuse(RawImage(HEIGHT, WIDTH, encoding, False, step, data))
        assert kind == 'truncated'
        assert f'holds {len(data)} bytes' in text
    kind, text = refuse(RawImage(HEIGHT, WIDTH, encoding, False, WIDTH - 1, enough))
    assert kind == 'truncated'
    assert 'step 7' in text


def test_a_height_from_a_damaged_header_is_truncated_and_allocates_nothing():
    kind, _ = refuse(RawImage(2**32 - 1, 2**32 - 1, 'rgb8', False, 2**32 - 1, b'123'))
    assert kind == 'truncated'


def test_the_last_row_may_lack_its_padding():
    pixels = pixels_of('rgb8')
    raw = message(pixels, 'rgb8', padding=8)
    short = RawImage(HEIGHT, WIDTH, 'rgb8', False, raw.step, raw.data[:-8])
    np.testing.assert_array_equal(decode(short, Role.VISIBLE).image, pixels)


@pytest.mark.parametrize(
    ('encoding', 'near'), [('RGB8', 'rgb8'), ('mono_16', 'mono16'), ('32fc1', '32FC1')]
)
def test_an_unknown_encoding_is_named_with_the_nearest_and_all_supported(encoding, near):
    kind, text = refuse(RawImage(HEIGHT, WIDTH, encoding, False, 64, bytes(999)))
    assert kind == 'unknown_encoding'
    assert f'encoding {encoding!r}' in text
    assert f'did you mean {near!r}?' in text
    assert 'bayer_rggb8' in text


def test_odd_sides_are_refused_where_chroma_is_shared():
    assert refuse(RawImage(4, 5, 'yuv422', False, 10, bytes(40)))[0] == 'undecodable'
    assert refuse(RawImage(5, 4, 'nv12', False, 4, bytes(40)))[0] == 'undecodable'


def test_float_pixels_cannot_be_a_visible_image():
    kind, text = refuse(message(pixels_of('32FC1'), '32FC1'))
    assert kind == 'channels'
    assert 'exchanged' in text
