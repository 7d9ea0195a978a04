"""Image and camera info messages as CDR bytes, and the stamp in the bytes of any other."""

import struct

from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.types import CompressedImage, RawImage
import numpy as np
from rosbags.serde import SerdeError
from rosbags.typesys import get_typestore, Stores

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED_IMAGE = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
NANOSECONDS = 1_000_000_000

# The layout of images and camera infos is the same in all ROS 2 distributions, so one store
# serves every bag and the definitions inside a bag, however broken, are not needed.
STORE = get_typestore(Stores.ROS2_HUMBLE)


def image_from_cdr(data: memoryview, msgtype: str) -> RawImage | CompressedImage:
    """Read an image message; its pixels are a view of ``data``."""
    try:
        message = STORE.deserialize_cdr(data, msgtype)
    except SerdeError as error:
        raise EvaluationError(f'damaged {msgtype} message: {error}') from None
    stamp = message.header.stamp
    when = {
        'stamp_ns': stamp.sec * NANOSECONDS + stamp.nanosec,
        'frame_id': message.header.frame_id,
    }
    if msgtype == COMPRESSED_IMAGE:
        return CompressedImage(message.format, message.data, **when)
    return RawImage(
        message.height,
        message.width,
        message.encoding,
        bool(message.is_bigendian),
        message.step,
        message.data,
        **when,
    )


def image_to_cdr(image: RawImage | CompressedImage) -> memoryview:
    """Write an image message as CDR bytes."""
    header = _header(image.stamp_ns, image.frame_id)
    pixels = np.frombuffer(image.data, np.uint8)
    types = STORE.types
    if isinstance(image, CompressedImage):
        message = types[COMPRESSED_IMAGE](header, image.format, pixels)
        return STORE.serialize_cdr(message, COMPRESSED_IMAGE)
    message = types[IMAGE](
        header,
        image.height,
        image.width,
        image.encoding,
        int(image.is_bigendian),
        image.step,
        pixels,
    )
    return STORE.serialize_cdr(message, IMAGE)


def camera_info_to_cdr(
    stamp_ns: int, frame_id: str, height: int, width: int, matrix: np.ndarray
) -> memoryview:
    """Write the CameraInfo of a camera without distortion; ``matrix`` is K, (3, 3)."""
    types = STORE.types
    projection = np.hstack([matrix, np.zeros((3, 1))])
    message = types[CAMERA_INFO](
        header=_header(stamp_ns, frame_id),
        height=height,
        width=width,
        distortion_model='plumb_bob',
        d=np.zeros(5),
        k=matrix.astype(np.float64).ravel(),
        r=np.eye(3).ravel(),
        p=projection.astype(np.float64).ravel(),
        binning_x=0,
        binning_y=0,
        roi=types['sensor_msgs/msg/RegionOfInterest'](0, 0, 0, 0, False),
    )
    return STORE.serialize_cdr(message, CAMERA_INFO)


def header_stamp(data: bytes | memoryview) -> int:
    """Return the stamp in nanoseconds of a message that begins with a header, as CDR bytes."""
    seconds, nanoseconds = struct.unpack_from(_stamp_format(data), data, 4)
    return seconds * NANOSECONDS + nanoseconds


def restamped(data: bytes | memoryview, stamp_ns: int) -> bytes:
    """Return a copy of a message that begins with a header, with another stamp."""
    copy = bytearray(data)
    struct.pack_into(_stamp_format(data), copy, 4, *divmod(stamp_ns, NANOSECONDS))
    return bytes(copy)


def _stamp_format(data: bytes | memoryview) -> str:
    # The second byte of the encapsulation tells the byte order; the stamp follows at byte 4.
    return '<iI' if data[1] & 1 else '>iI'


def _header(stamp_ns: int, frame_id: str) -> object:
    stamp = STORE.types['builtin_interfaces/msg/Time'](*divmod(stamp_ns, NANOSECONDS))
    return STORE.types['std_msgs/msg/Header'](stamp, frame_id)
