"""Stamps that go back, repeat, are missing or are wild."""

from ir_vis_fusion.config import SynchronizerSettings
from ir_vis_fusion.synchronization import PairSynchronizer
import pytest

MS = 1_000_000
START = 1_000_000_000
MODES = pytest.mark.parametrize('mode', ['both_new', 'hold_thermal'])


def make(mode='both_new', **settings):
    return PairSynchronizer(SynchronizerSettings(mode=mode, **settings))


def play(synchronizer, first, last, start_ns=START, visible_first=False):
    pairs = []
    for i in range(first, last):
        stamp = start_ns + i * 33 * MS
        steps = [synchronizer.add_thermal, synchronizer.add_visible]
        for add in reversed(steps) if visible_first else steps:
            pairs += add(stamp, i)
    return pairs


def test_thermal_alone_ends_the_wait_of_the_last_visible_image():
    """The next visible image could be nearer to the thermal one, but it never comes."""
    synchronizer = make(max_wait_ms=50)
    assert synchronizer.add_visible(START, 'v') == []
    assert synchronizer.add_thermal(START + 19 * MS, 't') == []
    pairs = synchronizer.add_thermal(START + 52 * MS, 'later')
    assert [(pair.visible, pair.thermal) for pair in pairs] == [('v', 't')]


@MODES
@pytest.mark.parametrize('visible_first', [False, True])
def test_a_bag_that_loops_gives_all_pairs_in_every_pass(mode, visible_first):
    # message_filters.ApproximateTimeSynchronizer: 100, 4, 100.
    synchronizer = make(mode)
    passes = [play(synchronizer, 0, 100, visible_first=visible_first) for _ in range(3)]
    assert [len(pairs) for pairs in passes] == [100, 100, 100]
    assert [{pair.generation for pair in pairs} for pairs in passes] == [{0}, {1}, {2}]
    assert synchronizer.counters.jumps == 2


@MODES
def test_a_stamp_that_repeats_or_goes_back_a_little_is_dropped_and_counted(mode):
    synchronizer = make(mode)
    play(synchronizer, 0, 10)
    newest = START + 9 * 33 * MS
    for stamp in (newest, newest - 1, newest - 500 * MS):
        assert synchronizer.add_visible(stamp, 'late') == []
        assert synchronizer.add_thermal(stamp, 'late') == []
    assert synchronizer.counters.out_of_order == 6
    assert synchronizer.generation == 0
    assert len(play(synchronizer, 10, 20)) == 10


@MODES
def test_a_stamp_that_goes_back_by_more_resets_both_streams(mode):
    synchronizer = make(mode)
    play(synchronizer, 0, 30)
    synchronizer.add_thermal(START + 30 * 33 * MS, 'waits')
    synchronizer.add_visible(START + 29 * 33 * MS - 500 * MS - 1, 'after the jump')
    counters = synchronizer.counters
    assert (counters.jumps, counters.out_of_order, synchronizer.generation) == (1, 0, 1)
    assert counters.thermal_unmatched == 1


@MODES
@pytest.mark.parametrize('stamp', [0, -5])
def test_images_without_a_stamp_are_dropped_and_counted(mode, stamp):
    synchronizer = make(mode)
    play(synchronizer, 0, 5)
    assert synchronizer.add_thermal(stamp, 'unstamped') == []
    assert synchronizer.add_visible(stamp, 'unstamped') == []
    assert synchronizer.counters.invalid_stamp == 2
    assert synchronizer.generation == 0
    assert len(play(synchronizer, 5, 10)) == 5


@MODES
@pytest.mark.parametrize('stream', ['add_thermal', 'add_visible'])
def test_one_wild_stamp_in_the_future_costs_no_further_pair(mode, stream):
    synchronizer = make(mode)
    play(synchronizer, 0, 30)
    assert getattr(synchronizer, stream)(START + 10**13, 'wild') == []
    assert len(play(synchronizer, 30, 60)) >= 29
    assert synchronizer.counters.jumps == 1


def test_reset_gives_up_what_waits_and_goes_on_in_a_new_generation():
    synchronizer = make()
    synchronizer.add_visible(START, 'before')
    synchronizer.reset()
    assert synchronizer.add_thermal(START, 'after') == []
    (pair,) = synchronizer.add_visible(START, 'again')
    assert (pair.visible, pair.generation) == ('again', 1)
    assert synchronizer.counters.visible_unmatched == 1
    assert synchronizer.counters.jumps == 0


def test_counters_are_a_snapshot():
    synchronizer = make()
    before = synchronizer.counters
    play(synchronizer, 0, 3)
    assert before.matched == 0
    assert synchronizer.counters.matched == 3
    assert synchronizer.counters.thermal_received == 3
