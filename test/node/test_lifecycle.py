"""Configure, activate and back: weights are kept while inactive and freed by a clean-up."""

import gc
import os
from pathlib import Path
import time
from types import SimpleNamespace
from typing import Any

from ir_vis_fusion.errors import CheckpointError
import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros


def test_without_autostart_the_node_waits_for_its_manager(rig: Any) -> None:
    node = rig.make_node(autostart=False)
    assert node.start()
    rig.listen()

    rig.spin_until_status('unconfigured')

    assert rig.predictor is None


def test_deactivating_unsubscribes_and_keeps_the_predictor(rig: Any) -> None:
    node = rig.start()
    rig.fuse_a_pair()
    first = rig.predictor

    node.trigger_deactivate()
    rig.spin_until(lambda: not rig.tester.count_subscribers('thermal/image_raw'))
    rig.spin_until_status('inactive')
    node.trigger_activate()
    rig.await_cameras()
    rig.fuse_a_pair()

    assert rig.predictor is first


def test_cleaning_up_frees_the_predictor_and_the_output(rig: Any) -> None:
    node = rig.start()
    rig.fuse_a_pair()
    first = rig.predictor

    node.trigger_deactivate()
    node.trigger_cleanup()
    rig.spin_until(lambda: not rig.tester.count_publishers('fused/image'))
    node.trigger_configure()
    node.trigger_activate()
    rig.await_cameras()
    rig.fuse_a_pair()

    assert rig.predictor is not first


def test_all_counters_start_anew_when_the_node_is_activated_again(rig: Any) -> None:
    node = rig.start()
    rig.fuse_a_pair()
    rig.stamp_ns -= 60 * 10**9
    rig.spin_until(lambda: int(rig.value('matched')) > 9, rig.publish_pair)
    assert rig.value('jumps') == '1'
    resets = rig.predictor.resets

    node.trigger_deactivate()
    node.trigger_activate()
    rig.statuses.clear()
    rig.await_cameras()

    counters = 'thermal_received visible_received matched thermal_unmatched jumps published'
    assert {rig.value(name) for name in counters.split()} == {'0'}
    rig.fuse_a_pair()
    rig.spin_until(lambda: rig.value('published') != '0')
    assert int(rig.value('matched')) < 10
    assert not rig.told('no pairs')
    assert not rig.told('jumped')
    # The warm-up of the real predictor ends with a reset.
    assert (len(rig.predictor.warm_ups), rig.predictor.resets) == (2, resets)


def test_parameters_may_be_set_right_after_a_configuration_that_failed(rig: Any) -> None:
    from rclpy.parameter import Parameter

    node = rig.make_node(
        *('-p', 'qos_overrides./fused/camera_info.publisher.reliability:=relable'),
        autostart=False,
    )
    node.trigger_configure()
    rig.listen()
    rig.spin_until_status('unconfigured')

    assert node.set_parameters([Parameter('qos.depth', value=2)])[0].successful


def test_weights_that_cannot_be_loaded_leave_the_node_unconfigured(
    rig: Any, capfd: pytest.CaptureFixture
) -> None:
    def fail(settings: Any, background: bool) -> None:
        raise CheckpointError("model 'none' is not there")

    node = rig.make_node(predictor=fail)

    assert not node.start()

    rig.listen()
    rig.spin_until_status('unconfigured')
    assert "model 'none' is not there" in capfd.readouterr().err


def test_a_warm_up_that_fails_leaves_the_node_inactive_or_unconfigured(
    rig: Any, capfd: pytest.CaptureFixture
) -> None:
    node = rig.make_node()
    node.trigger_configure()

    def fail(height: int, width: int) -> None:
        raise RuntimeError('CUDA error: out of memory')

    rig.predictor.warm_up = fail
    node.trigger_activate()
    rig.listen()

    rig.spin_until_status('unconfigured')
    assert 'CUDA error: out of memory' in capfd.readouterr().err
    assert node.start()


def test_an_active_node_shuts_down_by_its_lifecycle(rig: Any) -> None:
    node = rig.start()
    rig.fuse_a_pair()

    node.trigger_shutdown()

    rig.spin_until(lambda: not rig.tester.count_publishers('fused/image'))


def test_a_node_that_was_never_configured_shuts_down_and_goes_on_telling_its_state(
    rig: Any,
) -> None:
    node = rig.make_node(autostart=False)

    node.trigger_shutdown()
    rig.listen()

    rig.spin_until_status('finalized')


@pytest.mark.skipif(not Path('/proc/self/task').is_dir(), reason='threads are counted in /proc')
def test_what_is_closed_leaves_no_threads_to_the_collector(helpers: SimpleNamespace) -> None:
    def fuse() -> int:
        rig = helpers.Rig()
        rig.start()
        rig.fuse_a_pair()
        during = threads()
        rig.close()
        return during

    def threads() -> int:
        return len(os.listdir('/proc/self/task'))

    # What the middleware starts once stays.
    fuse()
    before = threads()
    gc.disable()
    try:
        assert fuse() > before
        deadline = time.monotonic() + 60
        # Threads that were waited for may be listed a moment longer.
        while threads() > before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert threads() <= before
    finally:
        gc.enable()
