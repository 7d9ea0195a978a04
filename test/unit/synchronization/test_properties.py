"""What holds for any two streams, found by hypothesis."""

from ir_vis_fusion.config import SynchronizerSettings
from ir_vis_fusion.synchronization import PairSynchronizer
import pytest

hypothesis = pytest.importorskip('hypothesis')
st = hypothesis.strategies
# Machines differ in speed, and a failure has to come back.
settings = hypothesis.settings(deadline=None, derandomize=True)

MS = 1_000_000

# Any order, doubles, zero and jumps included.
EVENTS = st.lists(
    st.tuples(st.sampled_from(['thermal', 'visible']), st.integers(0, 3000)), max_size=120
)
# Two clean streams, in order of time.
STREAM = st.lists(st.integers(1, 100), min_size=1, max_size=60).map(
    lambda steps: [sum(steps[: i + 1]) for i in range(len(steps))]
)
MODES = st.sampled_from(['both_new', 'hold_thermal'])


def feed(synchronizer, events):
    pairs = []
    for number, (kind, stamp_ms) in enumerate(events):
        add = synchronizer.add_thermal if kind == 'thermal' else synchronizer.add_visible
        pairs += add(stamp_ms * MS, (number, stamp_ms))
    return pairs + synchronizer.flush()


@settings
@hypothesis.given(events=EVENTS, mode=MODES, max_offset_ms=st.sampled_from([0.0, 5.0, 20.0]))
def test_pairs_are_in_order_within_limits_and_use_no_image_twice(events, mode, max_offset_ms):
    synchronizer = PairSynchronizer(
        SynchronizerSettings(mode=mode, max_offset_ms=max_offset_ms, jump_back_ms=300.0)
    )
    pairs = feed(synchronizer, events)
    order = [(pair.generation, pair.visible_stamp_ns) for pair in pairs]
    assert order == sorted(set(order))
    assert len({pair.visible for pair in pairs}) == len(pairs)
    if mode == 'both_new':
        assert len({pair.thermal for pair in pairs}) == len(pairs)
    oldest_ms = max_offset_ms if mode == 'both_new' else 250.0
    for pair in pairs:
        assert pair.offset_ns == (pair.thermal[1] - pair.visible[1]) * MS
        assert -oldest_ms * MS <= pair.offset_ns <= max_offset_ms * MS


@settings
@hypothesis.given(events=EVENTS, mode=MODES)
def test_every_image_is_accounted_for(events, mode):
    synchronizer = PairSynchronizer(SynchronizerSettings(mode=mode, jump_back_ms=300.0))
    pairs = feed(synchronizer, events)
    counters = synchronizer.counters
    used = len({pair.thermal for pair in pairs})
    assert counters.matched == len(pairs)
    assert counters.thermal_received + counters.visible_received == len(events)
    assert len(events) == (
        used
        + len(pairs)
        + counters.thermal_unmatched
        + counters.visible_unmatched
        + counters.out_of_order
        + counters.invalid_stamp
        + counters.overflow
    )


@settings
@hypothesis.given(thermal=STREAM, visible=STREAM, swap=st.booleans())
def test_images_of_equal_stamps_are_never_both_left_alone(thermal, visible, swap):
    events = [(stamp, swap, 'thermal') for stamp in thermal]
    events += [(stamp, not swap, 'visible') for stamp in visible]
    synchronizer = PairSynchronizer(SynchronizerSettings(max_wait_ms=1000.0))
    pairs = feed(synchronizer, [(kind, stamp) for stamp, _, kind in sorted(events)])
    used_thermal = {pair.thermal[1] for pair in pairs}
    used_visible = {pair.visible[1] for pair in pairs}
    for stamp in set(thermal) & set(visible):
        assert stamp in used_thermal or stamp in used_visible


@settings
@hypothesis.given(
    kind=st.sampled_from(['thermal', 'visible']), mode=MODES, period_ms=st.integers(1, 200)
)
def test_memory_is_bounded_when_the_other_stream_is_silent(kind, mode, period_ms):
    alive = set()

    class Image:
        def __init__(self):
            alive.add(id(self))

        def __del__(self):
            alive.discard(id(self))

    synchronizer = PairSynchronizer(SynchronizerSettings(mode=mode, max_wait_ms=10_000.0))
    add = synchronizer.add_thermal if kind == 'thermal' else synchronizer.add_visible
    for i in range(1, 200):
        add(i * period_ms * MS, Image())
        assert len(alive) <= 33


# What a broken driver or another clock writes; the wire allows no more than these.
ANY_STAMP = st.one_of(
    st.sampled_from([0, -1, 1, -(2**31) * 10**9, (2**31 - 1) * 10**9 + 2**32 - 1]),
    st.integers(-(2**31) * 10**9, 2**31 * 10**9),
    st.integers(10**18, 10**18 + 10**9),
)


@settings
@hypothesis.given(
    events=st.lists(st.tuples(st.sampled_from(['thermal', 'visible']), ANY_STAMP), max_size=80),
    mode=MODES,
    time_offset_ms=st.sampled_from([0.0, -1e6, 1e6]),
)
def test_any_stamps_are_taken_and_good_streams_are_paired_after_them(events, mode, time_offset_ms):
    offset_ns = round(time_offset_ms * MS)
    synchronizer = PairSynchronizer(
        SynchronizerSettings(mode=mode, thermal_time_offset_ms=time_offset_ms)
    )
    for kind, stamp_ns in events:
        add = synchronizer.add_thermal if kind == 'thermal' else synchronizer.add_visible
        add(stamp_ns, -1)
    # Two periods let the restart be seen; every image after them finds its partner.
    pairs = []
    for i in range(20):
        stamp_ns = 1_700_000_000 * 10**9 + i * 33 * MS
        pairs += synchronizer.add_thermal(stamp_ns - offset_ns, i)
        pairs += synchronizer.add_visible(stamp_ns, i)
    pairs += synchronizer.flush()
    assert {pair.visible for pair in pairs} >= set(range(2, 20))
    assert all(pair.thermal == pair.visible for pair in pairs if pair.visible >= 2)


@settings
@hypothesis.given(
    period_ms=st.integers(10, 120),
    phase=st.floats(0, 1),
    jitter=st.lists(st.floats(-0.06, 0.06), min_size=60, max_size=60),
)
def test_two_cameras_of_one_rate_lose_no_image_to_jitter(period_ms, phase, jitter):
    """Up to a sixteenth of the period each; twice that is what the rhythm is trusted with."""
    synchronizer = PairSynchronizer(
        SynchronizerSettings(max_offset_ms=float(period_ms), max_wait_ms=10.0 * period_ms)
    )
    period_ns = period_ms * MS
    at_ns = [10**9 + (i // 2) * period_ns + round(jitter[i] * period_ns) for i in range(60)]
    events = [(at_ns[i], 'thermal') for i in range(0, 60, 2)]
    events += [(at_ns[i] + round(phase * period_ns), 'visible') for i in range(1, 60, 2)]
    pairs = []
    for stamp_ns, kind in sorted(events):
        add = synchronizer.add_thermal if kind == 'thermal' else synchronizer.add_visible
        pairs += add(stamp_ns, None)
    pairs += synchronizer.flush()
    # Before the rhythm is known one image may lose its partner, and one has none at the end.
    assert len(pairs) >= 28


@settings
@hypothesis.given(
    thermal_ms=st.integers(20, 200),
    visible_ms=st.integers(10, 100),
    silent=st.integers(0, 40),
)
def test_hold_thermal_never_uses_an_image_older_than_allowed(thermal_ms, visible_ms, silent):
    synchronizer = PairSynchronizer(SynchronizerSettings(mode='hold_thermal'))
    events = [(1000 + i * thermal_ms, 'thermal') for i in range(60) if not 0 <= i - 20 < silent]
    events += [(1000 + i * visible_ms, 'visible') for i in range(120)]
    pairs = feed(synchronizer, [(kind, stamp) for stamp, kind in sorted(events)])
    thermal = sorted(stamp for stamp, kind in events if kind == 'thermal')
    for pair in pairs:
        newest = max(stamp for stamp in thermal if stamp <= pair.visible[1])
        assert newest <= pair.thermal[1] <= pair.visible[1] + 20
        assert pair.visible[1] - pair.thermal[1] <= 250
