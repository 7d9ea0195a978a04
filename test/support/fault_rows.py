"""
What can go wrong while the node runs: one row a fault, as data.

A row's ``inject`` takes the :class:`Scene` and returns what publishes the next images for as long
as the fault lasts, 30 times a second. ``words`` are those of ``~/status``, ``mode`` is what stands
there meanwhile, and ``undo`` takes back what the fault left behind.
"""

from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fault_page import WELL
from ir_vis_fusion.types import Mode, Role
import numpy as np

MS = 1_000_000
HEIGHT, WIDTH = 24, 32
FUSED, VISIBLE, THERMAL, NONE = Mode.FUSED, Mode.VISIBLE_ONLY, Mode.THERMAL_ONLY, Mode.NONE

Feed = Callable[[], None]


class Scene:
    """Two cameras before a scene with noise: no two images are the same, as with real ones."""

    def __init__(self, rig: Any, image: Callable[[np.ndarray, str], Any]) -> None:
        self.rig = rig
        self.info: Any = None
        self._image = image
        self._generator = np.random.default_rng(0)
        self._ramp = np.arange(HEIGHT * WIDTH).reshape(HEIGHT, WIDTH)

    def thermal(self, encoding: str = 'mono16') -> Any:
        """Return the next thermal image."""
        counts = 29_000 + self._ramp + self._generator.integers(0, 20, self._ramp.shape)
        kind = {'mono16': np.uint16, 'mono8': np.uint8, '32FC1': np.float32}[encoding]
        return self._image(
            (counts / 100 if encoding == '32FC1' else counts).astype(kind), encoding
        )

    def visible(self, height: int = HEIGHT, width: int = WIDTH, encoding: str = 'rgb8') -> Any:
        """Return the next visible image."""
        pixels = self._generator.integers(60, 200, (height, width, 3), dtype=np.uint8)
        return self._image(pixels, encoding)

    def image(self, pixels: np.ndarray, encoding: str) -> Any:
        """Return a message of these pixels."""
        return self._image(pixels, encoding)

    def publish(self, role: Role, message: Any = None, delay_ms: int = 0) -> None:
        """Publish an image of the present moment, or one stamped earlier."""
        message = message or (self.thermal() if role is Role.THERMAL else self.visible())
        self.rig.publish(role, message, self.rig.stamp_ns - delay_ms * MS)

    def good(self) -> int:
        """Publish a good pair and return its stamp."""
        return self.pair(lambda: None, lambda: None)

    def pair(self, thermal: Callable[[], Any], visible: Callable[[], Any]) -> int:
        """Publish a pair of what these return, good images for None."""
        self.rig.stamp_ns += 33 * MS
        self.publish(Role.THERMAL, thermal())
        self.publish(Role.VISIBLE, visible())
        return self.rig.stamp_ns


@dataclass(frozen=True)
class Fault:
    """One row of the table."""

    name: str
    inject: Callable[[Scene], Feed]
    words: str
    mode: Mode
    undo: Callable[[Scene], None] | None = None


def each(
    thermal: Callable[[Scene], Any] | None = None, visible: Callable[[Scene], Any] | None = None
) -> Callable[[Scene], Feed]:
    """Let one image of each pair, or both, be what these make of the scene."""

    def inject(scene: Scene) -> Feed:
        return lambda: scene.pair(
            lambda: thermal(scene) if thermal else None,
            lambda: visible(scene) if visible else None,
        )

    return inject


def only(role: Role) -> Callable[[Scene], Feed]:
    """Let one camera send alone."""

    def inject(scene: Scene) -> Feed:
        def feed() -> None:
            scene.rig.stamp_ns += 33 * MS
            scene.publish(role)

        return feed

    return inject


def nothing(scene: Scene) -> Feed:
    """Let both cameras stop."""
    return lambda: None


def delayed(role: Role, images: int) -> Callable[[Scene], Feed]:
    """Let one camera's images arrive late, with the stamps of their time."""

    def inject(scene: Scene) -> Feed:
        waiting: list[tuple[Any, int]] = []

        def feed() -> None:
            scene.rig.stamp_ns += 33 * MS
            other = Role.VISIBLE if role is Role.THERMAL else Role.THERMAL
            scene.publish(other)
            late = scene.thermal() if role is Role.THERMAL else scene.visible()
            waiting.append((late, scene.rig.stamp_ns))
            if len(waiting) > images:
                scene.rig.publish(role, *waiting.pop(0))

        return feed

    return inject


def stamped(role: Role, stamp_ns: Callable[[int], int]) -> Callable[[Scene], Feed]:
    """Let one camera write other stamps."""

    def inject(scene: Scene) -> Feed:
        def feed() -> None:
            scene.rig.stamp_ns += 33 * MS
            for one in Role:
                message = scene.thermal() if one is Role.THERMAL else scene.visible()
                at_ns = scene.rig.stamp_ns
                scene.rig.publish(one, message, stamp_ns(at_ns) if one is role else at_ns)

        return feed

    return inject


def jump(seconds: int) -> Callable[[Scene], Feed]:
    """Let both cameras' time jump once."""

    def inject(scene: Scene) -> Feed:
        scene.rig.stamp_ns += seconds * 10**9
        return scene.good

    return inject


def truncated(message: Any) -> Any:
    """Cut the last row of an image."""
    message.data = message.data[: -message.step]
    return message


def changed(message: Any, **fields: Any) -> Any:
    """Write other fields over those of a message."""
    for name, value in fields.items():
        setattr(message, name, value)
    return message


def frozen(scene: Scene) -> Feed:
    """Let the thermal camera send the same image again and again, as during an FFC."""
    pixels = np.frombuffer(scene.thermal().data, np.uint16).reshape(HEIGHT, WIDTH)
    return each(thermal=lambda s: s.image(pixels, 'mono16'))(scene)


def with_nan(scene: Scene) -> Any:
    """Return a thermal image in kelvin with NaN, and infinity beside it."""
    pixels = np.frombuffer(scene.thermal('32FC1').data, np.float32).reshape(HEIGHT, WIDTH).copy()
    pixels[::3], pixels[1, ::2] = np.nan, np.inf
    return scene.image(pixels, '32FC1')


def uniform(value: int, role: Role) -> Callable[[Scene], Any]:
    """Return what makes an image of one value."""
    shape, kind, encoding = (
        ((HEIGHT, WIDTH), np.uint16, 'mono16')
        if role is Role.THERMAL
        else ((HEIGHT, WIDTH, 3), np.uint8, 'rgb8')
    )
    return lambda scene: scene.image(np.full(shape, value, kind), encoding)


def failing(error: Exception) -> Callable[[Scene], Feed]:
    """Let the network raise."""

    def inject(scene: Scene) -> Feed:
        def predict(*arguments: Any, **more: Any) -> Any:
            raise error

        scene.rig.predictor.predict = predict
        return scene.good

    return inject


def mended(scene: Scene) -> None:
    """Give the node its network back."""
    vars(scene.rig.predictor).pop('predict', None)


def calibrated(focal_length: float) -> Callable[[Scene], None]:
    """Publish a calibration of the visible camera."""

    def publish(scene: Scene) -> None:
        from sensor_msgs.msg import CameraInfo

        k = [focal_length, 0.0, 16.0, 0.0, focal_length, 12.0, 0.0, 0.0, float(focal_length > 0)]
        if scene.info is None:
            scene.info = scene.rig.tester.create_publisher(CameraInfo, 'visible/camera_info', 10)
        scene.info.publish(CameraInfo(height=HEIGHT, width=WIDTH, k=k))

    return publish


def uncalibrated(scene: Scene) -> Feed:
    """Let a driver publish a CameraInfo of zeros, as those do that were never calibrated."""

    def feed() -> None:
        calibrated(0.0)(scene)
        scene.good()

    return feed


HUGE = {'height': 2**32 - 1, 'width': 2**32 - 1, 'step': 2**32 - 1}
T, V = Role.THERMAL, Role.VISIBLE

FAULTS = (
    Fault(
        'thermal images come late', delayed(T, 10), 'no pairs: thermal stamps are about', VISIBLE
    ),
    Fault('visible images come late', delayed(V, 4), WELL, FUSED),
    Fault('thermal camera stops', only(V), 'thermal images stopped', VISIBLE),
    Fault('visible camera stops', only(T), 'visible images stopped', THERMAL),
    Fault('both cameras stop', nothing, 'nothing is published', NONE),
    Fault(
        'thermal encoding is unknown',
        each(thermal=lambda s: changed(s.thermal(), encoding='mono12')),
        'thermal_unknown_encoding',
        VISIBLE,
    ),
    Fault(
        'visible encoding is unknown',
        each(visible=lambda s: changed(s.visible(), encoding='rgb9')),
        'visible_unknown_encoding',
        THERMAL,
    ),
    Fault(
        'visible encoding changes',
        each(visible=lambda s: s.visible(encoding='bgr8')),
        WELL,
        FUSED,
    ),
    Fault('thermal encoding changes', each(thermal=lambda s: s.thermal('mono8')), WELL, FUSED),
    Fault('visible resolution changes', each(visible=lambda s: s.visible(40, 56)), WELL, FUSED),
    Fault(
        'thermal image is cut off',
        each(thermal=lambda s: truncated(s.thermal())),
        'thermal_truncated',
        VISIBLE,
    ),
    Fault(
        'visible image is cut off',
        each(visible=lambda s: truncated(s.visible())),
        'visible_truncated',
        THERMAL,
    ),
    Fault(
        'visible image is empty',
        each(visible=lambda s: changed(s.visible(), height=0, data=array('B'))),
        'visible_empty',
        THERMAL,
    ),
    Fault(
        'visible image claims 4294967295x4294967295',
        each(visible=lambda s: changed(s.visible(), **HUGE)),
        'visible_truncated',
        THERMAL,
    ),
    Fault(
        'thermal step is too short',
        each(thermal=lambda s: changed(s.thermal(), step=1)),
        'thermal_truncated',
        VISIBLE,
    ),
    Fault(
        'encoding is a name of 100,000 letters',
        each(thermal=lambda s: changed(s.thermal(), encoding='x' * 100_000)),
        'thermal_unknown_encoding',
        VISIBLE,
    ),
    Fault('thermal stamps are 0', stamped(T, lambda at: 0), 'stamps them with 0', VISIBLE),
    Fault('visible stamps are 0', stamped(V, lambda at: 0), 'stamps them with 0', THERMAL),
    Fault(
        'thermal stamps are of another clock',
        stamped(T, lambda at: at - 3600 * 10**9),
        'stamped by different clocks',
        VISIBLE,
    ),
    Fault('both stamps are of another clock', jump(-3600), '3600 s behind the clock', FUSED),
    Fault('time jumps back by 60 s', jump(-60), 'time jumped back 1 times', FUSED),
    Fault('time jumps forward by 5 s', jump(5), WELL, FUSED),
    Fault('thermal camera calibrates itself (FFC)', frozen, 'thermal image is frozen', VISIBLE),
    Fault(
        'shutter is seen: all pixels are equal',
        each(thermal=uniform(29_500, T)),
        'thermal image is flat',
        VISIBLE,
    ),
    Fault('NaN and infinity in 32FC1', each(thermal=with_nan), WELL, FUSED),
    Fault(
        'thermal image is saturated',
        each(thermal=uniform(65_535, T)),
        'thermal image is flat',
        VISIBLE,
    ),
    Fault('visible image is saturated', each(visible=uniform(255, V)), WELL, FUSED),
    Fault(
        'visible image is black',
        each(visible=uniform(0, V)),
        'the thermal image alone is published',
        THERMAL,
    ),
    Fault(
        'memory runs out',
        failing(RuntimeError("DefaultCPUAllocator: can't allocate memory: 9 GB")),
        "can't allocate memory",
        VISIBLE,
        mended,
    ),
    Fault(
        'network fails',
        failing(RuntimeError('the network is broken')),
        'the network is broken',
        VISIBLE,
        mended,
    ),
    Fault(
        'CameraInfo is all zeros (K[0] = 0)',
        uncalibrated,
        'uncalibrated (K[0] is 0)',
        FUSED,
        calibrated(40.0),
    ),
)
