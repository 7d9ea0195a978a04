"""What is wrong now follows from two snapshots; counters stay."""

import dataclasses
from pathlib import Path
import re

from ir_vis_fusion.config import unflatten
from ir_vis_fusion.errors import EncodingError
from ir_vis_fusion.node.diagnostics import by_part, key_values, PARTS, percentile
from ir_vis_fusion.node.parameters import NodeSettings
from ir_vis_fusion.node.problems import assess, Level
from ir_vis_fusion.node.self_check import self_check
from ir_vis_fusion.node.snapshot import FrameSnapshot, InputSnapshot, ModelSnapshot, Snapshot
from ir_vis_fusion.node.statistics import FrameStatistics
from ir_vis_fusion.synchronization import SynchronizerCounters
from ir_vis_fusion.types import (
    FusedFrame,
    GuidanceState,
    Mode,
    PixelEncoding,
    RegistrationState,
    Role,
    ThermalReport,
    ThermalState,
)
import numpy as np
import pytest

SETTINGS = NodeSettings()


def camera(role: Role, silent_s: float | None = 0.0, **facts: object) -> InputSnapshot:
    values = {'topic': f'/{role.value}', 'publishers': 1, 'subscribed': 'reliable'}
    return InputSnapshot(role, silent_s=silent_s, incompatible_qos=0, **(values | facts))


CAMERAS = (camera(Role.THERMAL), camera(Role.VISIBLE))
BEFORE = Snapshot('active', SETTINGS, CAMERAS, SynchronizerCounters())
GOOD = dataclasses.replace(
    BEFORE,
    sync=SynchronizerCounters(thermal_received=30, visible_received=30, matched=30),
    frames=FrameSnapshot(published={Mode.FUSED: 30}, mode=Mode.FUSED, silent_s=0.0),
)


def texts(now: Snapshot, before: Snapshot = BEFORE) -> str:
    return '; '.join(problem.text for problem in assess(now, before))


def fused(state: ThermalState = ThermalState.LIVE) -> FusedFrame:
    return FusedFrame(np.zeros((2, 2, 3), np.uint8), PixelEncoding.RGB8, 1, '', 0, state)


def test_a_node_that_fuses_has_no_problems() -> None:
    assert assess(GOOD, BEFORE) == []


def test_a_node_that_is_not_active_has_none_either() -> None:
    silent = (camera(Role.THERMAL, None), camera(Role.VISIBLE, None))

    assert assess(dataclasses.replace(GOOD, state='inactive', inputs=silent), BEFORE) == []


def test_the_worst_problem_comes_first() -> None:
    now = dataclasses.replace(
        GOOD, inputs=(camera(Role.THERMAL, 3.2), camera(Role.VISIBLE)), dropped=5
    )

    first, second = assess(now, BEFORE)

    assert (first.level, first.key) == (Level.ERROR, 'thermal_stopped')
    assert first.text == 'thermal images stopped 3.2 s ago on /thermal'
    assert (second.level, second.key) == (Level.WARN, 'slow')
    assert '5 of 35 pairs dropped' in second.text


@pytest.mark.parametrize(('offset_ms', 'wanted'), [(250.0, -250), (-80.0, 80)])
def test_the_remedy_for_an_offset_takes_it_off(offset_ms: float, wanted: int) -> None:
    counts = SynchronizerCounters(thermal_received=30, visible_received=30)
    now = dataclasses.replace(GOOD, sync=counts, measured_offset_ms=offset_ms)

    text = texts(now)

    assert f'about {abs(offset_ms):.0f} ms {"after" if offset_ms > 0 else "before"}' in text
    assert f'set sync.thermal_time_offset_ms to {wanted}' in text


def test_the_remedy_adds_to_the_offset_that_is_set_already() -> None:
    settings = unflatten(NodeSettings, {'sync.thermal_time_offset_ms': -100.0})
    counts = SynchronizerCounters(thermal_received=30, visible_received=30)
    now = dataclasses.replace(GOOD, settings=settings, sync=counts, measured_offset_ms=250.0)

    assert 'about 150 ms after' in texts(now)
    assert 'set sync.thermal_time_offset_ms to -250' in texts(now)


@pytest.mark.parametrize(
    ('offset_ms', 'limit'),
    [
        (-400.0, 'sync.max_thermal_age_ms allows 250'),
        (90.0, 'sync.max_offset_ms allows'),
    ],
)
def test_where_thermal_is_held_the_remedy_names_what_limits_there(
    offset_ms: float, limit: str
) -> None:
    settings = unflatten(NodeSettings, {'sync.mode': 'hold_thermal'})
    counts = SynchronizerCounters(thermal_received=30, visible_received=30)
    now = dataclasses.replace(GOOD, settings=settings, sync=counts, measured_offset_ms=offset_ms)

    text = texts(now)

    assert limit in text
    assert 'right to about one thermal period' in text
    assert f'set sync.thermal_time_offset_ms to {-offset_ms:.0f}' in text
    assert 'sync.mode' not in text


def test_a_failure_of_clip_is_told_while_it_lasts() -> None:
    guidance = GuidanceState('image features', 2.5, 3, 'RuntimeError: out of memory')
    now = dataclasses.replace(GOOD, guidance=guidance)

    expected = 'CLIP fails, what it saw before stays: RuntimeError: out of memory'
    assert texts(now) == texts(now, now) == expected
    nothing = dataclasses.replace(now, guidance=dataclasses.replace(guidance, age_s=None))
    assert texts(nothing).startswith('CLIP fails, the network runs without: RuntimeError')
    well = dataclasses.replace(now, guidance=dataclasses.replace(guidance, fault=''))
    assert assess(well, now) == []
    values = key_values(now, BEFORE)
    assert values['guidance'] == 'image features'
    assert (values['guidance_age_s'], values['guidance_failures']) == ('2.50', '3')


def test_the_measured_offset_is_told_only_while_nothing_matches() -> None:
    now = dataclasses.replace(GOOD, measured_offset_ms=1.234)
    alone = dataclasses.replace(
        now, sync=SynchronizerCounters(thermal_received=60, visible_received=60, matched=30)
    )

    assert key_values(now, BEFORE)['measured_offset_ms'] == ''
    assert key_values(alone, now)['measured_offset_ms'] == '1.23'
    assert key_values(alone, alone)['measured_offset_ms'] == ''


def test_many_visible_images_without_a_partner_are_named() -> None:
    counts = SynchronizerCounters(
        thermal_received=28, visible_received=30, matched=18, visible_unmatched=12
    )

    assert '12 of 30 visible images found no thermal partner' in texts(
        dataclasses.replace(GOOD, sync=counts)
    )


def test_a_slow_thermal_camera_that_leaves_visible_images_alone_is_no_problem() -> None:
    counts = SynchronizerCounters(
        thermal_received=9, visible_received=30, matched=9, visible_unmatched=21
    )

    assert texts(dataclasses.replace(GOOD, sync=counts)) == ''


def test_cameras_on_different_clocks_are_told_so() -> None:
    counts = SynchronizerCounters(thermal_received=30, visible_received=30)
    now = dataclasses.replace(GOOD, sync=counts, measured_offset_ms=3_600_000.0)

    assert 'different clocks' in texts(now)
    assert 'thermal_time_offset_ms' not in texts(now)


def test_a_fault_is_named_only_in_the_period_in_which_it_was_counted() -> None:
    failed = FrameSnapshot(
        published={Mode.FUSED: 30},
        mode=Mode.FUSED,
        silent_s=0.0,
        failures={'visible_empty': 2},
        last_failure='visible: no',
    )
    now = dataclasses.replace(GOOD, frames=failed)

    assert '2 images failed (visible_empty 2): visible: no' in texts(now)
    assert 'failed' not in texts(dataclasses.replace(now), before=now)
    assert key_values(now, BEFORE)['failed_visible_empty'] == '2'


def test_failures_without_a_single_success_are_an_error() -> None:
    failed = FrameSnapshot(failures={'visible_empty': 30})
    (problem,) = assess(dataclasses.replace(GOOD, frames=failed), BEFORE)

    assert problem.level is Level.ERROR


@pytest.mark.parametrize(
    ('counter', 'words'),
    [
        ('jumps', 'jumped back 1 times'),
        ('out_of_order', '1 images dropped, their stamps went back'),
        ('invalid_stamp', '1 images dropped, the driver stamps them with 0'),
    ],
)
def test_bad_stamps_are_named(counter: str, words: str) -> None:
    counts = dataclasses.replace(GOOD.sync, **{counter: 1})

    assert words in texts(dataclasses.replace(GOOD, sync=counts))


def test_statistics_count_failures_by_step_and_kind() -> None:
    statistics = FrameStatistics()
    statistics.add_failure('visible', EncodingError('truncated', 'too short'))
    statistics.add_failure('visible', EncodingError('truncated', 'too short again'))
    statistics.add_failure('fusion', RuntimeError('out of memory'))

    snapshot = statistics.snapshot()

    assert snapshot.failures == {'visible_truncated': 2, 'fusion_RuntimeError': 1}
    assert snapshot.last_failure == 'fusion: out of memory'


def test_latency_from_another_clock_is_told_but_not_measured() -> None:
    statistics = FrameStatistics()
    statistics.add_published(fused(), 10.0, 40.0)
    statistics.add_published(fused(), 10.0, 3_600_000.0)

    snapshot = statistics.snapshot()

    assert snapshot.latency_ms == (40.0,)
    assert snapshot.clock_error_s == 3600.0
    assert snapshot.published == {Mode.FUSED: 2}


def test_a_frozen_thermal_image_is_named() -> None:
    statistics = FrameStatistics()
    statistics.add_published(fused(ThermalState.FROZEN), 10.0, 40.0)
    now = dataclasses.replace(GOOD, frames=statistics.snapshot())

    assert 'thermal image is frozen' in texts(now)


def test_percentiles_are_nearest_rank() -> None:
    values = range(1, 101)

    assert percentile(values, 50) == 50
    assert percentile(values, 95) == 95
    assert percentile([7.0], 95) == 7.0
    assert percentile([], 95) is None


def test_a_model_that_could_not_be_loaded_is_told_once_and_a_recovery_while_it_lasts() -> None:
    model = ModelSnapshot('student', recovery='at half size after no memory', fault='m is damaged')
    now = dataclasses.replace(GOOD, model=model)

    assert texts(now) == (
        'm is damaged; the model in force stays; the network runs at half size after no memory'
    )
    assert texts(now, now) == 'the network runs at half size after no memory'


def test_losses_are_named_from_a_tenth_on() -> None:
    lossy = (camera(Role.THERMAL, lost=5), camera(Role.VISIBLE, lost=2))
    now = dataclasses.replace(GOOD, inputs=lossy)

    assert '5 of 35 thermal images lost before they reached this node' in texts(now)
    assert 'visible images lost' not in texts(now)
    assert texts(now, now) == ''


def test_inputs_that_nobody_wants_are_no_fault_but_a_remark() -> None:
    idle = tuple(camera(role, None, paused=True) for role in Role)
    now = dataclasses.replace(GOOD, inputs=idle, frames=FrameSnapshot(silent_s=60.0))

    (remark,) = assess(now, BEFORE)

    assert (remark.level, remark.part) == (Level.OK, 'inputs')
    assert 'nobody listens' in remark.text


@pytest.mark.parametrize(
    ('frames', 'enable', 'words'),
    [
        (FrameSnapshot(mode=Mode.FUSED, silent_s=0.1), True, ''),
        (FrameSnapshot(mode=Mode.VISIBLE_ONLY, silent_s=0.1), False, ''),
        (FrameSnapshot(mode=Mode.VISIBLE_ONLY, silent_s=0.1), True, 'the visible image alone'),
        (FrameSnapshot(mode=Mode.THERMAL_ONLY, silent_s=0.1), False, 'the thermal image alone'),
        (FrameSnapshot(mode=Mode.FUSED, silent_s=1.1), True, 'nothing is published'),
        (FrameSnapshot(), True, ''),
    ],
)
def test_a_mode_that_is_not_the_wanted_one_is_told(
    frames: FrameSnapshot, enable: bool, words: str
) -> None:
    settings = dataclasses.replace(SETTINGS, enable=enable)
    now = dataclasses.replace(BEFORE, frames=frames, settings=settings)

    assert words in texts(now)
    assert bool(texts(now)) == bool(words)


def test_all_values_of_the_parts_are_in_the_status_and_the_other_way_round() -> None:
    parts = by_part(GOOD, BEFORE)
    status = key_values(GOOD, BEFORE)

    assert tuple(parts) == PARTS
    assert status == {'state': 'active'} | {
        key: value for part in parts.values() for key, value in part.items()
    }
    assert len(status) == 1 + sum(map(len, parts.values()))


def test_the_table_of_the_self_check_waits_for_a_fused_pair_and_both_rates() -> None:
    known = tuple(
        camera(role, rate_hz=rate, age_ms=age, image=image, type='sensor_msgs/msg/Image')
        for role, rate, age, image in (
            (Role.THERMAL, 9.0, 31.4, '640x512 mono16'),
            (Role.VISIBLE, 29.97, None, '1920x1080 bgr8'),
        )
    )
    frames = dataclasses.replace(GOOD.frames, processing_ms=(11.0, 12.0, 13.0))
    model = ModelSnapshot('student', '0123456789abcdef', 'cpu')
    registration = RegistrationState('plane', 'none', fault='no extrinsics')
    ready = dataclasses.replace(
        GOOD, inputs=known, frames=frames, model=model, registration=registration
    )
    assert 'registration is not as asked for: no extrinsics' in texts(ready)

    assert self_check(dataclasses.replace(ready, inputs=CAMERAS)) == ''
    assert self_check(dataclasses.replace(ready, frames=FrameSnapshot())) == ''
    assert self_check(ready).splitlines() == [
        'self-check',
        '  thermal       /thermal, sensor_msgs/msg/Image, reliable, 640x512 mono16, 9.0 Hz, '
        '31 ms old',
        '  visible       /visible, sensor_msgs/msg/Image, reliable, 1920x1080 bgr8, 30.0 Hz, '
        'stamps of another clock',
        '  calibration   visible camera_info: none',
        '  registration  no extrinsics',
        '  model         student, SHA-256 0123456789ab…, on cpu',
        '  expected      12 ms a frame',
    ]


def test_the_documentation_says_what_each_key_means() -> None:
    text = (Path(__file__).parents[3] / 'docs' / 'degradation.md').read_text()
    celsius = dataclasses.replace(GOOD, thermal=ThermalReport(celsius=True))

    for part in PARTS:
        _, _, section = text.partition(f'\n### {part}')
        section = section.partition('\n### ')[0]
        told = set(re.findall(r'`([a-z*_0-9]+)`', section))
        keys = set(by_part(GOOD, BEFORE)[part]) | set(by_part(celsius, BEFORE)[part])
        if part == 'inputs':
            keys = {re.sub('^(thermal|visible)_', '*_', key) for key in keys}
        assert keys <= told, part


def test_key_values_are_text_with_all_counters() -> None:
    values = key_values(dataclasses.replace(GOOD, dropped=3), BEFORE)

    assert values['matched'] == '30'
    assert values['published'] == '30'
    assert values['dropped_busy'] == '3'
    assert values['offset_mean_ms'] == '0.00'
    assert values['latency_p50_ms'] == ''
    assert all(isinstance(value, str) for value in values.values())
