"""The ladder: what is published alone and when both are fused, by stamps only."""

from collections.abc import Iterator
from typing import NamedTuple

from ir_vis_fusion.config import SynchronizerSettings
from ir_vis_fusion.errors import ConfigError
from ir_vis_fusion.node.ladder import Ladder, mean_luma
from ir_vis_fusion.node.pairing import Pairing
from ir_vis_fusion.node.parameters import LadderSettings
from ir_vis_fusion.types import Frame, Mode, PixelEncoding, Role
import numpy as np
import pytest

hypothesis = pytest.importorskip('hypothesis')
strategies = hypothesis.strategies
# Machines differ in speed, and a failure has to come back.
settings = hypothesis.settings(deadline=None, derandomize=True)

MS = 1_000_000
START_MS = 1_000_000
T, V = Role.THERMAL, Role.VISIBLE


class Cameras:
    """Two cameras with regular stamps, each of which can be silent."""

    def __init__(
        self, thermal_ms: int = 33, visible_ms: int = 33, mode: str = 'both_new', **ladder: float
    ) -> None:
        self.ladder = Ladder(LadderSettings(**ladder), hold=mode == 'hold_thermal')
        self.pairing = Pairing(SynchronizerSettings(mode=mode), self.ladder)
        self.period_ms = {T: thermal_ms, V: visible_ms}
        self.now_ms = START_MS

    def run(self, seconds: float, *silent: Role, fusing: bool = True) -> list[tuple[int, str]]:
        """Return times in ms and kinds (fused, visible, thermal) of what is to be published."""
        begin_ms, jobs = self.now_ms, []
        while self.now_ms < begin_ms + seconds * 1000:
            for role in (T, V):
                if self.now_ms % self.period_ms[role] == 0 and role not in silent:
                    for job in self.pairing.add(role, self.now_ms * MS, role, fusing):
                        kind = 'fused' if job.visible and job.thermal else None
                        jobs.append(
                            (self.now_ms - begin_ms, kind or (job.visible or job.thermal).value)
                        )
            self.now_ms += 1
        return jobs


def kinds(jobs: list[tuple[int, str]]) -> list[str]:
    """Return the kinds in order, repeats left out."""
    return [kind for i, (_, kind) in enumerate(jobs) if i == 0 or jobs[i - 1][1] != kind]


def test_two_good_cameras_are_fused_from_the_first_pair_on() -> None:
    jobs = Cameras().run(1.0)

    assert kinds(jobs) == ['fused']
    assert jobs[0][0] < 40


def test_visible_images_come_alone_200_ms_after_the_last_pair_and_each_of_them() -> None:
    cameras = Cameras()
    last_ms = cameras.run(1.0)[-1][0] - 1000

    alone = cameras.run(1.0, T)

    assert kinds(alone) == ['visible']
    assert 200 < alone[0][0] - last_ms <= 200 + 2 * 33
    assert len(alone) >= 23


def test_thermal_that_comes_back_is_fused_again_after_200_ms_and_no_visible_image_is_lost() -> (
    None
):
    cameras = Cameras()
    cameras.run(1.0)
    cameras.run(1.0, T)

    jobs = cameras.run(1.0)

    assert kinds(jobs) == ['visible', 'fused']
    first_ms = next(ms for ms, kind in jobs if kind == 'fused')
    assert 200 <= first_ms <= 200 + 3 * 33
    assert len(jobs) == pytest.approx(1000 / 33, abs=1)


def test_thermal_images_come_alone_200_ms_after_the_last_visible_one() -> None:
    cameras = Cameras()
    cameras.run(1.0)

    alone = cameras.run(1.0, V)
    back = cameras.run(1.0)

    assert kinds(alone) == ['thermal']
    assert 150 <= alone[0][0] <= 200 + 2 * 33
    assert kinds(back) == ['thermal', 'fused']
    assert next(ms for ms, kind in back if kind == 'fused') <= 200 + 3 * 33


def test_times_are_as_the_parameters_say() -> None:
    cameras = Cameras(thermal_lost_ms=400.0, thermal_back_ms=600.0)
    cameras.run(1.0)

    lost = cameras.run(1.0, T)
    back = cameras.run(1.0)

    assert 400 - 33 <= lost[0][0] <= 400 + 2 * 33
    assert 600 <= next(ms for ms, kind in back if kind == 'fused') <= 600 + 3 * 33


@pytest.mark.parametrize('mode', ['both_new', 'hold_thermal'])
def test_a_9_hz_thermal_camera_is_not_lost_between_its_images(mode: str) -> None:
    jobs = Cameras(thermal_ms=111, mode=mode).run(5.0)

    assert kinds(jobs[1:]) == ['fused']


def test_cameras_of_2_hz_are_fused_and_only_a_second_and_more_without_thermal_is_a_loss() -> None:
    cameras = Cameras(thermal_ms=500, visible_ms=500)
    cameras.run(3.0)
    assert kinds(cameras.run(5.0)) == ['fused']

    assert cameras.run(4.0, T)[0][0] <= 2000


def test_cameras_whose_stamps_never_meet_give_the_visible_image() -> None:
    cameras = Cameras()
    jobs = []
    for index in range(100):
        stamp_ns = (START_MS + 33 * index) * MS
        jobs += cameras.pairing.add(T, stamp_ns + 8_000 * MS, T)
        jobs += cameras.pairing.add(V, stamp_ns, V)

    assert {(job.thermal, job.visible) for job in jobs} == {(None, V)}
    assert len(jobs) > 60


def test_a_gap_in_the_visible_stream_is_no_loss_of_the_thermal_one() -> None:
    cameras = Cameras()
    cameras.run(1.0)
    cameras.run(3.0, V, T)

    assert kinds(cameras.run(1.0)) == ['fused']


def test_both_back_after_thermal_was_alone_for_long_are_no_loss_of_the_visible_one() -> None:
    cameras = Cameras()
    cameras.run(1.0)
    cameras.run(5.0, V)
    cameras.run(5.0, T)

    assert kinds(cameras.run(1.0)) == ['visible', 'fused']


def test_with_thermal_lost_the_first_visible_image_ends_the_thermal_ones() -> None:
    cameras = Cameras()
    cameras.run(1.0)
    cameras.run(1.0, T)
    assert kinds(cameras.run(1.0, V)) == ['thermal']

    # Stamps that cannot be paired: nothing is fused, so there is nothing to wait for.
    jobs = []
    for index in range(10):
        stamp_ns = (cameras.now_ms + 33 * index) * MS
        jobs += cameras.pairing.add(V, stamp_ns, V)
        jobs += cameras.pairing.add(T, stamp_ns + 5_000 * MS, T)

    assert {job.visible for job in jobs} == {V}


def test_a_thermal_image_that_fails_leaves_the_visible_ones_until_it_is_back() -> None:
    cameras = Cameras()
    cameras.run(1.0)

    cameras.ladder.fail_thermal()
    jobs = cameras.run(1.0)

    assert kinds(jobs) == ['visible', 'fused']


def test_without_fusing_visible_images_come_alone_and_fusing_goes_on_at_once() -> None:
    cameras = Cameras()
    cameras.run(1.0)

    assert kinds(cameras.run(1.0, fusing=False)) == ['visible']
    assert kinds(cameras.run(1.0)) == ['fused']


def test_darkness_takes_its_time_and_has_hysteresis() -> None:
    ladder = Ladder(LadderSettings(dark_below=2.0, bright_above=4.0, dark_ms=100, bright_ms=200))
    lumas = [1.0] * 3 + [9.0] + [1.0] * 6 + [3.0] * 6 + [9.0] * 8

    modes = [ladder.choose(luma, START_MS * MS + i * 33 * MS) for i, luma in enumerate(lumas)]

    # 3 dark ones are 66 ms; 1 bright one begins anew; 100 ms after the fifth is the ninth.
    assert modes.index(Mode.THERMAL_ONLY) == 8
    # 3.0 is below what ends the darkness; the first bright one is the 17th, 200 ms are 7 steps.
    assert [i for i in range(8, len(modes)) if modes[i] is Mode.FUSED] == [23]


def test_darkness_never_comes_where_the_limit_is_0() -> None:
    ladder = Ladder(LadderSettings(dark_below=0.0))

    assert {ladder.choose(0.0, START_MS * MS + i * MS) for i in range(2000)} == {Mode.FUSED}


def test_limits_of_darkness_without_hysteresis_are_refused() -> None:
    with pytest.raises(ConfigError, match=r'bright_above \(1\) must be at least dark_below \(2\)'):
        LadderSettings(dark_below=2.0, bright_above=1.0)


@pytest.mark.parametrize(
    ('encoding', 'pixel', 'luma'),
    [
        (PixelEncoding.RGB8, (200, 100, 50), 0.299 * 200 + 0.587 * 100 + 0.114 * 50),
        (PixelEncoding.BGR8, (50, 100, 200), 0.299 * 200 + 0.587 * 100 + 0.114 * 50),
    ],
)
def test_mean_luma_knows_the_order_of_colours(
    encoding: PixelEncoding, pixel: tuple, luma: float
) -> None:
    frame = Frame(np.full((48, 64, 3), pixel, np.uint8), encoding)

    assert mean_luma(frame) == pytest.approx(luma)


class Event(NamedTuple):
    role: Role
    step_ms: int
    fails: bool
    fusing: bool


EVENTS = strategies.lists(
    strategies.builds(
        Event,
        role=strategies.sampled_from(Role),
        step_ms=strategies.one_of(
            strategies.integers(-50, 150), strategies.sampled_from([-5000, 3000])
        ),
        fails=strategies.booleans(),
        fusing=strategies.sampled_from([True, True, True, False]),
    ),
    max_size=200,
)


def replayed(events: list[Event], ladder: Ladder) -> Iterator:
    pairing = Pairing(SynchronizerSettings(), ladder)
    now_ms = dict.fromkeys(Role, START_MS)
    for event in events:
        now_ms[event.role] += event.step_ms
        if event.fails:
            ladder.fail_thermal()
        yield from pairing.add(event.role, now_ms[event.role] * MS, event.role, event.fusing)


@settings
@hypothesis.given(EVENTS)
def test_whatever_comes_no_visible_image_is_used_twice_and_stamps_of_each_kind_rise(
    events: list[Event],
) -> None:
    last: dict[tuple[int, bool], int] = {}
    for job in replayed(events, Ladder(LadderSettings())):
        key = (job.generation, job.visible is not None)
        assert job.stamp_ns > last.get(key, 0)
        last[key] = job.stamp_ns
        assert job.visible or job.thermal


@settings
@hypothesis.given(EVENTS)
def test_whatever_was_before_two_good_cameras_are_fused_within_a_second(
    events: list[Event],
) -> None:
    cameras = Cameras()
    for _ in replayed(events, cameras.ladder):
        pass
    cameras.ladder.restart()

    cameras.run(0.5)

    assert kinds(cameras.run(1.0)) == ['fused']


@settings
@hypothesis.given(EVENTS, strategies.sampled_from([T, V]))
def test_whatever_was_before_one_good_camera_is_published_within_1_5_s(
    events: list[Event], silent: Role
) -> None:
    cameras = Cameras()
    for _ in replayed(events, cameras.ladder):
        pass
    cameras.ladder.restart()
    cameras.run(1.5, silent)

    jobs = cameras.run(1.0, silent)

    assert kinds(jobs) == [(V if silent is T else T).value]
    assert len(jobs) == pytest.approx(1000 / 33, abs=1)
