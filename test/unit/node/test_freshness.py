"""Nothing stale, stamps that strictly increase, and stamps of another clock told from old ones."""

from ir_vis_fusion.node.freshness import Freshness
import pytest

MS = 1_000_000
S = 1_000 * MS
NOW_NS = 1_000_000 * S


def stale(
    freshness: Freshness,
    age_ms: float,
    now_s: float = 0.0,
    waited_s: float = 0.0,
    generation: int = 0,
) -> bool:
    stamp_ns = NOW_NS - round(age_ms * MS)
    return freshness.is_stale(stamp_ns, generation, NOW_NS, now_s - waited_s, now_s)


def test_an_image_is_stale_beyond_the_limit_and_not_at_it() -> None:
    freshness = Freshness(1000.0, 500.0)

    assert not stale(freshness, 1000.0)
    assert stale(freshness, 1000.1)
    assert not stale(freshness, -3000.0)


def test_without_a_limit_nothing_is_stale() -> None:
    assert not stale(Freshness(0.0, 500.0), 9000.0)


def test_stamps_of_another_clock_are_stale_by_the_time_since_they_arrived() -> None:
    freshness = Freshness(1000.0, 500.0)

    assert not stale(freshness, 3_600_000.0, waited_s=0.9)
    assert stale(freshness, 3_600_000.0, waited_s=1.1)
    assert not stale(freshness, -3_600_000.0, waited_s=0.9)


def test_a_live_stream_that_falls_12_s_behind_is_stale_and_not_of_another_clock() -> None:
    freshness = Freshness(1000.0, 500.0)
    assert not stale(freshness, 30.0, now_s=0.0)

    assert stale(freshness, 12_000.0, now_s=1.0)
    assert stale(freshness, 12_000.0, now_s=1.9)
    assert not stale(freshness, 30.0, now_s=2.5)


def test_a_clock_that_was_set_is_another_clock_after_a_second_of_nothing_else() -> None:
    freshness = Freshness(1000.0, 500.0)
    assert not stale(freshness, 30.0, now_s=0.0)

    assert [stale(freshness, 60_000.0, now_s=10 + i / 2) for i in range(4)] == [
        True, True, False, False,
    ]  # fmt: skip
    # And back, at once as good, for the image came just now.
    assert [stale(freshness, 30.0, now_s=20 + i / 2) for i in range(4)] == [False] * 4
    assert stale(freshness, 1_500.0, now_s=22.0)


def test_another_generation_of_stamps_may_be_of_another_clock_at_once() -> None:
    freshness = Freshness(1000.0, 500.0)
    assert not stale(freshness, 30.0)

    assert not stale(freshness, 60_000.0, now_s=0.1, generation=1)


def test_stamps_strictly_increase_within_a_generation() -> None:
    freshness = Freshness(1000.0, 500.0)
    stamps_ms = [100, 133, 133, 120, 134, 10]

    taken = [freshness.takes(NOW_NS + stamp * MS, 0) for stamp in stamps_ms]

    assert taken == [True, True, False, False, True, False]
    assert freshness.takes(NOW_NS + 20 * MS, 1)


@pytest.mark.parametrize(('back_ms', 'taken'), [(500, False), (501, True)])
def test_a_stamp_far_back_is_of_the_other_camera_and_begins_a_new_order(
    back_ms: int, taken: bool
) -> None:
    freshness = Freshness(1000.0, 500.0)
    freshness.takes(NOW_NS, 0)

    assert freshness.takes(NOW_NS - back_ms * MS, 0) is taken
    assert freshness.takes(NOW_NS - back_ms * MS + MS, 0) is taken
