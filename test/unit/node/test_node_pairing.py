"""Pairs by role, and the measured offset that explains why nothing matches."""

from ir_vis_fusion.config import SynchronizerSettings
from ir_vis_fusion.node.pairing import Pairing
from ir_vis_fusion.types import Role
import pytest

MS = 1_000_000
START_NS = 1_000_000 * MS


def feed(pairing: Pairing, count: int, offset_ms: int) -> list:
    pairs = []
    for index in range(count):
        stamp_ns = START_NS + index * 33 * MS
        pairs += pairing.add(Role.THERMAL, stamp_ns + offset_ms * MS, f'thermal {index}')
        pairs += pairing.add(Role.VISIBLE, stamp_ns, f'visible {index}')
    return pairs


def test_images_of_one_moment_become_pairs() -> None:
    pairing = Pairing(SynchronizerSettings())

    pairs = feed(pairing, 5, offset_ms=2)

    assert [(pair.thermal, pair.visible) for pair in pairs[:2]] == [
        ('thermal 0', 'visible 0'),
        ('thermal 1', 'visible 1'),
    ]
    assert pairing.counters().visible_received == 5


def test_the_offset_is_measured_where_nothing_matches() -> None:
    pairing = Pairing(SynchronizerSettings())

    assert pairing.measured_offset_ms() is None
    assert feed(pairing, 10, offset_ms=5000) == []
    assert pairing.measured_offset_ms() == pytest.approx(5000)


def test_with_the_visible_image_first_the_offset_is_right_to_a_thermal_period() -> None:
    pairing = Pairing(SynchronizerSettings())

    for index in range(10):
        stamp_ns = START_NS + index * 33 * MS
        pairing.add(Role.VISIBLE, stamp_ns, f'visible {index}')
        pairing.add(Role.THERMAL, stamp_ns + 5000 * MS, f'thermal {index}')

    assert pairing.measured_offset_ms() == pytest.approx(5000 - 33)


def test_a_jump_of_the_clock_is_counted_once_and_a_reset_is_not() -> None:
    pairing = Pairing(SynchronizerSettings())
    feed(pairing, 5, offset_ms=0)

    pairing.reset(clock_jumped=True)
    feed(pairing, 5, offset_ms=0)
    pairing.reset()

    assert pairing.counters().jumps == 1


def test_a_reset_raises_the_generation_and_forgets_the_offset() -> None:
    pairing = Pairing(SynchronizerSettings())
    (before, *_) = feed(pairing, 5, offset_ms=0)
    pairing.reset()

    assert pairing.measured_offset_ms() is None
    (after, *_) = feed(pairing, 5, offset_ms=0)
    assert after.generation == before.generation + 1
