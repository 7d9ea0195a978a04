"""
What a compressed image says of itself, read before anything is decoded.

A header of a few bytes may claim a picture of many gigabytes, for which a decoder makes room
before it finds that the data are missing. The claim is held against the limits of this module
and against what so many bytes can hold at most.
"""

from dataclasses import dataclass
import struct

from ir_vis_fusion.errors import EncodingError

# An 8K frame (7680 x 4320) fits; four times 4K UHD, and more than any thermal camera has.
MAX_PIXELS = 1 << 25
MAX_SIDE = 1 << 14
# A progressive JPEG of a camera has about ten; each costs a pass over the whole picture.
MAX_JPEG_SCANS = 64
# What the formats cannot exceed: deflate makes at most 1032 bytes of one, and a block of 8x8
# pixels takes a bit of a JPEG.
MAX_DEFLATE_RATIO = 1032
MAX_JPEG_PIXELS_A_BYTE = 512
# A colour profile or a thumbnail takes some.
_MAX_JPEG_SEGMENTS = 1024

_PNG_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_END, _JPEG_SCAN = 0xD9, 0xDA
_TIFF_FORMATS = {3: 'H', 4: 'I'}


@dataclass(frozen=True)
class Header:
    """The kind of a picture, its size, and whether its data are enough to hold that."""

    kind: str
    height: int
    width: int
    holds: bool = True


def check_size(height: int, width: int, what: str) -> None:
    """Raise EncodingError of kind ``too_large`` beyond the limits."""
    if max(height, width) > MAX_SIDE or height * width > MAX_PIXELS:
        raise EncodingError(
            'too_large',
            f'{what} of {width}x{height} is larger than {MAX_SIDE} pixels a side or '
            f'{MAX_PIXELS} in all, which is refused; let the driver scale it down',
        )


def check_header(header: Header, data: bytes) -> None:
    """Raise EncodingError where a picture is too large, or claims more than its data can hold."""
    check_size(header.height, header.width, f'{header.kind} image')
    if not header.holds:
        raise EncodingError(
            'truncated',
            f'{header.kind} image of {header.width}x{header.height} claims to hold more than its '
            f'{len(data)} bytes can',
        )
    if header.kind == 'JPEG' and (scans := data.count(b'\xff\xda')) > MAX_JPEG_SCANS:
        raise EncodingError(
            'undecodable', f'JPEG image has {scans} scans, at most {MAX_JPEG_SCANS} are decoded'
        )


def read_header(data: bytes) -> Header | None:
    """Return what the header says, None where there is none that is known and whole."""
    try:
        if data.startswith(b'\x89PNG\r\n\x1a\n'):
            return _png(data)
        if data.startswith(b'\xff\xd8'):
            return _jpeg(data)
        if data.startswith(b'BM'):
            return _bmp(data)
        if data[:4] in (b'II*\0', b'MM\0*'):
            return _tiff(data)
    except (struct.error, KeyError):
        pass
    return None


def _png(data: bytes) -> Header | None:
    length, kind, width, height, depth, color = struct.unpack_from('>I4sIIBB', data, 8)
    if (length, kind) != (13, b'IHDR'):
        return None
    # Each row begins with the number of its filter.
    row_bytes = 1 + (width * depth * _PNG_SAMPLES[color] + 7) // 8
    holds = height * row_bytes <= MAX_DEFLATE_RATIO * len(data) and _png_chunks_end(data)
    return Header('PNG', height, width, holds)


def _png_chunks_end(data: bytes) -> bool:
    """Say whether each chunk is as long as it claims: OpenCV 5 makes room for the claim first."""
    at = 8
    while at + 12 <= len(data):
        length, kind = struct.unpack_from('>I4s', data, at)
        at += 12 + length
        if kind == b'IEND':
            break
    return at <= len(data)


def _jpeg(data: bytes) -> Header | None:
    at = 2
    for _ in range(_MAX_JPEG_SEGMENTS):
        fill, marker = struct.unpack_from('BB', data, at)
        if fill != 0xFF or marker in (_JPEG_SCAN, _JPEG_END):
            return None
        if marker == 0xFF:
            at += 1
            continue
        (length,) = struct.unpack_from('>H', data, at + 2)
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from('>HH', data, at + 5)
            return Header(
                'JPEG', height, width, height * width <= MAX_JPEG_PIXELS_A_BYTE * len(data)
            )
        at += 2 + length
    return None


def _bmp(data: bytes) -> Header:
    (size,) = struct.unpack_from('<I', data, 14)
    width, height = struct.unpack_from('<HH' if size == 12 else '<ii', data, 18)
    # A negative height says that the first row comes first.
    return Header('BMP', abs(height), abs(width))


def _tiff(data: bytes) -> Header:
    order = '<' if data[:1] == b'I' else '>'
    (start,) = struct.unpack_from(f'{order}I', data, 4)
    (count,) = struct.unpack_from(f'{order}H', data, start)
    sides = {256: 0, 257: 0, 322: 0, 323: 0}
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, form = struct.unpack_from(f'{order}HH', data, entry)
        if tag in sides:
            (sides[tag],) = struct.unpack_from(f'{order}{_TIFF_FORMATS[form]}', data, entry + 8)
    # Tiles may be larger than the picture, and room is made for a whole one.
    return Header('TIFF', max(sides[257], sides[323]), max(sides[256], sides[322]))
