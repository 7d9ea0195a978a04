"""
The vocabulary that every room shares: frames, pairs and what becomes of them.

Frozen dataclasses and enums without logic. Times are nanoseconds since the epoch of the clock
that stamped the images; a frame's pixels are numpy arrays, as views of the message wherever
that is possible.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np


class Role(str, Enum):
    """Which camera an image comes from; it decides the number of channels after decoding."""

    THERMAL = 'thermal'
    VISIBLE = 'visible'


class PixelEncoding(str, Enum):
    """The pixel formats that remain after decoding; names as in sensor_msgs."""

    MONO8 = 'mono8'
    MONO16 = 'mono16'
    FLOAT32 = '32FC1'
    RGB8 = 'rgb8'
    BGR8 = 'bgr8'


class ThermalState(str, Enum):
    """
    What the thermal image shows.

    FROZEN: bit for bit the previous frame (a shutter calibration, FFC/NUC, is under way or
    the camera hangs). FLAT: all pixels equal, or the scene's contrast is gone at once (the
    shutter is seen). CALIBRATING: telemetry says so.
    """

    LIVE = 'live'
    FROZEN = 'frozen'
    FLAT = 'flat'
    CALIBRATING = 'calibrating'


class SideProduct(str, Enum):
    """What a predictor makes besides the fused image, where somebody wants it."""

    THERMAL_REGISTERED = 'thermal_registered'
    HOT_MASK = 'hot_mask'
    SIDE_BY_SIDE = 'side_by_side'


class Mode(str, Enum):
    """What is published: the ladder down which the node goes rather than go blind."""

    FUSED = 'fused'
    VISIBLE_ONLY = 'visible_only'
    THERMAL_ONLY = 'thermal_only'
    NONE = 'none'


@dataclass(frozen=True)
class RawImage:
    """
    An uncompressed image as it came over the wire: the fields of sensor_msgs/Image.

    ``data`` is any object with the buffer protocol, ``step`` the length of a row in bytes.
    """

    height: int
    width: int
    encoding: str
    is_bigendian: bool
    step: int
    data: Any
    stamp_ns: int = 0
    frame_id: str = ''


@dataclass(frozen=True)
class CompressedImage:
    """
    A PNG or JPEG as it came over the wire: the fields of sensor_msgs/CompressedImage.

    ``format`` is free text such as ``mono16; png compressed``; only a Bayer pattern named
    before the semicolon is taken from it, all else is read from the data.
    """

    format: str
    data: Any
    stamp_ns: int = 0
    frame_id: str = ''


@dataclass(frozen=True, eq=False)
class Frame:
    """
    One decoded image.

    ``image`` is (H, W) uint8, uint16 or float32 for MONO8, MONO16, FLOAT32 and (H, W, 3)
    uint8 for RGB8, BGR8; native byte order; rows may be padded (strided view). ``false_color``:
    a thermal image that came in the colours of a palette, of which luminance is left.
    """

    image: np.ndarray
    encoding: PixelEncoding
    stamp_ns: int = 0
    frame_id: str = ''
    false_color: bool = False


@dataclass(frozen=True, eq=False)
class FramePair:
    """
    A thermal and a visible frame of the same moment.

    ``offset_ns`` is the thermal minus the visible stamp after the time offset of the streams
    was taken off. ``depth`` is what each pixel of the visible frame is distant along the optical
    axis, (H, W) float32 in metres or uint16 in millimetres, 0 or not finite where unknown.
    """

    thermal: Frame
    visible: Frame
    offset_ns: int = 0
    depth: np.ndarray | None = None


@dataclass(frozen=True, eq=False)
class FusedFrame:
    """
    The fused image in the visible camera's view.

    ``image`` is (H, W, 3) uint8 in the visible frame's size, RGB8 or BGR8 by ``encoding``;
    stamp and frame_id are those of the visible frame. ``mode`` tells whether the image is fused
    or, where one side is of no use, the other side alone; NONE: it is not to be published, as
    thermal.ffc_policy says.

    Side products, in the same view and size, None where they were not wanted or the thermal image
    is not live: ``thermal_registered`` (H, W) uint16, centikelvin where units are known, else
    counts, 0 outside the thermal view; ``hot_mask`` (H, W) uint8, 255 where hot; ``side_by_side``
    (H, 3 W, 3) uint8 RGB: thermal, visible, fused.
    """

    image: np.ndarray
    encoding: PixelEncoding
    stamp_ns: int
    frame_id: str
    offset_ns: int
    thermal_state: ThermalState
    mode: Mode = Mode.FUSED
    thermal_registered: np.ndarray | None = None
    hot_mask: np.ndarray | None = None
    side_by_side: np.ndarray | None = None


@dataclass(frozen=True)
class ThermalReport:
    """
    What the thermal front end knows of its camera now.

    ``units`` and ``units_why`` in words, empty before that is decided; ``low`` and ``high`` are
    the temperatures (``celsius``) or counts that are black and white, None for 8-bit images, which
    are taken as they are; ``ffc_events`` counts calibrations and hangs, ``cropped_rows`` are rows
    of telemetry.
    """

    units: str = ''
    units_why: str = ''
    celsius: bool = False
    low: float | None = None
    high: float | None = None
    ffc_events: int = 0
    false_color: bool = False
    cropped_rows: int = 0


@dataclass(frozen=True)
class GuidanceState:
    """
    What guides the network now.

    ``in_force`` in words, ``none`` without; ``age_s`` of the look at the scene that it comes from;
    ``failures`` counts looks that failed; ``fault`` is why the last one did, empty if it did not.
    """

    in_force: str = 'none'
    age_s: float | None = None
    failures: int = 0
    fault: str = ''


@dataclass(frozen=True)
class RegistrationState:
    """
    How the thermal image is laid onto the visible one.

    ``mode`` as it was asked for and as it is ``in_force`` (``none``: resized to cover it);
    ``coverage`` is the share of the visible image that the thermal camera sees, None where that is
    not known; ``fault`` says why it is not as asked for, empty where it is.
    """

    mode: str = 'none'
    in_force: str = 'none'
    coverage: float | None = None
    fault: str = ''
