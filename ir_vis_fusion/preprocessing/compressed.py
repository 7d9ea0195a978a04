"""PNG, JPEG, BMP and TIFF data to pixels, after a look at the header."""

import cv2
from ir_vis_fusion.errors import EncodingError
from ir_vis_fusion.preprocessing.headers import check_header, read_header
import numpy as np

# Names come from the wire and stand in the status; the longest of sensor_msgs has 13 letters.
LONGEST_NAME = 40


def shown(name: str) -> str:
    """Quote a name from the wire, cut where it is longer than any that is meant."""
    return repr(name if len(name) <= LONGEST_NAME else f'{name[:LONGEST_NAME]}…')


def decompress(data: np.ndarray, kinds: tuple[str, ...], named: str) -> np.ndarray:
    """
    Decode one picture.

    Parameters
    ----------
    data
        (N,) uint8.
    kinds
        What it may be, of PNG, JPEG, BMP and TIFF.
    named
        What the message calls it, for errors.

    Returns
    -------
    (H, W) or BGR (H, W, 3) uint8, uint16 or float32.

    Raises
    ------
    EncodingError
        With kind ``empty``, ``truncated``, ``too_large`` or ``undecodable``.

    """
    if not data.size:
        raise EncodingError('empty', 'compressed image holds no data; is the camera streaming?')
    content = data.tobytes()
    _check_complete(content)
    header = read_header(content)
    pixels = None
    if header is not None and header.kind in kinds:
        check_header(header, content)
        pixels = _decoded(data)
    if pixels is None:
        raise EncodingError(
            'undecodable',
            f'{data.size} bytes of format {shown(named)} starting with {content[:8]!r} are not '
            f'{" or ".join(kinds)}, or damaged',
        )
    if pixels.dtype == np.float64:
        pixels = pixels.astype(np.float32)
    if pixels.dtype not in (np.uint8, np.uint16, np.float32):
        raise EncodingError(
            'undecodable', f'pixels are {pixels.dtype}, expected uint8, uint16 or float32'
        )
    return pixels if pixels.ndim == 2 else pixels[..., :3]


def _check_complete(content: bytes) -> None:
    """Raise where the end of a PNG or JPEG is missing; OpenCV paints the rest grey or black."""
    if content.startswith(b'\xff\xd8'):
        # The end marker cannot stand within the scan; cameras may pad after it.
        complete = content.rfind(b'\xff\xd9') > content.rfind(b'\xff\xda')
    elif content.startswith(b'\x89PNG'):
        complete = b'IEND\xaeB`\x82' in content
    else:
        return
    if not complete:
        raise EncodingError(
            'truncated', f'compressed image of {len(content)} bytes ends within the picture'
        )


def _decoded(data: np.ndarray) -> np.ndarray | None:
    try:
        return cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
