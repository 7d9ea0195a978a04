"""Which images become pairs, by tables of rates, offsets, gaps and orders of arrival."""

import random

from ir_vis_fusion.config import SynchronizerSettings
from ir_vis_fusion.synchronization import PairSynchronizer
import pytest

MS = 1_000_000
START = 1_000_000_000


def stamps(rate_hz, seconds=10.0, phase_ms=0.0, jitter_ms=0.0, seed=0):
    generator = random.Random(seed)
    return [
        START
        + round((i * 1000 / rate_hz + phase_ms + generator.uniform(-jitter_ms, jitter_ms)) * MS)
        for i in range(int(rate_hz * seconds))
    ]


def by_time(thermal, visible, visible_first=False):
    events = [(stamp, int(visible_first), 'thermal') for stamp in thermal]
    events += [(stamp, 1 - int(visible_first), 'visible') for stamp in visible]
    return [(kind, stamp) for stamp, _, kind in sorted(events)]


def feed(synchronizer, events, flush=True):
    """Return (thermal stamp, visible stamp) of all pairs; the items are the stamps."""
    pairs = []
    for kind, stamp in events:
        add = synchronizer.add_thermal if kind == 'thermal' else synchronizer.add_visible
        pairs += add(stamp, stamp)
    pairs += synchronizer.flush() if flush else []
    return [(pair.thermal, pair.visible) for pair in pairs]


def make(**settings):
    return PairSynchronizer(SynchronizerSettings(**settings))


@pytest.mark.parametrize('jitter_ms', [0.0, 2.0])
@pytest.mark.parametrize('phase_ms', [0.0, 4.0])
@pytest.mark.parametrize(
    ('thermal_hz', 'visible_hz'),
    [(9, 30), (9, 60), (30, 30), (30, 9), (30, 60), (60, 30), (60, 60), (60, 9)],
)
def test_every_image_of_the_slower_stream_finds_its_partner(
    thermal_hz, visible_hz, phase_ms, jitter_ms
):
    thermal = stamps(thermal_hz, jitter_ms=jitter_ms, seed=1)
    visible = stamps(visible_hz, phase_ms=phase_ms, jitter_ms=jitter_ms, seed=2)
    pairs = feed(make(), by_time(thermal, visible))
    # The last image may have lost its nearest neighbour to the end of the other stream.
    assert len(pairs) >= 10 * min(thermal_hz, visible_hz) - 1
    assert all(abs(t - v) <= 20 * MS for t, v in pairs)


@pytest.mark.parametrize('phase_ms', [13.0, 16.0, 16.667, 17.0, 20.0])
def test_free_running_cameras_half_a_period_apart_lose_no_pairs(phase_ms):
    thermal = stamps(30, jitter_ms=1.0, seed=1)
    visible = stamps(30, phase_ms=phase_ms, jitter_ms=1.0, seed=2)
    assert len(feed(make(), by_time(thermal, visible))) >= 299


@pytest.mark.parametrize('visible_hz', [30, 60])
@pytest.mark.parametrize('phase_ms', [0.0, 5.0, 20.0])
def test_hold_thermal_uses_every_visible_image_with_a_slow_thermal_camera(visible_hz, phase_ms):
    thermal = stamps(9)
    visible = stamps(visible_hz, phase_ms=phase_ms)
    pairs = feed(make(mode='hold_thermal'), by_time(thermal, visible))
    assert [v for _, v in pairs] == visible
    for t, v in pairs:
        assert t in [s for s in thermal if s <= v + 20 * MS][-2:]
        # A thermal period, and the visible images after the last thermal one.
        assert -20 * MS <= v - t <= 132 * MS


@pytest.mark.parametrize('mode', ['both_new', 'hold_thermal'])
@pytest.mark.parametrize('visible_first', [False, True])
def test_equal_stamps_pair_whichever_message_arrives_first(mode, visible_first):
    stream = stamps(30)
    pairs = feed(make(mode=mode), by_time(stream, stream, visible_first))
    assert pairs == [(stamp, stamp) for stamp in stream]


@pytest.mark.parametrize('mode', ['both_new', 'hold_thermal'])
def test_a_pair_of_equal_stamps_is_returned_with_its_second_message(mode):
    synchronizer = make(mode=mode)
    for i in range(5):
        assert synchronizer.add_visible(START + i * 33 * MS, i) == []
        (pair,) = synchronizer.add_thermal(START + i * 33 * MS, i)
        assert (pair.thermal, pair.visible, pair.offset_ns, pair.generation) == (i, i, 0, 0)
        assert pair.visible_stamp_ns == START + i * 33 * MS


def test_a_known_period_saves_the_wait_for_the_next_image():
    synchronizer = make()
    feed(synchronizer, by_time(stamps(30, 1.0), stamps(30, 1.0, phase_ms=10.0)), flush=False)
    assert synchronizer.add_thermal(START + 1000 * MS, 't') == []
    assert len(synchronizer.add_visible(START + 1010 * MS, 'v')) == 1


def test_the_nearest_wins_over_the_first():
    # ApproximateTimeSynchronizer pairs thermal 1.033 with visible 1.015 here.
    events = [('visible', 1015 * MS), ('thermal', 1033 * MS), ('visible', 1034 * MS)]
    assert feed(make(), events) == [(1033 * MS, 1034 * MS)]


def test_an_offset_of_exactly_the_limit_is_a_pair_and_one_beyond_is_not():
    at_limit = [('thermal', START), ('visible', START + 20 * MS)]
    beyond = [('thermal', START), ('visible', START + 20 * MS + 1)]
    assert len(feed(make(), at_limit)) == 1
    assert feed(make(), beyond) == []
    assert len(feed(make(max_offset_ms=0.0), [('thermal', START), ('visible', START)])) == 1


def test_the_time_offset_corrects_thermal_stamps():
    visible = stamps(30, 1.0)
    late = [stamp + 40 * MS for stamp in visible]
    synchronizer = make(thermal_time_offset_ms=-40.0)
    pairs = feed(synchronizer, by_time(late, visible))
    assert pairs == list(zip(late, visible, strict=True))
    assert synchronizer.counters.offset_mean_ms == 0.0


def test_offsets_are_thermal_minus_visible_with_mean_and_percentile():
    synchronizer = make()
    visible = stamps(10, 10.0)
    thermal = [v - (1 if i < 90 else 6) * MS for i, v in enumerate(visible)]
    feed(synchronizer, by_time(thermal, visible))
    counters = synchronizer.counters
    assert counters.matched == 100
    assert counters.offset_mean_ms == pytest.approx(-1.5)
    assert counters.offset_p95_ms == pytest.approx(6.0)


@pytest.mark.parametrize('mode', ['both_new', 'hold_thermal'])
def test_a_gap_in_the_thermal_stream_costs_only_its_own_images(mode):
    visible = stamps(30)
    thermal = [s for s in visible if not START + 3000 * MS <= s < START + 6000 * MS]
    synchronizer = make(mode=mode)
    pairs = feed(synchronizer, by_time(thermal, visible))
    held = 7 if mode == 'hold_thermal' else 0  # 250 ms at 30 Hz
    assert len(pairs) == 210 + held
    assert synchronizer.counters.visible_unmatched == 90 - held
    assert pairs[-1] == (visible[-1], visible[-1])


@pytest.mark.parametrize('mode', ['both_new', 'hold_thermal'])
def test_a_visible_image_does_not_wait_longer_than_max_wait_for_a_silent_camera(mode):
    synchronizer = make(mode=mode)
    for i in range(50):
        synchronizer.add_visible(START + i * 33 * MS, i)
        assert synchronizer.counters.visible_unmatched == max(0, i - 1)


@pytest.mark.parametrize('mode', ['both_new', 'hold_thermal'])
def test_a_silent_visible_camera_leaves_memory_bounded(mode):
    synchronizer = make(mode=mode)
    assert feed(synchronizer, [('thermal', s) for s in stamps(60)], flush=False) == []
    assert synchronizer.counters.overflow == 600 - 32
    assert synchronizer.flush() == []
    assert synchronizer.counters.thermal_unmatched == 32


def test_hold_thermal_takes_no_thermal_image_that_is_too_old():
    events = [('thermal', START)] + [('visible', START + i * 50 * MS) for i in range(10)]
    pairs = feed(make(mode='hold_thermal', max_thermal_age_ms=100.0), events)
    assert [(v - START) // MS for _, v in pairs] == [0, 50, 100]


def test_hold_thermal_counts_thermal_images_that_were_never_used():
    synchronizer = make(mode='hold_thermal')
    pairs = feed(synchronizer, by_time(stamps(60, 1.0), stamps(30, 1.0)))
    assert len(pairs) == 30
    assert synchronizer.counters.thermal_unmatched == 30


def test_flush_decides_what_waits_for_a_nearer_image():
    synchronizer = make()
    assert synchronizer.add_thermal(START, 't') == []
    assert synchronizer.add_visible(START + 15 * MS, 'v') == []
    (pair,) = synchronizer.flush()
    assert (pair.thermal, pair.visible, pair.offset_ns) == ('t', 'v', -15 * MS)
    assert synchronizer.flush() == []
