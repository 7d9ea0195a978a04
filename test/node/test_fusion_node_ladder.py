"""Never blind, never stale: what comes out when a camera is of no use."""

from types import SimpleNamespace
from typing import Any

from ir_vis_fusion.types import Mode, Role, ThermalState
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros


def alone(rig: Any, role: Role, message: Any = None) -> Any:
    """Return what publishes the next image of one camera only."""

    def feed() -> None:
        rig.stamp_ns += 33_000_000
        rig.publish(role, message)

    return feed


def until_mode(rig: Any, mode: str, feed: Any) -> None:
    rig.spin_until(lambda: rig.value('mode') == mode, feed)


def facts(message: Any) -> tuple:
    return message.height, message.width, message.encoding, message.step


def stamps(rig: Any, helpers: SimpleNamespace) -> list[int]:
    return [helpers.stamp_of(message) for message in rig.fused]


def test_without_thermal_the_visible_images_flow_and_fusing_comes_back(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.start()
    before = rig.fuse_a_pair()
    until_mode(rig, 'fused', rig.publish_pair)

    until_mode(rig, 'visible_only', alone(rig, Role.VISIBLE))
    assert rig.told('the visible image alone is published')
    during = rig.fused[-1]
    until_mode(rig, 'fused', rig.publish_pair)

    assert facts(during) == facts(before) == facts(rig.fused[-1])
    assert during.header.frame_id == before.header.frame_id
    assert bytes(during.data) == helpers.VISIBLE.tobytes()
    told = stamps(rig, helpers)
    assert told == sorted(set(told))
    assert int(rig.value('published_visible_only')) > 0
    rig.spin_until(lambda: rig.statuses[-1].message == 'fusing', rig.publish_pair)


def test_without_visible_the_thermal_images_flow_in_its_size_and_frame(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.start()
    other_size = helpers.image(np.full((48, 64, 3), 99, np.uint8), 'rgb8')
    rig.spin_until(lambda: rig.fused, lambda: rig.publish_pair(visible=other_size))

    until_mode(rig, 'thermal_only', alone(rig, Role.THERMAL))
    rig.spin_until(lambda: helpers.stamp_of(rig.fused[-1]) == rig.stamp_ns)
    during = rig.fused[-1]
    until_mode(rig, 'fused', lambda: rig.publish_pair(visible=other_size))

    assert facts(during) == facts(rig.fused[0]) == (48, 64, 'rgb8', 192)
    assert during.header.frame_id == 'visible_optical_frame'
    assert set(during.data) == {77}
    told = stamps(rig, helpers)
    assert told == sorted(set(told))


def test_a_thermal_camera_alone_from_the_start_is_shown_in_its_own_size(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.start()

    until_mode(rig, 'thermal_only', alone(rig, Role.THERMAL))

    assert rig.fused[-1].header.frame_id == 'thermal_optical_frame'
    assert (rig.fused[-1].height, rig.fused[-1].width) == helpers.THERMAL.shape


def test_without_both_nothing_is_published_and_that_is_told(rig: Any) -> None:
    rig.start(input_timeout_s=0.3)
    rig.fuse_a_pair()

    status = rig.spin_until_status('nothing is published')

    assert rig.value('mode') == 'none'
    assert status.level == b'\x02'
    rig.fuse_a_pair()


def test_a_thermal_image_that_cannot_be_decoded_leaves_the_visible_one(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.start()
    broken = helpers.image(helpers.THERMAL, 'mono16')
    broken.data = broken.data[:-1]
    rig.fuse_a_pair()
    pairs = len(rig.predictor.pairs)

    until_mode(rig, 'visible_only', lambda: rig.publish_pair(thermal=broken))

    assert len(rig.predictor.pairs) <= pairs + 1
    assert int(rig.value('failed_thermal_truncated')) > 0
    until_mode(rig, 'fused', rig.publish_pair)


def test_a_visible_image_that_cannot_be_decoded_leaves_the_thermal_one_with_its_header(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.start()
    before = rig.fuse_a_pair()
    broken = helpers.image(helpers.VISIBLE, 'rgb9')

    until_mode(rig, 'thermal_only', lambda: rig.publish_pair(visible=broken))

    assert facts(rig.fused[-1]) == facts(before)
    assert rig.fused[-1].header.frame_id == 'visible_optical_frame'


def test_too_dark_a_visible_image_is_replaced_by_the_thermal_one(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.start()
    rig.fuse_a_pair()
    night = helpers.image(np.zeros_like(helpers.VISIBLE), 'rgb8')

    until_mode(rig, 'thermal_only', lambda: rig.publish_pair(visible=night))
    status = rig.statuses[-1]
    until_mode(rig, 'fused', rig.publish_pair)

    assert 'the thermal image alone is published' in status.message


def test_in_the_dark_a_thermal_image_that_shows_no_scene_is_no_better(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.start()
    night = helpers.image(np.zeros_like(helpers.VISIBLE), 'rgb8')
    until_mode(rig, 'thermal_only', lambda: rig.publish_pair(visible=night))

    rig.predictor.thermal_state = ThermalState.FROZEN

    until_mode(rig, 'visible_only', lambda: rig.publish_pair(visible=night))


def test_a_frozen_thermal_image_alone_is_not_published_as_a_live_one(rig: Any) -> None:
    rig.start(input_timeout_s=0.3)
    rig.fuse_a_pair()
    until_mode(rig, 'thermal_only', alone(rig, Role.THERMAL))

    rig.predictor.thermal_state = ThermalState.FROZEN

    until_mode(rig, 'none', alone(rig, Role.THERMAL))
    assert int(rig.value('dropped_frozen')) > 0


def test_thermal_that_the_policy_leaves_out_gives_the_visible_image_until_it_is_back(
    rig: Any,
) -> None:
    import dataclasses

    rig.start()
    rig.fuse_a_pair()
    predict = rig.predictor.predict
    rig.predictor.predict = lambda *arguments: dataclasses.replace(
        predict(*arguments), mode=Mode.VISIBLE_ONLY, thermal_state=ThermalState.FROZEN
    )
    until_mode(rig, 'visible_only', rig.publish_pair)
    rig.predictor.predict = predict

    until_mode(rig, 'fused', rig.publish_pair)


def test_a_predictor_that_fails_leaves_the_visible_image(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.start()
    rig.predictor.error = RuntimeError('no such luck')

    until_mode(rig, 'visible_only', rig.publish_pair)

    assert bytes(rig.fused[-1].data) == helpers.VISIBLE.tobytes()
    assert rig.told('no such luck')


def test_images_older_than_max_age_are_dropped_counted_and_named(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.start(max_age_ms=5000.0)
    rig.statuses.clear()
    rig.stamp_ns = rig.node.get_clock().now().nanoseconds - 9000 * helpers.MS

    rig.spin_until(lambda: rig.told('older than max_age_ms (5000)'), rig.publish_pair)

    assert rig.fused == []
    assert int(rig.value('dropped_stale')) > 0
    rig.stamp_ns = rig.node.get_clock().now().nanoseconds
    rig.fuse_a_pair()


def test_a_bag_without_sim_time_is_published_for_its_stamps_are_of_another_clock(
    rig: Any, helpers: SimpleNamespace
) -> None:
    rig.stamp_ns -= 3600_000 * helpers.MS
    rig.start(max_age_ms=5000.0)

    rig.fuse_a_pair()
