"""The executable: one clear message where it cannot start, exit code 0 where it is stopped."""

import os
from pathlib import Path
import signal
import sys

from node_process import start
import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros


@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_a_node_that_is_stopped_while_it_starts_ends_with_code_0(
    weights: Path, number: signal.Signals
) -> None:
    process = start('-p', f'model:={weights}', PYTHONVERBOSE='1')
    for line in process.stderr:
        # The import of torch is under way: the longest part of the start.
        if line.startswith("import 'torch"):
            break
    process.send_signal(number)
    _, errors = process.communicate(timeout=180)

    assert process.returncode == 0
    assert 'Traceback' not in errors


def test_everything_that_prevents_a_start_ends_it_with_one_message_and_no_traceback(
    weights: Path, tmp_path: Path
) -> None:
    damaged = tmp_path / 'damaged.safetensors'
    damaged.write_bytes(weights.read_bytes()[:-100])
    broken = tmp_path / 'broken.yaml'
    broken.write_text('fusion_node: [')
    cases = {
        'neither a file nor a shipped name': ['-p', 'model:=/nowhere.safetensors'],
        'damaged.safetensors': ['-p', f'model:={damaged}'],
        "strength must be float, got 'much'; sync.mode must be one of": [
            *('-p', 'strength:=much', '-p', 'sync.mode:=best'),
        ],
        "device 'cuda:99' is not there": ['-p', f'model:={weights}', '-p', 'device:=cuda:99'],
        'broken.yaml': ['--params-file', str(broken)],
        "ROS arguments: ['--bogus']": ['--bogus'],
        "'use_sim_time' to '1'": ['-p', 'use_sim_time:=1'],
        "publisher.depth' to 'abc'": [
            *('-p', f'model:={weights}'),
            *('-p', 'qos_overrides./fused/image.publisher.depth:=abc'),
        ],
        'policy `reliability`: `relable`': [
            *('-p', f'model:={weights}'),
            *('-p', 'qos_overrides./fused/image.publisher.reliability:=relable'),
        ],
        "subscription.depth' to 'many'": [
            *('-p', f'model:={weights}', '-p', 'qos.reliability:=reliable'),
            *('-p', 'qos_overrides./thermal/image_raw.subscription.depth:=many'),
        ],
    }
    processes = {words: start(*arguments) for words, arguments in cases.items()}

    for words, process in processes.items():
        _, errors = process.communicate(timeout=180)
        assert process.returncode == 1, words
        told = [line for line in errors.splitlines() if words in line]
        assert len(told) == 1, errors
        assert 'Traceback' not in errors


def test_unknown_parameters_are_named_with_the_nearest_known_one(
    weights: Path, tmp_path: Path
) -> None:
    parameters = tmp_path / 'robot.yaml'
    parameters.write_text(
        '/**:\n  ros__parameters:\n    strenght: 0.5\n    use_sim_time: false\n'
        '    qos_overrides:\n      /fused/image:\n        publisher:\n          depth: 3\n'
    )
    process = start('--params-file', str(parameters), '-p', 'model:=/nowhere.safetensors')
    _, errors = process.communicate(timeout=180)

    ignored = [line for line in errors.splitlines() if 'ignored' in line]
    assert len(ignored) == 1
    assert "unknown parameter 'strenght', did you mean 'strength'?" in ignored[0]


def test_without_torch_the_message_names_the_interpreter_and_the_remedy(tmp_path: Path) -> None:
    (tmp_path / 'torch.py').write_text(
        "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n"
    )
    process = start(PYTHONPATH=os.pathsep.join([str(tmp_path), *sys.path]))
    _, errors = process.communicate(timeout=180)

    assert process.returncode == 1
    assert "No module named 'torch'" in errors
    assert sys.executable in errors
    assert '--system-site-packages' in errors
    assert 'Traceback' not in errors
