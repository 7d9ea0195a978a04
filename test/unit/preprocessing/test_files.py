"""Compressed messages and image files."""

import cv2
from ir_vis_fusion.errors import EncodingError
from ir_vis_fusion.preprocessing.encodings import decode, encode_png, read_image, write_image
from ir_vis_fusion.types import CompressedImage, PixelEncoding, Role
import numpy as np
import pytest

RNG = np.random.default_rng(0)
GRAY8 = RNG.integers(0, 256, (12, 16), dtype=np.uint8)
GRAY16 = RNG.integers(0, 65536, (12, 16), dtype=np.uint16)
COLOR8 = RNG.integers(0, 256, (12, 16, 3), dtype=np.uint8)
SMOOTH = np.dstack([np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))] * 3) // [1, 2, 4]
SMOOTH = SMOOTH.astype(np.uint8)


def rgb(frame):
    return frame.image[..., ::-1] if frame.encoding is PixelEncoding.BGR8 else frame.image


def compressed(image, suffix='.png', text='png'):
    """Encode with OpenCV itself (its order is BGR), not with the code under test."""
    image = image[..., [2, 1, 0, *range(3, image.shape[2])]] if image.ndim == 3 else image
    return CompressedImage(text, cv2.imencode(suffix, image)[1].tobytes(), 5, 'cam')


def test_a_16_bit_png_stays_16_bit():
    frame = decode(compressed(GRAY16, text='mono16; png compressed'), Role.THERMAL)
    np.testing.assert_array_equal(frame.image, GRAY16)
    assert frame.encoding is PixelEncoding.MONO16
    assert (frame.stamp_ns, frame.frame_id) == (5, 'cam')


def test_an_8_bit_png_keeps_its_pixels_in_both_roles():
    np.testing.assert_array_equal(decode(compressed(GRAY8), Role.THERMAL).image, GRAY8)
    np.testing.assert_array_equal(rgb(decode(compressed(COLOR8), Role.VISIBLE)), COLOR8)
    gray = decode(compressed(GRAY8), Role.VISIBLE)
    np.testing.assert_array_equal(gray.image, np.repeat(GRAY8[..., None], 3, 2))


def test_alpha_of_a_png_is_dropped():
    with_alpha = np.dstack([COLOR8, GRAY8])
    np.testing.assert_array_equal(rgb(decode(compressed(with_alpha), Role.VISIBLE)), COLOR8)


def test_16_bit_colour_becomes_8_bit_for_visible_and_16_bit_luminance_for_thermal():
    color16 = COLOR8.astype(np.uint16) * 257
    np.testing.assert_array_equal(rgb(decode(compressed(color16), Role.VISIBLE)), COLOR8)
    gray = decode(compressed(color16), Role.THERMAL)
    assert gray.encoding is PixelEncoding.MONO16
    np.testing.assert_allclose(gray.image, color16 @ [0.299, 0.587, 0.114], atol=4)


def test_a_jpeg_has_its_colours_in_the_right_order():
    frame = decode(compressed(SMOOTH, '.jpg', 'rgb8; jpeg compressed bgr8'), Role.VISIBLE)
    np.testing.assert_allclose(rgb(frame), SMOOTH, atol=12)
    gray = decode(compressed(SMOOTH[..., 0], '.jpg', 'jpeg'), Role.THERMAL)
    np.testing.assert_allclose(gray.image, SMOOTH[..., 0], atol=4)


@pytest.mark.parametrize('pattern', ['rggb', 'bggr', 'gbrg', 'grbg'])
def test_a_compressed_mosaic_named_in_the_format_becomes_colour(pattern):
    four = [(200, 100, 50)['rgb'.index(letter)] for letter in pattern]
    mosaic = np.tile(np.array(four, np.uint8).reshape(2, 2), (6, 8))
    frame = decode(compressed(mosaic, text=f'bayer_{pattern}8; png compressed'), Role.VISIBLE)
    np.testing.assert_array_equal(rgb(frame), np.broadcast_to([200, 100, 50], (12, 16, 3)))


def test_bytes_after_the_end_of_a_jpeg_do_no_harm():
    image = compressed(SMOOTH, '.jpg')
    padded = CompressedImage('jpeg', image.data + bytes(500))
    np.testing.assert_array_equal(
        decode(padded, Role.VISIBLE).image, decode(image, Role.VISIBLE).image
    )


@pytest.mark.parametrize('suffix', ['.png', '.jpg'])
@pytest.mark.parametrize('share', [0.1, 0.5, 0.95])
def test_a_cut_png_or_jpeg_is_truncated(suffix, share):
    image = compressed(SMOOTH, suffix)
    cut = CompressedImage('', image.data[: int(share * len(image.data))])
    with pytest.raises(EncodingError, match='ends within the picture') as caught:
        decode(cut, Role.VISIBLE)
    assert caught.value.kind == 'truncated'


@pytest.mark.parametrize('data', [b'hello', bytes(1000), b'\x89PNG\r\n\x1a\nIEND\xaeB`\x82'])
def test_data_that_is_no_image_is_undecodable(data):
    with pytest.raises(EncodingError, match="format 'png'") as caught:
        decode(CompressedImage('png', data), Role.THERMAL)
    assert caught.value.kind == 'undecodable'


def test_a_compressed_image_without_data_is_empty():
    with pytest.raises(EncodingError) as caught:
        decode(CompressedImage('jpeg', b''), Role.VISIBLE)
    assert caught.value.kind == 'empty'


@pytest.mark.parametrize('suffix', ['.png', '.bmp', '.tiff'])
def test_files_come_back_as_they_were_written(tmp_path, suffix):
    path = tmp_path / f'Wärme{suffix}'
    write_image(path, COLOR8)
    np.testing.assert_array_equal(rgb(read_image(path, Role.VISIBLE)), COLOR8)
    write_image(path, GRAY8)
    np.testing.assert_array_equal(read_image(path, Role.THERMAL).image, GRAY8)


@pytest.mark.parametrize('suffix', ['.png', '.tif'])
def test_16_bit_files_keep_their_depth(tmp_path, suffix):
    write_image(tmp_path / f'a{suffix}', GRAY16)
    np.testing.assert_array_equal(read_image(tmp_path / f'a{suffix}', Role.THERMAL).image, GRAY16)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_a_float_tiff_is_read_as_float32(tmp_path, dtype):
    kelvin = RNG.normal(300, 10, (12, 16)).astype(dtype)
    write_image(tmp_path / 'kelvin.tiff', kelvin)
    frame = read_image(tmp_path / 'kelvin.tiff', Role.THERMAL)
    assert frame.encoding is PixelEncoding.FLOAT32
    np.testing.assert_array_equal(frame.image, kelvin.astype(np.float32))


def test_encode_png_takes_rgb_and_mono():
    for image in (COLOR8, GRAY8, GRAY16):
        stored = cv2.imdecode(np.frombuffer(encode_png(image), np.uint8), cv2.IMREAD_UNCHANGED)
        np.testing.assert_array_equal(stored[..., ::-1] if image.ndim == 3 else stored, image)


def test_a_missing_or_damaged_file_is_named(tmp_path):
    with pytest.raises(EncodingError, match=r'none\.png: no such file') as caught:
        read_image(tmp_path / 'none.png', Role.VISIBLE)
    assert caught.value.kind == 'file'
    (tmp_path / 'bad.png').write_bytes(b'no picture')
    with pytest.raises(EncodingError, match=r'bad\.png: 10 bytes') as caught:
        read_image(tmp_path / 'bad.png', Role.VISIBLE)
    assert caught.value.kind == 'undecodable'


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(EncodingError, match=r"as '\.xyz'; use \.png"):
        write_image(tmp_path / 'a.xyz', COLOR8)
    with pytest.raises(EncodingError, match='cannot be written: No such file'):
        write_image(tmp_path / 'missing' / 'a.png', COLOR8)
