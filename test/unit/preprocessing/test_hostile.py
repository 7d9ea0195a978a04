"""Images that claim more than they hold, or more than any camera sends."""

import struct
import tracemalloc
import zlib

import cv2
from ir_vis_fusion.errors import EncodingError
from ir_vis_fusion.preprocessing.encodings import decode, read_image
from ir_vis_fusion.preprocessing.headers import MAX_PIXELS, MAX_SIDE, read_header
from ir_vis_fusion.types import CompressedImage, RawImage, Role
import numpy as np
import pytest

MIB = 2**20
GRAY = np.random.default_rng(0).integers(0, 256, (12, 16), dtype=np.uint8)


def refuse(data: bytes, role: Role = Role.THERMAL) -> EncodingError:
    """Decode and return the error; fail where that took more than 1 MiB beside the data."""
    tracemalloc.start()
    try:
        with pytest.raises(EncodingError) as caught:
            decode(CompressedImage('', data), role)
        assert tracemalloc.get_traced_memory()[1] < MIB + 2 * len(data)
    finally:
        tracemalloc.stop()
    return caught.value


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def png(height: int, width: int, depth: int = 8, color: int = 0, data: bytes = b'') -> bytes:
    header = struct.pack('>IIBBBBB', width, height, depth, color, 0, 0, 0)
    parts = (chunk(b'IHDR', header), chunk(b'IDAT', zlib.compress(data, 9)), chunk(b'IEND', b''))
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


def jpeg(height: int, width: int) -> bytes:
    """Return a JPEG whose header claims another size than it has."""
    data = bytearray(cv2.imencode('.jpg', GRAY)[1].tobytes())
    frame = data.index(b'\xff\xc0')
    data[frame + 5 : frame + 9] = struct.pack('>HH', height, width)
    return bytes(data)


@pytest.mark.parametrize('size', [(2**31 - 1, 2**31 - 1), (MAX_SIDE + 1, 1), (8192, 8192)])
def test_a_png_that_claims_too_many_pixels_is_refused_by_its_header(size):
    error = refuse(png(*size))
    assert error.kind == 'too_large'
    assert f'PNG image of {size[1]}x{size[0]}' in str(error)


def test_a_jpeg_that_claims_too_many_pixels_is_refused_by_its_header():
    assert refuse(jpeg(65535, 65535)).kind == 'too_large'


def test_a_png_that_claims_more_than_deflate_can_hold_is_refused():
    error = refuse(png(4000, 8000, 16, 6))
    assert error.kind == 'truncated'
    assert 'claims to hold more than its' in str(error)


def test_a_png_chunk_that_claims_four_gigabytes_is_refused():
    """Found by the fuzz: OpenCV 5.0 took the memory, and half a minute, for 655 bytes."""
    data = cv2.imencode('.png', GRAY)[1].tobytes()
    start = data.index(b'IDAT') - 4
    assert refuse(data[:start] + b'\xff' + data[start + 1 :]).kind == 'truncated'


def test_a_jpeg_that_claims_more_than_a_bit_a_block_is_refused():
    assert refuse(jpeg(4000, 8000)).kind == 'truncated'


def test_a_black_picture_of_the_largest_size_is_decoded():
    """The bound on what data can hold must not meet the flattest of real pictures."""
    black = np.zeros((4096, 8192), np.uint8)
    assert black.size == MAX_PIXELS
    for suffix, quality in (('.png', (cv2.IMWRITE_PNG_COMPRESSION, 9)), ('.jpg', ())):
        data = cv2.imencode(suffix, black, quality)[1].tobytes()
        assert not decode(CompressedImage('', data), Role.THERMAL).image.any()


def test_a_jpeg_of_a_thousand_scans_is_refused():
    data = cv2.imencode('.jpg', GRAY, (cv2.IMWRITE_JPEG_PROGRESSIVE, 1))[1].tobytes()
    scan = data.rindex(b'\xff\xda')
    error = refuse(data[:-2] + 1000 * data[scan:-2] + b'\xff\xd9')
    assert error.kind == 'undecodable'
    assert 'at most 64' in str(error)


@pytest.mark.parametrize('suffix', ['.bmp', '.tiff', '.webp', '.ppm', '.avif', '.gif'])
def test_only_png_and_jpeg_come_over_the_wire(suffix):
    done, data = cv2.imencode(suffix, np.dstack([GRAY] * 3))
    assert done
    error = refuse(data.tobytes())
    assert error.kind == 'undecodable'
    assert 'are not PNG or JPEG' in str(error)


def test_files_may_be_bmp_and_tiff_but_nothing_further(tmp_path):
    for suffix in ('.bmp', '.tiff'):
        cv2.imwrite(str(tmp_path / f'a{suffix}'), GRAY)
        assert read_image(tmp_path / f'a{suffix}', Role.THERMAL).image.shape == GRAY.shape
    webp = tmp_path / 'a.png'
    webp.write_bytes(cv2.imencode('.webp', GRAY)[1].tobytes())
    with pytest.raises(EncodingError, match='are not PNG or JPEG or BMP or TIFF'):
        read_image(webp, Role.THERMAL)


@pytest.mark.parametrize(
    ('suffix', 'at', 'packed'),
    [
        ('.bmp', 18, struct.pack('<ii', 100_000, -100_000)),
        # The first entry of the directory is the width.
        ('.tiff', None, struct.pack('<I', 2**30)),
    ],
)
def test_a_bmp_or_tiff_file_that_claims_too_much_is_refused(tmp_path, suffix, at, packed):
    data = bytearray(cv2.imencode(suffix, GRAY)[1].tobytes())
    if at is None:
        (start,) = struct.unpack_from('<I', data, 4)
        at = data.index(struct.pack('<HHI', 256, 3, 1), start) + 8
        data[at - 6] = 4
    data[at : at + len(packed)] = packed
    file = tmp_path / f'a{suffix}'
    file.write_bytes(data)
    with pytest.raises(EncodingError, match='larger than') as caught:
        read_image(file, Role.THERMAL)
    assert caught.value.kind == 'too_large'


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.bmp', '.tiff'])
def test_headers_are_read_as_opencv_reads_them(suffix):
    for image in (GRAY, np.dstack([GRAY] * 3), np.tile(GRAY, (7, 11))):
        header = read_header(cv2.imencode(suffix, image)[1].tobytes())
        assert (header.height, header.width, header.holds) == (*image.shape[:2], True)


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.bmp', '.tiff'])
def test_a_header_that_is_cut_is_none_and_raises_nothing(suffix):
    data = cv2.imencode(suffix, GRAY)[1].tobytes()
    for length in range(60):
        header = read_header(data[:length])
        assert header is None or (header.height, header.width) == GRAY.shape


def test_a_raw_image_beyond_the_limit_is_refused_without_a_copy():
    data = np.zeros(8192 * 8192, np.uint8)
    with pytest.raises(EncodingError, match='8192x8192 is larger') as caught:
        decode(RawImage(8192, 8192, 'mono8', False, 8192, data), Role.VISIBLE)
    assert caught.value.kind == 'too_large'


def test_a_step_that_overflows_is_truncated():
    image = RawImage(2, 16, 'mono8', False, 2**32 - 1, bytes(32))
    with pytest.raises(EncodingError, match='expected 4294967311') as caught:
        decode(image, Role.THERMAL)
    assert caught.value.kind == 'truncated'


@pytest.mark.parametrize('name', ['x' * 10**6, '\n\x1b[31m' * 1000, 'é' * 10**5])
def test_a_long_name_is_cut_in_the_message(name):
    for image in (RawImage(2, 2, name, False, 2, bytes(4)), CompressedImage(name, b'1234')):
        with pytest.raises(EncodingError) as caught:
            decode(image, Role.VISIBLE)
        assert len(str(caught.value)) < 500
        assert '\n' not in str(caught.value)
