"""Image messages as a broken driver, a bad cable or an attacker might send them."""

from collections.abc import Callable, Sequence
import dataclasses
import io
import random
import struct
import zlib

import cv2
from ir_vis_fusion.preprocessing.encodings import SUPPORTED_ENCODINGS
from ir_vis_fusion.types import CompressedImage, RawImage
import numpy as np
from PIL import Image

HEIGHT, WIDTH = 16, 24
BYTES_A_PIXEL = {
    'mono16': 2,
    '16UC1': 2,
    '32FC1': 4,
    'rgb8': 3,
    'bgr8': 3,
    '8UC3': 3,
    'rgba8': 4,
    'bgra8': 4,
    'yuv422': 2,
    'uyvy': 2,
    'yuv422_yuy2': 2,
    'yuyv': 2,
    'nv12': 1.5,
}
FOREIGN = ('rgb16', 'bayer_rggb16', '64FC1', '8UC4', 'nv21', 'jpeg', 'RGB8', '', ' ', 'mono8\0')
NUMBERS = (0, 1, 2, 3, 7, 255, 256, 4095, 65535, 2**24, 2**31 - 1, 2**31, 2**32 - 1)
STAMPS = (0, 1, -1, -(2**31) * 10**9, (2**31 - 1) * 10**9 + 2**32 - 1, 10**18)
NAMES = ('', 'camera', '/' * 1000, 'a' * 100_000, '\0', '\x1b[2J\n', 'カメラ', '../../etc/passwd')
SPECIALS = np.array([np.nan, np.inf, -np.inf, 3.4e38, -3.4e38, 1e-45, -0.0], np.float32)

Message = RawImage | CompressedImage


def corpus() -> list[Message]:
    """Return good messages: every encoding, and every kind of PNG and JPEG that cameras send."""
    generator = np.random.default_rng(0)
    noise = generator.integers(0, 256, HEIGHT * WIDTH * 4, dtype=np.uint8)
    raw = []
    for encoding in sorted(SUPPORTED_ENCODINGS):
        size = BYTES_A_PIXEL.get(encoding, 1)
        step = int(WIDTH * (1 if encoding == 'nv12' else size))
        data = noise[: int(HEIGHT * WIDTH * size)].tobytes()
        if encoding == '32FC1':
            data = generator.normal(300, 20, HEIGHT * WIDTH).astype(np.float32).tobytes()
        raw.append(RawImage(HEIGHT, WIDTH, encoding, False, step, data, 10**18, 'camera'))
    return raw + [CompressedImage('', data, 10**18, 'camera') for data in _files(generator)]


def _files(generator: np.random.Generator) -> list[bytes]:
    gray = generator.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
    gray16 = generator.integers(0, 2**16, (HEIGHT, WIDTH), dtype=np.uint16)
    smooth = np.dstack([np.add.outer(np.arange(HEIGHT), np.arange(WIDTH)) * k for k in (1, 2, 6)])
    color = smooth.astype(np.uint8)
    files = [cv2.imencode('.png', image)[1].tobytes() for image in (gray, gray16, color)]
    files.append(cv2.imencode('.png', color.astype(np.uint16) * 257)[1].tobytes())
    for mode in ('1', 'P', 'LA', 'RGBA'):
        file = io.BytesIO()
        Image.fromarray(gray).convert(mode).save(file, 'PNG')
        files.append(file.getvalue())
    # An animation of one picture.
    still = files[0]
    control = struct.pack('>IIIIIHHBB', 0, WIDTH, HEIGHT, 0, 0, 1, 10, 0, 0)
    animation = _chunk(b'acTL', struct.pack('>II', 1, 0)) + _chunk(b'fcTL', control)
    files.append(still[:33] + animation + still[33:])
    for options in (
        (),
        (cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
        (cv2.IMWRITE_JPEG_OPTIMIZE, 1, cv2.IMWRITE_JPEG_QUALITY, 20),
        (cv2.IMWRITE_JPEG_RST_INTERVAL, 2),
        (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444),
    ):
        files += [cv2.imencode('.jpg', image, options)[1].tobytes() for image in (gray, color)]
    # Kinds that OpenCV knows and that must not come over the wire.
    return files + [cv2.imencode(end, color)[1].tobytes() for end in ('.bmp', '.tiff', '.webp')]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def mutated(message: Message, others: Sequence[Message], chance: random.Random) -> Message:
    """Change one to three things about a message."""
    kinds = RAW if isinstance(message, RawImage) else COMPRESSED
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        change = chance.choice(kinds)
        message = dataclasses.replace(message, **change(message, others, chance))
    return message


def _number(message: Message, others: Sequence[Message], chance: random.Random) -> dict:
    field = chance.choice(('height', 'width', 'step'))
    now = getattr(message, field)
    near = (now - 1, now + 1, now // 2, 2 * now, now ^ (1 << chance.randrange(32)))
    return {field: max(0, chance.choice((*near, *NUMBERS)))}


def _encoding(message: Message, others: Sequence[Message], chance: random.Random) -> dict:
    other = chance.choice((*sorted(SUPPORTED_ENCODINGS), *FOREIGN, *NAMES))
    letters = list(message.encoding)
    if letters and chance.random() < 0.3:
        letters[chance.randrange(len(letters))] = chr(chance.randrange(1, 0x250))
        other = ''.join(letters)
    return {'encoding': other}


def _byte_order(message: Message, others: Sequence[Message], chance: random.Random) -> dict:
    return {'is_bigendian': not message.is_bigendian}


def _stamp(message: Message, others: Sequence[Message], chance: random.Random) -> dict:
    return {'stamp_ns': chance.choice((*STAMPS, chance.randrange(-(2**62), 2**62)))}


def _name(message: Message, others: Sequence[Message], chance: random.Random) -> dict:
    return {'frame_id': chance.choice(NAMES)}


def _format(message: Message, others: Sequence[Message], chance: random.Random) -> dict:
    mosaic = chance.choice(
        ('bayer_rggb8; png', 'bayer_gbrg8', 'bayer_;', '32FC1; compressedDepth')
    )
    return {'format': chance.choice((mosaic, *NAMES))}


def _specials(message: Message, others: Sequence[Message], chance: random.Random) -> dict:
    data = np.frombuffer(message.data, np.uint8).copy()
    whole = data[: len(data) // 4 * 4].view(np.float32)
    if whole.size:
        where = chance.sample(range(whole.size), min(whole.size, chance.choice((1, 20, 10**6))))
        whole[where] = chance.choice(SPECIALS)
    return {'data': data.tobytes()}


def _cut(message: Message, others: Sequence[Message], chance: random.Random) -> dict:
    return {'data': message.data[: chance.randrange(len(message.data) + 1)]}


def _grown(message: Message, others: Sequence[Message], chance: random.Random) -> dict:
    return {'data': message.data + chance.randbytes(chance.choice((1, 7, 1000)))}


def _flipped(message: Message, others: Sequence[Message], chance: random.Random) -> dict:
    data = bytearray(message.data)
    for _ in range(chance.choice((1, 2, 8, 64)) if data else 0):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    return {'data': bytes(data)}


def _patched(message: Message, others: Sequence[Message], chance: random.Random) -> dict:
    """Write a number that means much somewhere, mostly into the header."""
    data = bytearray(message.data)
    if len(data) > 8:
        end = len(data) - 4 if chance.random() < 0.3 else min(len(data) - 4, 64)
        form = chance.choice(('>I', '<I', '>H', 'B'))
        number = chance.choice(NUMBERS) % 2 ** (8 * struct.calcsize(form))
        struct.pack_into(form, data, chance.randrange(end), number)
    return {'data': bytes(data)}


def _moved(message: Message, others: Sequence[Message], chance: random.Random) -> dict:
    """Take a piece out, double it, or put a piece of another message there."""
    data = message.data
    begin, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
    other = chance.choice(others).data
    middle = chance.choice((b'', 2 * data[begin:end], other[begin:end], other[end:]))
    return {'data': data[:begin] + middle + data[end:]}


def _sealed(message: Message, others: Sequence[Message], chance: random.Random) -> dict:
    """Change a chunk of a PNG and make its checksum right again."""
    data = bytearray(message.data)
    if not data.startswith(b'\x89PNG') or len(data) < 33:
        return _patched(message, others, chance)
    at, chunks = 8, []
    while at + 12 <= len(data):
        length = struct.unpack_from('>I', data, at)[0]
        if at + 12 + length > len(data):
            break
        chunks.append((at, length))
        at += 12 + length
    at, length = chance.choice(chunks or [(8, 13)])
    for _ in range(chance.choice((1, 1, 3))):
        data[at + 4 + chance.randrange(4 if not length else 4 + length)] = chance.choice(
            (0, 1, 2, 3, 4, 6, 8, 16, 127, 128, 255)
        )
    struct.pack_into('>I', data, at + 8 + length, zlib.crc32(data[at + 4 : at + 8 + length]))
    return {'data': bytes(data)}


Mutation = Callable[[Message, Sequence[Message], random.Random], dict]
_EITHER: tuple[Mutation, ...] = (_stamp, _name, _cut, _grown, _flipped, _moved)
RAW = (*_EITHER, _number, _number, _number, _encoding, _encoding, _byte_order, _specials)
COMPRESSED = (*_EITHER, _format, _patched, _patched, _sealed, _sealed, _flipped)
