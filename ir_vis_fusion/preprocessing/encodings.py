"""
Messages and image files to frames; the only module that knows OpenCV.

What a frame holds is decided by the role of its camera. THERMAL: one channel in its own depth
(8-bit, 16-bit or float); colour becomes BT.601 luminance, and where it is that of a palette
(false colour), of which no temperature can be had, the frame says so. VISIBLE: three 8-bit
channels; mono becomes three equal ones and 16 bits become 8 by v / 257, rounded (65535 is white,
so a 12-bit camera has to fill the upper bits).

Encodings in ``FAST_ENCODINGS`` are views of the message, padded rows included, unless the
role asks for other channels or the bytes are in the wrong order. A view is as writable as its
buffer: the ``array.array`` of a received message is writable, ``bytes`` are not, and
``torch.from_numpy`` warns of the latter although reading is safe; hand over a ``bytearray``, or
copy into a tensor that is there already.
"""

from array import array
from pathlib import Path
from typing import Any

import cv2
from ir_vis_fusion.errors import EncodingError, nearest
from ir_vis_fusion.files import checked_file, MAX_IMAGE_BYTES
from ir_vis_fusion.preprocessing.compressed import decompress, LONGEST_NAME, shown
from ir_vis_fusion.preprocessing.false_color import is_false_color
from ir_vis_fusion.preprocessing.headers import check_size
from ir_vis_fusion.types import CompressedImage, Frame, PixelEncoding, RawImage, Role
import numpy as np

_RGB, _BGR = PixelEncoding.RGB8, PixelEncoding.BGR8

# Encoding: type of a sample, samples a pixel, colour order. 8UC3 has no order of its own in
# ROS; who writes it mostly hands over an OpenCV array, which is BGR.
_VIEWS = {
    'mono8': ('u1', 1, _RGB),
    '8UC1': ('u1', 1, _RGB),
    'mono16': ('u2', 1, _RGB),
    '16UC1': ('u2', 1, _RGB),
    '32FC1': ('f4', 1, _RGB),
    'rgb8': ('u1', 3, _RGB),
    'bgr8': ('u1', 3, _BGR),
    '8UC3': ('u1', 3, _BGR),
    'rgba8': ('u1', 4, _RGB),
    'bgra8': ('u1', 4, _BGR),
}

# Encoding: bytes a pixel within a row, OpenCV's conversion to RGB. YUV is BT.601 with studio
# range (16 to 235), as UVC cameras send it. OpenCV names a Bayer pattern by its second row's
# second and third pixel, sensor_msgs by the first row: rggb is OpenCV's BG.
_CONVERSIONS = {
    'yuv422': (2, cv2.COLOR_YUV2RGB_UYVY),
    'uyvy': (2, cv2.COLOR_YUV2RGB_UYVY),
    'yuv422_yuy2': (2, cv2.COLOR_YUV2RGB_YUY2),
    'yuyv': (2, cv2.COLOR_YUV2RGB_YUY2),
    'nv12': (1, cv2.COLOR_YUV2RGB_NV12),
    'bayer_rggb8': (1, cv2.COLOR_BayerBG2RGB),
    'bayer_bggr8': (1, cv2.COLOR_BayerRG2RGB),
    'bayer_gbrg8': (1, cv2.COLOR_BayerGR2RGB),
    'bayer_grbg8': (1, cv2.COLOR_BayerGB2RGB),
}

_MONO = {
    np.dtype(np.uint8): PixelEncoding.MONO8,
    np.dtype(np.uint16): PixelEncoding.MONO16,
    np.dtype(np.float32): PixelEncoding.FLOAT32,
}
_TO_GRAY = {_RGB: cv2.COLOR_RGB2GRAY, _BGR: cv2.COLOR_BGR2GRAY}

# What may come over the wire, and what a file may be besides: each decoder that is not needed is
# one less to be attacked. OpenCV knows a dozen more.
_MESSAGE_KINDS = ('PNG', 'JPEG')
_FILE_KINDS = (*_MESSAGE_KINDS, 'BMP', 'TIFF')

FAST_ENCODINGS = frozenset(_VIEWS)
SUPPORTED_ENCODINGS = FAST_ENCODINGS | frozenset(_CONVERSIONS)


def decode(image: RawImage | CompressedImage, role: Role) -> Frame:
    """
    Decode an image message.

    Returns
    -------
    Frame
        (H, W) uint8, uint16 or float32 for THERMAL, (H, W, 3) uint8 for VISIBLE, in native
        byte order; a view of ``image.data`` where that is possible.

    Raises
    ------
    EncodingError
        With kind ``empty``, ``truncated``, ``too_large``, ``unknown_encoding``, ``undecodable``
        or ``channels``.

    """
    if isinstance(image, CompressedImage):
        pixels, order = _decompress(image, _MESSAGE_KINDS)
    else:
        pixels, order = _unpack(image)
    return _frame(image, pixels, order, role)


def read_image(path: str | Path, role: Role) -> Frame:
    """
    Read a PNG, JPEG, BMP or TIFF file of 8, 16 or (TIFF) 32 float bits; stamp 0.

    Raises
    ------
    EncodingError
        With kind ``file`` where the file cannot be opened, else as from ``decode``; the path
        is named in the message.

    """
    file = checked_file(path, MAX_IMAGE_BYTES, _file_error)
    try:
        image = CompressedImage('', file.read_bytes())
    except OSError as error:
        raise _file_error(f'{path}: cannot be read: {error.strerror}') from None
    try:
        return _frame(image, *_decompress(image, _FILE_KINDS), role)
    except EncodingError as error:
        raise EncodingError(error.kind, f'{path}: {error}') from None


def to_bytes(image: np.ndarray) -> array:
    """Copy pixels into what the data of a message take without a look at each byte."""
    data = array('B')
    data.frombytes(memoryview(np.ascontiguousarray(image)).cast('B'))
    return data


def write_image(path: str | Path, image: np.ndarray) -> None:
    """
    Write (H, W) or RGB (H, W, 3) pixels; the suffix names the file type.

    Raises
    ------
    EncodingError
        With kind ``file`` where OpenCV does not know the suffix, the type cannot hold such
        pixels or the file cannot be written.

    """
    path = Path(path)
    data = _encode(image, path.suffix)
    try:
        path.write_bytes(data)
    except OSError as error:
        raise EncodingError('file', f'{path}: cannot be written: {error.strerror}') from None


def encode_png(image: np.ndarray) -> bytes:
    """Return (H, W) or RGB (H, W, 3) uint8 or uint16 pixels as a PNG."""
    return _encode(image, '.png')


def encode_webp(image: np.ndarray, quality: int) -> bytes:
    """Return (H, W) or RGB (H, W, 3) uint8 pixels as a WebP of a quality from 1 to 100."""
    return _encode(image, '.webp', (cv2.IMWRITE_WEBP_QUALITY, quality))


def _file_error(message: str) -> EncodingError:
    return EncodingError('file', message)


def _frame(
    image: RawImage | CompressedImage, pixels: np.ndarray, order: PixelEncoding, role: Role
) -> Frame:
    false_color = role is Role.THERMAL and is_false_color(pixels)
    pixels, encoding = _fit_role(pixels, order, role)
    return Frame(pixels, encoding, image.stamp_ns, image.frame_id, false_color)


def _unpack(image: RawImage) -> tuple[np.ndarray, PixelEncoding]:
    if image.encoding in _VIEWS:
        dtype, channels, order = _VIEWS[image.encoding]
        view = _view(image, image.height, channels, dtype)
        pixels = view[..., :3] if channels > 1 else view[..., 0]
        # torch takes neither foreign byte order nor rows that split a sample.
        pixels = pixels.astype(pixels.dtype.newbyteorder('='), copy=False)
        return (pixels if pixels.flags.aligned else pixels.copy()), order
    if image.encoding in _CONVERSIONS:
        channels, code = _CONVERSIONS[image.encoding]
        if (channels == 2 and image.width % 2) or (image.encoding == 'nv12' and _odd(image)):
            raise EncodingError(
                'undecodable',
                f'{image.encoding} needs even sides, got {image.width}x{image.height}',
            )
        rows = image.height * 3 // 2 if image.encoding == 'nv12' else image.height
        return _convert(_view(image, rows, channels, 'u1'), code), _RGB
    raise EncodingError(
        'unknown_encoding',
        f'encoding {shown(image.encoding)} is not supported'
        f'{nearest(image.encoding[:LONGEST_NAME], SUPPORTED_ENCODINGS)}; '
        f'supported are {", ".join(sorted(SUPPORTED_ENCODINGS))}',
    )


def _view(image: RawImage, rows: int, channels: int, dtype: str) -> np.ndarray:
    """Return (rows, W, channels) as a view of the message, after a check of its length."""
    size = f'{image.encoding} image of {image.width}x{image.height}'
    if not image.height or not image.width:
        raise EncodingError('empty', f'{size} has no pixels; is the camera streaming?')
    sample = np.dtype(dtype).newbyteorder('>' if image.is_bigendian else '<')
    pixel_bytes = channels * sample.itemsize
    row_bytes = image.width * pixel_bytes
    if image.step < row_bytes:
        raise EncodingError(
            'truncated',
            f'{size} has step {image.step!r}, expected at least {row_bytes} bytes a row',
        )
    data = _bytes(image.data)
    # The last row may come without its padding.
    needed = (rows - 1) * image.step + row_bytes
    if data.size < needed:
        raise EncodingError(
            'truncated',
            f'{size} and step {image.step} holds {data.size} bytes, expected {needed}',
        )
    check_size(image.height, image.width, f'{image.encoding} image')
    strides = (image.step, pixel_bytes, sample.itemsize)
    return np.ndarray((rows, image.width, channels), sample, data, strides=strides)


def _bytes(data: Any) -> np.ndarray:
    buffer = memoryview(data)
    # numpy refuses an empty buffer.
    return np.frombuffer(buffer, np.uint8) if buffer.nbytes else np.empty(0, np.uint8)


def _odd(image: RawImage) -> bool:
    return bool(image.width % 2 or image.height % 2)


def _convert(pixels: np.ndarray, code: int) -> np.ndarray:
    try:
        return cv2.cvtColor(pixels, code)
    except cv2.error as error:
        raise EncodingError(
            'undecodable', f'OpenCV cannot convert pixels of shape {pixels.shape}: {error.err}'
        ) from None


def _decompress(
    image: CompressedImage, kinds: tuple[str, ...]
) -> tuple[np.ndarray, PixelEncoding]:
    pixels = decompress(_bytes(image.data), kinds, image.format)
    # image_transport compresses a Bayer mosaic as it is and names it before the semicolon.
    mosaic = image.format.partition(';')[0].strip()
    if mosaic.startswith('bayer_') and mosaic in _CONVERSIONS and pixels.dtype == np.uint8:
        if pixels.ndim == 2:
            return _convert(pixels, _CONVERSIONS[mosaic][1]), _RGB
    return pixels, _BGR


def _fit_role(
    pixels: np.ndarray, order: PixelEncoding, role: Role
) -> tuple[np.ndarray, PixelEncoding]:
    if role is Role.THERMAL:
        pixels = pixels if pixels.ndim == 2 else _convert(pixels, _TO_GRAY[order])
        return pixels, _MONO[pixels.dtype]
    if pixels.dtype == np.float32:
        raise EncodingError(
            'channels',
            'float pixels have no white level and cannot be a visible image, expected 8 or 16 '
            'bits; are the thermal and visible topics exchanged?',
        )
    if pixels.dtype == np.uint16:
        pixels = cv2.convertScaleAbs(pixels, alpha=1 / 257)
    if pixels.ndim == 2:
        return cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB), _RGB
    return pixels, order


def _encode(image: np.ndarray, suffix: str, options: tuple[int, ...] = ()) -> bytes:
    try:
        pixels = cv2.cvtColor(image, cv2.COLOR_RGB2BGR) if image.ndim == 3 else image
        done, data = cv2.imencode(suffix, pixels, options)
    except cv2.error:
        done = False
    if not done:
        raise EncodingError(
            'file',
            f'{image.dtype} pixels of shape {image.shape} cannot be written as {suffix!r}; '
            'use .png, .jpg, .bmp or .tiff',
        )
    return data.tobytes()
