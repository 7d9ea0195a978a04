"""Faults that want a node of their own: other parameters, other QoS, another clock, signals."""

from collections.abc import Callable
from pathlib import Path
import signal
from types import SimpleNamespace
from typing import Any

import cv2
from fault_page import note, note_start, says, WELL
from fault_rows import Scene
from ir_vis_fusion.errors import ConfigError
from ir_vis_fusion.types import Mode, Role
from node_process import running
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros

MS = 1_000_000


@pytest.fixture
def scene(rig: Any, helpers: SimpleNamespace) -> Scene:
    return Scene(rig, helpers.image)


@pytest.fixture
def real(weights: Path) -> dict[str, Any]:
    """Return what makes a node with a real network."""
    from ir_vis_fusion.predictor import FusionPredictor

    return {
        'predictor': lambda settings, background: FusionPredictor(settings, background=background),
        'model': str(weights),
        'device': 'cpu',
        'cpu_threads': 1,
        'input_timeout_s': 0.3,
    }


def until(scene: Scene, words: str, mode: Mode, feed: Callable[[], Any]) -> Any:
    """Publish until a status says these words in this mode, and return it."""
    rig = scene.rig
    rig.statuses.clear()

    def found() -> list[Any]:
        return [
            status
            for status in rig.statuses
            if says(status.message, words)
            and {x.key: x.value for x in status.values}['mode'] == mode.value
        ]

    rig.spin_until(found, feed)
    return found()[-1]


def fused_again_s(scene: Scene, helpers: SimpleNamespace) -> float:
    """Return how long good input takes to be fused, by the stamps, in s."""
    rig = scene.rig
    stamps: list[int] = []
    rig.fused.clear()
    feed = lambda: stamps.append(scene.good())  # noqa: E731
    rig.spin_until(lambda: {helpers.stamp_of(m) for m in rig.fused} & set(stamps), feed)
    rig.spin_until(lambda: rig.statuses and rig.value('mode') == 'fused', feed)
    return (min({helpers.stamp_of(m) for m in rig.fused} & set(stamps)) - stamps[0]) / 1e9


def cameras(rig: Any, qos: Any = 10, kinds: dict | None = None, matching: bool = True) -> None:
    """Offer the cameras' topics, as ``Rig.start`` does for a node that starts."""
    from sensor_msgs.msg import Image

    rig.cameras = {
        role: rig.tester.create_publisher(
            (kinds or {}).get(role, Image),
            f'{role.value}/image_raw' + ('/compressed' if role in (kinds or {}) else ''),
            qos,
        )
        for role in Role
    }
    if matching:
        rig.await_cameras()


@pytest.mark.parametrize(
    ('fault', 'name', 'value', 'words'),
    [
        ('weights are missing', 'model', '/nowhere.safetensors', 'neither a file nor a shipped'),
        ('weights are damaged', 'model', 'DAMAGED', 'not a safetensors file, or cut off'),
        ('there is no GPU', 'device', 'cuda:99', "device 'cuda:99' is not there"),
        ('model is a device file', 'model', '/dev/zero', 'neither a file nor a shipped'),
    ],
)
def test_what_cannot_be_loaded_refuses_the_start_and_another_value_starts(
    rig: Any,
    scene: Scene,
    helpers: SimpleNamespace,
    real: dict,
    weights: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture,
    fault: str,
    name: str,
    value: str,
    words: str,
) -> None:
    from rclpy.parameter import Parameter

    if value == 'DAMAGED':
        value = str(tmp_path / 'damaged.safetensors')
        Path(value).write_bytes(weights.read_bytes()[:-100])
    node = rig.make_node(**real | {name: value})
    assert not node.start()
    assert words in capfd.readouterr().err

    assert node.set_parameters([Parameter(name, value=real[name])])[0].successful
    assert node.start()
    rig.listen()
    cameras(rig)
    assert fused_again_s(scene, helpers) <= 1
    note_start(fault, words, 'the start is refused')


def test_a_wrong_type_in_a_parameter_file_refuses_the_start(
    rig: Any, real: dict, tmp_path: Path
) -> None:
    file = tmp_path / 'robot.yaml'
    file.write_text('/**:\n  ros__parameters:\n    strength: much\n    sync.mode: best\n')
    words = "strength must be float, got 'much'; sync.mode must be one of"
    with pytest.raises(ConfigError, match=words):
        rig.make_node('--params-file', str(file), **real)
    note_start('wrong types in the parameter file', words, 'the start is refused')


def test_an_unknown_key_in_a_parameter_file_is_named_and_ignored(
    rig: Any,
    scene: Scene,
    helpers: SimpleNamespace,
    real: dict,
    tmp_path: Path,
    capfd: pytest.CaptureFixture,
) -> None:
    file = tmp_path / 'robot.yaml'
    file.write_text('/**:\n  ros__parameters:\n    strenght: 0.5\n')
    rig.start('--params-file', str(file), **real)
    words = "unknown parameter 'strenght', did you mean 'strength'?"
    assert words in capfd.readouterr().err
    assert fused_again_s(scene, helpers) <= 1
    note_start('unknown key in the parameter file', words, 'it starts without')


def test_a_camera_that_only_offers_best_effort_to_a_node_that_asks_for_more(
    rig: Any, scene: Scene, helpers: SimpleNamespace, real: dict
) -> None:
    from rclpy.qos import qos_profile_sensor_data

    rig.make_node(**real, qos__reliability='reliable').start()
    rig.listen()
    cameras(rig, qos_profile_sensor_data, matching=False)
    words = 'QoS incompatible'
    until(scene, words, Mode.NONE, scene.good)
    for camera in rig.cameras.values():
        rig.tester.destroy_publisher(camera)
    cameras(rig)
    assert fused_again_s(scene, helpers) <= 1
    note('camera offers best effort, reliable is asked for', words, Mode.NONE)


def test_a_camera_that_restarts_with_another_qos_is_subscribed_anew(
    rig: Any, scene: Scene, helpers: SimpleNamespace, real: dict
) -> None:
    from rclpy.qos import qos_profile_sensor_data

    rig.start(**real)
    fused_again_s(scene, helpers)
    for camera in rig.cameras.values():
        rig.tester.destroy_publisher(camera)
    cameras(rig, qos_profile_sensor_data)
    rig.spin_until(lambda: rig.value('visible_subscribed') == 'best_effort')
    rig.await_cameras()
    assert fused_again_s(scene, helpers) <= 1
    until(scene, WELL, Mode.FUSED, scene.good)
    note('cameras restart with another QoS', WELL, Mode.FUSED)


def test_a_best_effort_subscriber_of_the_fused_image_gets_it(
    rig: Any, scene: Scene, helpers: SimpleNamespace, real: dict
) -> None:
    from rclpy.qos import qos_profile_sensor_data
    from sensor_msgs.msg import Image

    rig.start(**real)
    got: list[Any] = []
    rig.tester.create_subscription(Image, 'fused/image', got.append, qos_profile_sensor_data)
    rig.spin_until(lambda: len(got) > 3 and rig.fused, scene.good)
    until(scene, WELL, Mode.FUSED, scene.good)
    note('subscribers of either reliability', WELL, Mode.FUSED)


def test_a_clock_that_starts_late_and_jumps_back_as_a_looped_bag_does(
    rig: Any, scene: Scene, helpers: SimpleNamespace, real: dict
) -> None:
    from builtin_interfaces.msg import Time
    from rosgraph_msgs.msg import Clock

    rig.start(**real, use_sim_time=True)
    clock = rig.tester.create_publisher(Clock, '/clock', 10)
    rig.spin_until(clock.get_subscription_count)

    def tick() -> None:
        scene.good()
        clock.publish(Clock(clock=Time(sec=rig.stamp_ns // 10**9)))

    # Without /clock time stands at 0, and stamps are of another clock.
    rig.stamp_ns = 1000 * 10**9
    until(scene, 'ahead of the clock', Mode.FUSED, scene.good)
    note('/clock has not started', 'ahead of the clock', Mode.FUSED)
    rig.spin_until(lambda: rig.node.get_clock().now().nanoseconds > 999 * 10**9, tick)
    until(scene, WELL, Mode.FUSED, tick)

    rig.stamp_ns = 900 * 10**9
    words = 'pairing started anew'
    until(scene, words, Mode.FUSED, tick)
    assert fused_again_s(scene, helpers) <= 1
    note('/clock jumps back, as when a bag loops', words, Mode.FUSED)


def test_images_that_are_too_old_are_not_published(
    rig: Any, scene: Scene, helpers: SimpleNamespace, real: dict
) -> None:
    rig.start(**real, max_age_ms=3000.0)
    rig.stamp_ns = rig.node.get_clock().now().nanoseconds - 8000 * MS
    words = 'older than max_age_ms'
    until(scene, words, Mode.NONE, scene.good)
    assert rig.fused == []
    rig.stamp_ns = rig.node.get_clock().now().nanoseconds
    assert fused_again_s(scene, helpers) <= 1
    note('images are older than max_age_ms', words, Mode.NONE)


def test_a_compressed_image_that_claims_a_gigapixel_costs_nothing(
    rig: Any, scene: Scene, helpers: SimpleNamespace, real: dict
) -> None:
    from sensor_msgs.msg import CompressedImage

    rig.make_node(**real, visible_transport='compressed').start()
    rig.listen()
    cameras(rig, kinds={Role.VISIBLE: CompressedImage})
    good = cv2.imencode('.png', np.full((24, 32, 3), 99, np.uint8))[1].tobytes()
    bomb = good[:16] + b'\0\0\x7f\xff' * 2 + good[24:]

    def pair(data: bytes) -> None:
        scene.pair(lambda: None, lambda: CompressedImage(format='png', data=data))

    rig.spin_until(lambda: rig.value('mode') == 'fused', lambda: pair(good))
    words = 'visible_too_large'
    until(scene, words, Mode.THERMAL_ONLY, lambda: pair(bomb))
    until(scene, WELL, Mode.FUSED, lambda: pair(good))
    note('PNG header claims a gigapixel', words, Mode.THERMAL_ONLY)


def test_clip_that_fails_leaves_the_fusing_alone(
    rig: Any, scene: Scene, helpers: SimpleNamespace, real: dict
) -> None:
    from ir_vis_fusion.predictor import FusionPredictor

    def tower(images: Any) -> Any:
        raise RuntimeError('no room for CLIP')

    real = real | {
        'predictor': lambda settings, _: FusionPredictor(settings, tower, background=True),
        'model': 'student_guided',
    }
    rig.start(**real, guidance__period_s=0.1)
    words = 'CLIP fails, the network runs without: RuntimeError: no room for CLIP'
    until(scene, words, Mode.FUSED, scene.good)
    assert fused_again_s(scene, helpers) <= 1
    note('CLIP fails', words, Mode.FUSED)


@pytest.mark.parametrize(
    ('fault', 'signals'),
    [
        ('SIGINT (Ctrl-C)', [signal.SIGINT]),
        ('SIGINT twice', [signal.SIGINT, signal.SIGINT]),
        ('SIGTERM', [signal.SIGTERM]),
    ],
)
def test_a_node_that_is_fusing_ends_with_code_0_and_no_traceback(
    rig: Any, scene: Scene, weights: Path, fault: str, signals: list[signal.Signals]
) -> None:
    # The rig's stamps begin before the process is there.
    parameters = (f'model:={weights}', 'status_period_s:=0.1', 'max_age_ms:=0.0')
    with running(*(x for one in parameters for x in ('-p', one))) as process:
        rig.listen()
        cameras(rig)
        rig.spin_until(lambda: rig.fused, scene.good)
        scene.good()
        for number in signals:
            process.send_signal(number)

        assert process.wait(120) == 0
        assert (rig.fused[0].height, rig.fused[0].width, rig.fused[0].encoding) == (24, 32, 'rgb8')
        assert not any('Traceback' in line for line in process.lines)
    note_start(fault, '', 'it ends with code 0')
