"""Pairs and images alone, and the measured offset that explains why nothing matches."""

from ir_vis_fusion.config import SynchronizerSettings
from ir_vis_fusion.node.ladder import Ladder
from ir_vis_fusion.node.pairing import Job, Pairing
from ir_vis_fusion.node.parameters import LadderSettings
from ir_vis_fusion.types import Role
import pytest

MS = 1_000_000
START_NS = 1_000_000 * MS


def make_pairing(**settings: float) -> Pairing:
    return Pairing(SynchronizerSettings(**settings), Ladder(LadderSettings()))


def feed(pairing: Pairing, count: int, offset_ms: int) -> list[Job]:
    pairs = []
    for index in range(count):
        stamp_ns = START_NS + index * 33 * MS
        pairs += pairing.add(Role.THERMAL, stamp_ns + offset_ms * MS, f'thermal {index}')
        pairs += pairing.add(Role.VISIBLE, stamp_ns, f'visible {index}')
    return pairs


def test_images_of_one_moment_become_pairs() -> None:
    pairing = make_pairing()

    pairs = feed(pairing, 5, offset_ms=2)

    assert [(pair.thermal, pair.visible) for pair in pairs[:2]] == [
        ('thermal 0', 'visible 0'),
        ('thermal 1', 'visible 1'),
    ]
    assert pairing.counters().visible_received == 5


def test_the_offset_is_measured_where_nothing_matches() -> None:
    pairing = make_pairing()

    assert pairing.measured_offset_ms() is None
    assert not any(job.thermal for job in feed(pairing, 10, offset_ms=5000))
    assert pairing.measured_offset_ms() == pytest.approx(5000)


def test_with_the_visible_image_first_the_offset_is_right_to_a_thermal_period() -> None:
    pairing = make_pairing()

    for index in range(10):
        stamp_ns = START_NS + index * 33 * MS
        pairing.add(Role.VISIBLE, stamp_ns, f'visible {index}')
        pairing.add(Role.THERMAL, stamp_ns + 5000 * MS, f'thermal {index}')

    assert pairing.measured_offset_ms() == pytest.approx(5000 - 33)


def test_a_jump_of_the_clock_is_counted_once_and_a_reset_is_not() -> None:
    pairing = make_pairing()
    feed(pairing, 5, offset_ms=0)

    pairing.reset(clock_jumped=True)
    feed(pairing, 5, offset_ms=0)
    pairing.reset()

    assert pairing.counters().jumps == 1


def test_a_reset_raises_the_generation_and_forgets_the_offset() -> None:
    pairing = make_pairing()
    (before, *_) = feed(pairing, 5, offset_ms=0)
    pairing.reset()

    assert pairing.measured_offset_ms() is None
    (after, *_) = feed(pairing, 5, offset_ms=0)
    assert after.generation == before.generation + 1


def test_a_visible_image_alone_keeps_its_message_and_stamp() -> None:
    pairing = make_pairing()

    jobs = [
        job
        for index in range(40)
        for job in pairing.add(Role.VISIBLE, START_NS + index * 33 * MS, f'visible {index}')
    ]

    # A second without any thermal image at all, 31 steps of 33 ms; after that each at once.
    assert [job.visible for job in jobs] == [f'visible {index}' for index in range(31, 40)]
    assert {job.thermal for job in jobs} == {None}
    assert jobs[0].stamp_ns == START_NS + 31 * 33 * MS


def test_a_thermal_image_alone_has_its_stamp_corrected() -> None:
    pairing = make_pairing(thermal_time_offset_ms=-40.0)

    jobs = [
        job
        for index in range(40)
        for job in pairing.add(Role.THERMAL, START_NS + index * 33 * MS, f'thermal {index}')
    ]

    assert jobs[0].thermal == 'thermal 31'
    assert jobs[0].visible is None
    assert jobs[0].stamp_ns == START_NS + (31 * 33 - 40) * MS


def test_stamps_of_zero_or_below_are_never_published_alone() -> None:
    pairing = make_pairing(thermal_time_offset_ms=10_000.0)

    assert [pairing.add(role, 0, 'image') for role in list(Role) * 100] == [[]] * 200


def test_where_nothing_is_to_be_fused_each_visible_image_is_alone_at_once() -> None:
    pairing = make_pairing()

    jobs = []
    for index in range(3):
        jobs += pairing.add(Role.VISIBLE, START_NS + index * 33 * MS, index, fusing=False)
        jobs += pairing.add(Role.THERMAL, START_NS + index * 33 * MS, index, fusing=False)

    assert [(job.visible, job.thermal) for job in jobs] == [(0, None), (1, None), (2, None)]


def test_after_a_jump_back_images_alone_belong_to_the_new_generation() -> None:
    pairing = make_pairing()
    alone = [pairing.add(Role.VISIBLE, START_NS + i * 33 * MS, i) for i in range(40)][-1]
    after = [pairing.add(Role.VISIBLE, START_NS + i * 33 * MS, i) for i in range(2)]

    # Thermal was lost and still is: nothing is waited for again.
    assert [len(jobs) for jobs in after] == [1, 1]
    assert after[0][0].generation == alone[0].generation + 1
