"""What the soak says of what it found."""

from collections.abc import Callable

import pytest

pytest.importorskip('rclpy')

from soak import missed, Sample, verdict  # noqa: E402 - it wants rclpy


def samples(
    published: Callable[[int], int] = lambda second: 30 * second,
    resident_mb: Callable[[int], float] = lambda second: 700.0,
    descriptors: Callable[[int], int] = lambda second: 25,
) -> list[Sample]:
    """Return ten minutes, a sample a second."""
    return [
        Sample(
            at_s=float(second),
            matched=30 * second,
            published=published(second),
            published_fused=29 * second,
            dropped_busy=0,
            failed=0,
            received=published(second),
            latency_p50_ms=15.0,
            latency_p95_ms=20.0,
            resident_mb=resident_mb(second),
            descriptors=descriptors(second),
        )
        for second in range(1, 601)
    ]


def test_all_is_well_where_only_the_warm_up_takes_memory_and_loses_pairs() -> None:
    found = verdict(samples(lambda t: 30 * t - min(t, 50), lambda t: 700 + 5 * min(t, 50)))

    assert found['minutes'] == 9.0
    assert (found['matched'], found['published'], found['share']) == (16200, 16200, 1.0)
    assert found['growth_mb'] == 0
    assert missed(found) == []


@pytest.mark.parametrize(
    ('found', 'words'),
    [
        (samples(published=lambda t: int(29.6 * t)), 'published/matched 0.98'),
        # 25 kB a second; from the middle of the first tenth to that of the last 487 s pass.
        (samples(resident_mb=lambda t: 700 + t / 40), 'memory grew by 12.18 MB'),
        (samples(descriptors=lambda t: 25 + t // 300), 'file descriptors grew by 2'),
    ],
)
def test_a_bar_that_is_missed_is_named(found: list[Sample], words: str) -> None:
    faults = missed(verdict(found))

    assert len(faults) == 1
    assert faults[0].startswith(words)
