"""Rate, age and loss of a stream."""

from ir_vis_fusion.node.meter import StreamMeter
import pytest

MS = 1_000_000
NOW_NS = 1_000_000_000 * MS


def fed(stamps_ms: list[int], age_ms: float = 5.0) -> StreamMeter:
    meter = StreamMeter()
    for stamp_ms in stamps_ms:
        stamp_ns = NOW_NS + stamp_ms * MS
        meter.add(stamp_ns, stamp_ns + round(age_ms * MS), (stamp_ms + age_ms) / 1e3)
    return meter


def test_nothing_is_known_of_a_stream_without_images() -> None:
    meter = StreamMeter()

    assert (meter.rate_hz(1.0), meter.age_ms(), meter.lost, meter.last_s) == (None, None, 0, None)


def test_rate_and_age_are_those_of_the_stream() -> None:
    meter = fed([40 * i for i in range(100)])

    assert meter.rate_hz(99 * 0.04 + 0.02) == pytest.approx(25.0)
    assert meter.age_ms() == pytest.approx(5.0)
    assert meter.last_s == pytest.approx(99 * 0.04 + 0.005)


def test_the_rate_of_a_silent_stream_falls() -> None:
    meter = fed([40 * i for i in range(100)])

    assert meter.rate_hz(meter.last_s + 10) == pytest.approx(0.2)


def test_images_that_are_missing_in_the_rhythm_are_counted_and_jitter_is_not() -> None:
    stamps = [40 * i + (-1) ** i * 5 for i in range(100) if i not in (50, 60, 61)]

    assert fed(stamps).lost == 3


def test_pauses_and_jumps_are_no_losses() -> None:
    first = [40 * i for i in range(20)]
    later = [5000 + 40 * i for i in range(20)]

    assert fed([*first, *later, *first]).lost == 0


def test_the_age_is_not_told_where_the_stamps_are_of_another_clock() -> None:
    assert fed([0, 40, 80], age_ms=3_600_000).age_ms() is None
