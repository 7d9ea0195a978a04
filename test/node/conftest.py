"""A fusion node and the two cameras that feed it, in one executor on a ROS domain of their own."""

from array import array
from collections.abc import Callable, Iterator
import contextlib
import os
from pathlib import Path
import time
from types import SimpleNamespace
from typing import Any

from fake_predictor import FakePredictor
from ir_vis_fusion.node.transport import own_domain, remove_half_made_ports
from ir_vis_fusion.types import Role
import numpy as np
import pytest

# Set before any context is made: tests of two people on one machine must not hear each other.
os.environ['ROS_DOMAIN_ID'] = str(own_domain())
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'

MS = 1_000_000
# Ten times what a busy machine was seen to take.
PATIENCE_S = 60.0
THERMAL = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32) + 29000
VISIBLE = np.arange(24 * 32 * 3, dtype=np.uint8).reshape(24, 32, 3)


class Rig:
    """The node under test, the cameras' publishers, and what came out."""

    def __init__(self) -> None:
        import rclpy
        from rclpy.executors import SingleThreadedExecutor

        # A test that was killed before would let this one wait for ever.
        remove_half_made_ports()
        self.context = rclpy.Context()
        self.context.init(args=[])
        self.executor = SingleThreadedExecutor(context=self.context)
        self.tester = rclpy.create_node('tester', context=self.context, use_global_arguments=False)
        self.executor.add_node(self.tester)
        self.fused: list[Any] = []
        self.infos: list[Any] = []
        self.statuses: list[Any] = []
        self.predictor: FakePredictor | None = None
        self.node: Any = None
        self.stamp_ns = time.time_ns()

    def make_node(self, *arguments: str, predictor: Any = FakePredictor, **parameters: Any) -> Any:
        """Make the node; parameter names have ``__`` for a dot, arguments follow --ros-args."""
        from ir_vis_fusion.node.fusion_node import FusionNode
        from rclpy.parameter import Parameter

        # Stamps go on at their own pace, so that images of a slow machine are seconds old.
        values = {'status_period_s': 0.1, 'max_age_ms': 120_000.0} | {
            name.replace('__', '.'): value for name, value in parameters.items()
        }

        def build(settings: Any, background: bool) -> Any:
            self.predictor = predictor(settings, background)
            return self.predictor

        self.node = FusionNode(
            build,
            context=self.context,
            use_global_arguments=False,
            cli_args=['--ros-args', *arguments] if arguments else None,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()],
        )
        self.executor.add_node(self.node)
        return self.node

    def listen(self, name: str = 'fused') -> None:
        """Subscribe to what the node publishes."""
        from diagnostic_msgs.msg import DiagnosticStatus
        from sensor_msgs.msg import CameraInfo, Image

        subscribe = self.tester.create_subscription
        subscribe(Image, f'{name}/image', self.fused.append, 10)
        subscribe(CameraInfo, f'{name}/camera_info', self.infos.append, 10)
        subscribe(DiagnosticStatus, 'fusion_node/status', self.statuses.append, 10)

    def start(self, *arguments: str, qos: Any = 10, **parameters: Any) -> Any:
        """Start an active node with two cameras that it has subscribed."""
        from sensor_msgs.msg import Image

        node = self.make_node(*arguments, **parameters)
        assert node.start()
        self.listen()
        self.cameras = {
            role: self.tester.create_publisher(Image, f'{role.value}/image_raw', qos)
            for role in Role
        }
        self.await_cameras()
        # What is imported for the first time took long, perhaps.
        self.stamp_ns = max(self.stamp_ns, time.time_ns())
        return node

    def await_cameras(self) -> None:
        """Spin until cameras and node, node and listener know each other."""
        cameras = self.cameras.values()
        self.spin_until(lambda: all(camera.get_subscription_count() for camera in cameras))
        self.spin_until(lambda: self.tester.count_publishers('fused/image'))
        self.spin_until(lambda: self.statuses)

    def spin_until(
        self,
        predicate: Callable[[], Any],
        feed: Callable[[], Any] = lambda: None,
    ) -> None:
        """Spin, calling ``feed`` at 30 Hz, until the predicate holds; fail if it never does."""
        deadline = time.monotonic() + PATIENCE_S
        next_feed = 0.0
        while not predicate():
            if time.monotonic() > deadline:
                told = self.statuses[-1].message if self.statuses else 'no status'
                pytest.fail(f'nothing after {PATIENCE_S:g} s; status: {told}')
            if time.monotonic() > next_feed:
                feed()
                next_feed = time.monotonic() + 0.033
            # Always the same timeout: with another one rclpy starts its round of the entities
            # anew, and the last ones never get their turn.
            self.executor.spin_once(timeout_sec=0.02)

    def spin_until_status(self, words: str) -> Any:
        """Spin until a new status says these words and return it."""
        self.statuses.clear()
        self.spin_until(lambda: self.told(words))
        return next(status for status in self.statuses if words in status.message)

    def told(self, words: str) -> bool:
        """Say whether a status since the last clearing said these words."""
        return any(words in status.message for status in self.statuses)

    def value(self, key: str) -> str:
        """Return a counter of the last status."""
        return {item.key: item.value for item in self.statuses[-1].values}[key]

    def publish_pair(self, thermal: Any = None, visible: Any = None) -> int:
        """Publish a pair 33 ms after the last one and return its stamp."""
        self.stamp_ns += 33 * MS
        self.publish(Role.THERMAL, thermal)
        self.publish(Role.VISIBLE, visible)
        return self.stamp_ns

    def publish(self, role: Role, message: Any = None, stamp_ns: int | None = None) -> None:
        """Publish one image, a good one where none is given, stamped now unless told."""
        if message is None:
            pixels, encoding = (THERMAL, 'mono16') if role is Role.THERMAL else (VISIBLE, 'rgb8')
            message = image(pixels, encoding)
        stamp(message, self.stamp_ns if stamp_ns is None else stamp_ns)
        message.header.frame_id = f'{role.value}_optical_frame'
        self.cameras[role].publish(message)

    def fuse_a_pair(self) -> Any:
        """Publish good pairs until one of them comes out and return that."""
        self.fused.clear()
        stamps = set()
        self.spin_until(
            lambda: any(stamp_of(message) in stamps for message in self.fused),
            feed=lambda: stamps.add(self.publish_pair()),
        )
        return self.fused[-1]

    def close(self) -> None:
        """Destroy all of it now: until the collector does, other tests would talk to it."""
        with contextlib.ExitStack() as stack:
            stack.callback(self.context.destroy)
            stack.callback(self.context.try_shutdown)
            stack.callback(self.tester.destroy_node)
            stack.callback(self.executor.shutdown)
            if self.node is not None:
                self.node.close()


def image(pixels: np.ndarray, encoding: str) -> Any:
    """Return an Image message of these pixels."""
    from sensor_msgs.msg import Image

    message = Image(height=pixels.shape[0], width=pixels.shape[1], encoding=encoding)
    message.step = pixels.strides[0]
    message.data = array('B', pixels.tobytes())
    return message


def stamp(message: Any, stamp_ns: int) -> None:
    message.header.stamp.sec, message.header.stamp.nanosec = divmod(stamp_ns, 10**9)


def stamp_of(message: Any) -> int:
    return message.header.stamp.sec * 10**9 + message.header.stamp.nanosec


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.close()


@pytest.fixture(scope='session')
def helpers() -> SimpleNamespace:
    """Return what the tests share; conftest itself cannot be imported."""
    return SimpleNamespace(
        image=image,
        stamp=stamp,
        stamp_of=stamp_of,
        FakePredictor=FakePredictor,
        Rig=Rig,
        THERMAL=THERMAL,
        VISIBLE=VISIBLE,
        MS=MS,
    )


@pytest.fixture(scope='session')
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an untrained network's checkpoint."""
    from ir_vis_fusion.checkpoint import save_checkpoint
    from ir_vis_fusion.models.registry import build
    import torch

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('weights') / 'untrained.safetensors'
    save_checkpoint(path, build('student', {}), 'student', {}, {}, {})
    return path
