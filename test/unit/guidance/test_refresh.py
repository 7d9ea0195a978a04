"""A look at the scene now and then: nobody waits, the newest wins, a failure loses nothing."""

from collections.abc import Iterator
import threading

from ir_vis_fusion.guidance import refresh
from ir_vis_fusion.guidance.refresh import Refresher, Sight
import pytest
import torch

TIMEOUT_S = 60


class Eye:
    """A look that begins and ends when the test says so; a scene is a number."""

    def __init__(self) -> None:
        self.scenes: list[float] = []
        self.begun = threading.Semaphore(0)
        self.go_on = threading.Semaphore(0)
        self.blind = False

    def look(self, scene: float) -> Sight:
        self.scenes.append(scene)
        self.begun.release()
        assert self.go_on.acquire(timeout=TIMEOUT_S)
        if self.blind:
            raise RuntimeError('out of memory')
        return Sight({'vis_features': torch.tensor([[scene]])}, f'scene {scene}', scene)

    def end(self) -> None:
        """Let the look under way end."""
        self.go_on.release()

    def await_begin(self) -> None:
        assert self.begun.acquire(timeout=TIMEOUT_S)


@pytest.fixture
def eye() -> Eye:
    return Eye()


@pytest.fixture
def refresher(eye: Eye) -> Iterator[Refresher]:
    refresher = Refresher(eye.look, period_s=0.0)
    yield refresher
    for _ in range(9):
        eye.end()
    refresher.close()


def seen(refresher: Refresher) -> float | None:
    """Return what is in force, without offering anything."""
    sight = refresher._sight
    return sight and sight.features['vis_features'].item()


def test_the_frame_path_does_not_wait_and_the_newest_scene_is_looked_at_next(
    eye: Eye, refresher: Refresher
) -> None:
    assert refresher.latest(1.0) is None
    eye.await_begin()
    assert [refresher.latest(scene) for scene in (2.0, 3.0, 4.0)] == [None] * 3
    eye.end()
    eye.await_begin()
    assert seen(refresher) == 1.0
    assert refresher.latest(5.0).words == 'scene 1.0'
    eye.end()
    eye.await_begin()
    assert seen(refresher) == 4.0
    assert eye.scenes == [1.0, 4.0, 5.0]


def test_within_the_period_no_scene_is_looked_at(
    eye: Eye, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(refresh.time, 'monotonic', lambda: now[0])
    refresher = Refresher(eye.look, period_s=2.0)
    refresher.latest(1.0)
    eye.await_begin()
    eye.end()
    now[0] = 101.9
    refresher.latest(2.0)
    now[0] = 102.0
    refresher.latest(3.0)
    eye.await_begin()
    eye.end()
    refresher.close()
    assert eye.scenes == [1.0, 3.0]
    assert seen(refresher) == 3.0


def test_a_failure_is_counted_and_what_was_seen_stays(eye: Eye, refresher: Refresher) -> None:
    refresher.latest(1.0)
    eye.await_begin()
    eye.end()
    refresher.latest(2.0)
    eye.await_begin()
    eye.blind = True
    eye.end()
    refresher.latest(3.0)
    eye.await_begin()
    assert (refresher.failures, refresher.fault) == (1, 'RuntimeError: out of memory')
    assert seen(refresher) == 1.0
    eye.blind = False
    eye.end()
    refresher.latest(4.0)
    eye.await_begin()
    assert (refresher.failures, refresher.fault) == (1, '')
    assert seen(refresher) == 3.0


def test_a_reset_forgets_what_was_seen_and_what_is_being_looked_at(
    eye: Eye, refresher: Refresher
) -> None:
    refresher.latest(1.0)
    eye.await_begin()
    eye.end()
    refresher.latest(2.0)
    eye.await_begin()
    assert seen(refresher) == 1.0
    refresher.latest(3.0)
    refresher.reset()
    assert seen(refresher) is None
    refresher.latest(4.0)
    eye.end()
    eye.await_begin()
    assert seen(refresher) is None
    eye.end()
    refresher.close()
    assert seen(refresher) == 4.0
    assert eye.scenes == [1.0, 2.0, 4.0]


def test_what_was_seen_is_in_force_for_a_while_after_the_next_look_was_due(
    eye: Eye, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [100.0]
    monkeypatch.setattr(refresh.time, 'monotonic', lambda: now[0])
    refresher = Refresher(eye.look, period_s=2.0, max_age_s=5.0)
    refresher.latest(100.0)
    eye.await_begin()
    eye.end()
    now[0] = 102.0
    refresher.latest(0.0)
    eye.await_begin()

    # Seen at 100, due again at 102, and the look under way does not end.
    now[0] = 107.0
    assert refresher.latest(0.0).words == 'scene 100.0'
    now[0] = 107.1
    assert refresher.latest(0.0) is None

    eye.end()
    eye.end()
    refresher.close()
