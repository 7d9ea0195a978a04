"""Messages to frames, fused frames to messages; what OpenCV decodes may go by cv_bridge."""

import functools
from types import ModuleType

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticStatus, KeyValue
from ir_vis_fusion.node.problems import Level
from ir_vis_fusion.preprocessing.compressed import LONGEST_NAME
from ir_vis_fusion.preprocessing.encodings import decode, FAST_ENCODINGS, to_bytes
from ir_vis_fusion.preprocessing.headers import MAX_PIXELS
from ir_vis_fusion.types import CompressedImage as CompressedBytes
from ir_vis_fusion.types import Frame, FusedFrame, PixelEncoding, RawImage, Role
import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image, RegionOfInterest
from std_msgs.msg import Header

TRANSPORTS = {'raw': Image, 'compressed': CompressedImage}


def stamp_ns(stamp: Time) -> int:
    """Return a message's stamp in nanoseconds."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec


def describe_image(message: Image | CompressedImage) -> str:
    """Return size and encoding of an image as it came, in words."""
    if isinstance(message, CompressedImage):
        return message.format[:LONGEST_NAME]
    return f'{message.width}x{message.height} {message.encoding[:LONGEST_NAME]}'


def stamp_from(nanoseconds: int) -> Time:
    """Return nanoseconds as a message's stamp."""
    sec, nanosec = divmod(nanoseconds, 1_000_000_000)
    return Time(sec=sec, nanosec=nanosec)


def frame_from(message: Image | CompressedImage, role: Role) -> Frame:
    """
    Decode an image message, without a copy where the encoding allows it.

    Raises
    ------
    EncodingError
        Where the message cannot be decoded; ``kind`` says why.

    """
    facts = {'stamp_ns': stamp_ns(message.header.stamp), 'frame_id': message.header.frame_id}
    if isinstance(message, CompressedImage):
        return decode(CompressedBytes(format=message.format, data=message.data, **facts), role)
    bridge = cv_bridge() if role is Role.VISIBLE and _is_for_bridge(message) else None
    if bridge:
        try:
            pixels = bridge.CvBridge().imgmsg_to_cv2(message, 'rgb8')
            return Frame(pixels, PixelEncoding.RGB8, **facts)
        except (bridge.CvBridgeError, AttributeError, TypeError, ValueError):
            pass  # Our own decoder names the fault, or knows the encoding better.
    raw = RawImage(
        height=message.height,
        width=message.width,
        encoding=message.encoding,
        is_bigendian=bool(message.is_bigendian),
        step=message.step,
        data=message.data,
        **facts,
    )
    return decode(raw, role)


def _is_for_bridge(message: Image) -> bool:
    """Say whether cv_bridge, which trusts a message, may see one that we do not view ourselves."""
    return (
        message.encoding not in FAST_ENCODINGS
        and len(message.encoding) <= LONGEST_NAME
        and message.height * message.width <= MAX_PIXELS
        and message.height * message.step <= len(message.data)
    )


@functools.cache
def cv_bridge() -> ModuleType | None:
    """Return cv_bridge, or None where it does not import."""
    try:
        import cv_bridge
    except Exception:  # noqa: BLE001 - built for NumPy 1 it raises AttributeError on NumPy 2
        return None
    return cv_bridge


def image_from(fused: FusedFrame, header: Header) -> Image:
    """Turn a fused frame into a message with the header of the visible image."""
    return image_of(fused.image, fused.encoding.value, header)


def image_of(pixels: np.ndarray, encoding: str, header: Header) -> Image:
    """Turn (H, W) or (H, W, 3) pixels, which the encoding describes, into a message."""
    pixels = np.ascontiguousarray(pixels)
    message = Image(
        header=header,
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=0,
        step=pixels.strides[0],
    )
    # Anything but an array of bytes is checked element by element: 45 ms for a VGA image.
    message.data = to_bytes(pixels)
    return message


def camera_info_for(info: CameraInfo, header: Header, height: int, width: int) -> CameraInfo:
    """
    Fit the visible camera's calibration to a fused image of height × width.

    Binning and region of interest, which say how the visible image was cut from the sensor,
    are worked into K and P; the result is that of a camera of the fused size. D and R, which
    do not depend on the size, stay. Without a size in ``info`` K and P stay too.
    """
    roi = info.roi
    left, top = (roi.x_offset, roi.y_offset) if roi.width and roi.height else (0, 0)
    x = width / (roi.width or info.width or width)
    y = height / (roi.height or info.height or height)
    return CameraInfo(
        header=header,
        height=height,
        width=width,
        distortion_model=info.distortion_model,
        d=info.d,
        k=_scaled(info.k, 3, left, top, x, y),
        r=info.r,
        p=_scaled(info.p, 4, left, top, x, y),
        roi=RegionOfInterest(do_rectify=roi.do_rectify),
    )


def _scaled(
    matrix: np.ndarray, columns: int, left: int, top: int, x: float, y: float
) -> np.ndarray:
    """Shift the principal point of K (3×3) or P (3×4) by the crop, then scale both axes."""
    matrix = np.array(matrix, dtype=np.float64).reshape(3, columns)
    matrix[0, 2] -= left * matrix[2, 2]
    matrix[1, 2] -= top * matrix[2, 2]
    matrix[0] *= x
    matrix[1] *= y
    return matrix.ravel()


def status_from(name: str, level: Level, text: str, values: dict[str, str]) -> DiagnosticStatus:
    """Build a diagnostic status."""
    return DiagnosticStatus(
        level=bytes([level]),
        name=name,
        message=text,
        hardware_id='',
        values=[KeyValue(key=key, value=value) for key, value in values.items()],
    )
