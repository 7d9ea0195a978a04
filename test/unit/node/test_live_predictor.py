"""What is done when a GPU fails, and how another model comes into force."""

from collections.abc import Callable
import threading
import time
from types import SimpleNamespace
from typing import Any

from ir_vis_fusion.config import FrameSettings, unflatten
from ir_vis_fusion.errors import CheckpointError, GuidanceError
from ir_vis_fusion.node.live_predictor import LivePredictor
from ir_vis_fusion.node.parameters import NodeSettings
from ir_vis_fusion.preprocessing.registration import Rig
from ir_vis_fusion.types import Frame, FramePair, FusedFrame, PixelEncoding, ThermalState
import numpy as np
import pytest
import torch

GPU = unflatten(NodeSettings, {'device': 'cuda'})
IMAGE = np.zeros((6, 8, 3), np.uint8)
PAIR = FramePair(
    Frame(IMAGE[..., 0], PixelEncoding.MONO8), Frame(IMAGE, PixelEncoding.RGB8), offset_ns=0
)


class Device:
    """What predictors are made of here; keeps them all, and says what goes wrong."""

    def __init__(self) -> None:
        self.made: list[Any] = []
        self.fails: Callable[[Any], Exception | None] = lambda predictor: None
        self.cannot_build: Callable[[NodeSettings], Exception | None] = lambda settings: None
        self.build_may_go_on = threading.Event()
        self.build_may_go_on.set()

    def make(self, settings: NodeSettings, background: bool) -> Any:
        assert background
        if self.made:
            assert self.build_may_go_on.wait(60)
        if error := self.cannot_build(settings):
            raise error
        predictor = SimpleNamespace(
            settings=settings,
            device=settings.device,
            network=SimpleNamespace(sha256='abc'),
            halved=0,
            closed=threading.Event(),
            warm_ups=[],
            rigs=[],
            calls=0,
        )
        predictor.halve = lambda: setattr(predictor, 'halved', predictor.halved + 1)
        predictor.close = predictor.closed.set
        predictor.warm_up = lambda *size: predictor.warm_ups.append(size)
        predictor.set_rig = predictor.rigs.append
        predictor.check = self._check
        predictor.predict = lambda *what: self._predict(predictor)
        self.made.append(predictor)
        return predictor

    def _check(self, frame: FrameSettings) -> None:
        if frame.prompt == 'unknown':
            raise GuidanceError('no text tower')

    def _predict(self, predictor: Any) -> FusedFrame:
        predictor.calls += 1
        if error := self.fails(predictor):
            raise error
        return FusedFrame(IMAGE, PixelEncoding.RGB8, 0, '', 0, ThermalState.LIVE)


@pytest.fixture
def device() -> Device:
    return Device()


def predict_until(live: LivePredictor, holds: Callable[[], bool]) -> int:
    """Fuse at 200 Hz until something holds and return how many frames failed on the way."""
    failed, deadline = 0, time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        # Without a pause the thread that builds, a nice one, gets no turn on a busy machine.
        time.sleep(0.005)
        try:
            live.predict(PAIR, FrameSettings())
        except RuntimeError:
            failed += 1
    return failed


def no_memory() -> Exception:
    return torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB\ndetails')


def test_where_emptying_the_cache_is_enough_the_frame_is_fused_and_nothing_changes(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    emptied = []
    monkeypatch.setattr(torch.cuda, 'empty_cache', lambda: emptied.append(1))
    live = LivePredictor(device.make, GPU)
    device.fails = lambda predictor: no_memory() if not emptied else None

    assert isinstance(live.predict(PAIR, FrameSettings()), FusedFrame)

    assert len(emptied) == 1
    assert not device.made[0].halved
    assert live.snapshot().recovery == ''
    live.close()


def test_where_it_is_not_the_network_runs_at_half_size(device: Device) -> None:
    live = LivePredictor(device.make, GPU)
    device.fails = lambda predictor: None if predictor.halved else no_memory()

    assert isinstance(live.predict(PAIR, FrameSettings()), FusedFrame)

    told = live.snapshot().recovery
    assert (
        told == 'at half size after OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB'
    )
    assert len(device.made) == 1
    live.close()


def test_where_that_is_too_much_the_network_moves_to_the_cpu_in_the_background(
    device: Device,
) -> None:
    live = LivePredictor(device.make, GPU)
    device.fails = lambda predictor: no_memory() if predictor.device == 'cuda' else None
    device.build_may_go_on.clear()

    with pytest.raises(torch.cuda.OutOfMemoryError):
        live.predict(PAIR, FrameSettings())
    calls = device.made[0].calls
    with pytest.raises(torch.cuda.OutOfMemoryError):
        live.predict(PAIR, FrameSettings())
    assert device.made[0].halved == 1
    # While the other one is built there is one try a frame, not three.
    assert device.made[0].calls == calls + 1
    device.build_may_go_on.set()
    predict_until(live, lambda: live.snapshot().device == 'cpu')

    assert device.made[1].warm_ups == [(6, 8)]
    assert live.snapshot().recovery.startswith('anew on cpu after OutOfMemoryError')
    assert device.made[0].closed.wait(60)
    live.close()


def test_after_an_error_of_cuda_it_is_built_anew_once_and_then_on_the_cpu(device: Device) -> None:
    live = LivePredictor(device.make, GPU)
    device.fails = lambda predictor: (
        RuntimeError('CUDA error: an illegal memory access was encountered')
        if predictor is device.made[0]
        else None
    )
    predict_until(live, lambda: live.current is not device.made[0])
    assert live.snapshot().device == 'cuda'
    assert 'anew on cuda after RuntimeError: CUDA error' in live.snapshot().recovery

    device.fails = lambda predictor: (
        RuntimeError('cuDNN error') if predictor.device == 'cuda' else None
    )
    predict_until(live, lambda: live.snapshot().device == 'cpu')

    assert [predictor.device for predictor in device.made] == ['cuda', 'cuda', 'cpu']
    live.close()


def test_a_gpu_on_which_nothing_can_be_built_any_more_is_left_for_the_cpu(device: Device) -> None:
    live = LivePredictor(device.make, GPU)
    broken = RuntimeError('CUDA error: unspecified launch failure')
    device.fails = lambda predictor: broken if predictor.device == 'cuda' else None
    device.cannot_build = lambda settings: broken if settings.device == 'cuda' else None

    predict_until(live, lambda: live.snapshot().device == 'cpu')

    assert live.snapshot().fault == ''
    live.close()


@pytest.mark.parametrize('where', ['cpu', 'cuda'])
def test_any_other_error_is_raised_and_nothing_is_done(device: Device, where: str) -> None:
    live = LivePredictor(device.make, unflatten(NodeSettings, {'device': where}))
    device.fails = lambda predictor: ValueError('a shape')

    with pytest.raises(ValueError, match='a shape'):
        live.predict(PAIR, FrameSettings())

    assert live.snapshot().loading == live.snapshot().recovery == ''
    assert device.made[0].calls == 1
    live.close()


def test_on_the_cpu_there_is_nothing_to_fall_back_to(device: Device) -> None:
    live = LivePredictor(device.make, unflatten(NodeSettings, {'device': 'cpu'}))
    device.fails = lambda predictor: RuntimeError('out of memory')

    with pytest.raises(RuntimeError, match='out of memory'):
        live.predict(PAIR, FrameSettings())

    assert device.made[0].calls == 1
    live.close()


def test_what_was_asked_for_comes_back_on_demand(device: Device) -> None:
    live = LivePredictor(device.make, GPU)
    device.fails = lambda predictor: None if predictor.halved else no_memory()
    live.predict(PAIR, FrameSettings())
    device.fails = lambda predictor: None

    live.restore()
    predict_until(live, lambda: live.current is not device.made[0])

    assert live.snapshot().recovery == ''
    assert not live.current.halved
    live.restore()
    assert live.snapshot().loading == ''
    live.close()


def test_what_is_built_after_a_failure_follows_the_prompt_that_is_in_force_then(
    device: Device,
) -> None:
    live = LivePredictor(device.make, GPU)
    live.check(FrameSettings(prompt='fog'))
    device.fails = lambda predictor: no_memory() if predictor.device == 'cuda' else None

    predict_until(live, lambda: live.snapshot().device == 'cpu')

    assert device.made[1].settings.prompt == 'fog'
    live.close()


def test_another_model_is_built_beside_the_frames_and_none_fails(device: Device) -> None:
    live = LivePredictor(device.make, GPU)
    device.build_may_go_on.clear()

    live.replace(unflatten(NodeSettings, {'model': 'mgfusion'}))
    for _ in range(3):
        live.predict(PAIR, FrameSettings())
    assert (live.snapshot().name, live.snapshot().loading) == ('student', 'mgfusion')
    device.build_may_go_on.set()
    failed = predict_until(live, lambda: live.snapshot().name == 'mgfusion')

    assert failed == 0
    assert live.snapshot().loading == ''
    assert device.made[0].calls >= 3
    assert device.made[0].closed.wait(60)
    live.close()
    assert device.made[1].closed.is_set()


def test_what_is_known_of_the_cameras_is_told_to_the_next_predictor_too(device: Device) -> None:
    live = LivePredictor(device.make, GPU)
    rig = Rig()

    live.set_rig(rig)
    live.replace(unflatten(NodeSettings, {'model': 'mgfusion'}))
    predict_until(live, lambda: live.snapshot().name == 'mgfusion')

    assert [predictor.rigs for predictor in device.made] == [[rig], [rig]]
    live.close()


def test_of_several_wishes_the_last_one_comes_true(device: Device) -> None:
    live = LivePredictor(device.make, GPU)
    for model in ('mgfusion', 'ldfusion', 'textfusion'):
        live.replace(unflatten(NodeSettings, {'model': model}))

    predict_until(live, lambda: live.snapshot().name == 'textfusion')

    assert live.snapshot().loading == ''
    live.close()
    assert all(predictor.closed.wait(60) for predictor in device.made)


@pytest.mark.parametrize(('prompt', 'reason'), [('', 'is damaged'), ('unknown', 'no text tower')])
def test_a_model_that_cannot_be_had_is_told_and_the_one_in_force_stays(
    device: Device, prompt: str, reason: str
) -> None:
    live = LivePredictor(device.make, GPU)
    if not prompt:
        device.cannot_build = lambda settings: CheckpointError('m.safetensors: is damaged')

    live.replace(unflatten(NodeSettings, {'model': 'm.safetensors', 'prompt': prompt}))
    failed = predict_until(live, lambda: not live.snapshot().loading)

    assert failed == 0
    assert live.snapshot().name == 'student'
    assert live.snapshot().fault.startswith('m.safetensors could not be loaded: ')
    assert live.snapshot().fault.endswith(reason)
    live.close()


def test_the_prompt_is_not_changed_while_a_model_is_loaded_that_was_not_asked_for_it(
    device: Device,
) -> None:
    live = LivePredictor(device.make, GPU)
    device.build_may_go_on.clear()
    live.replace(unflatten(NodeSettings, {'model': 'textfusion'}))

    live.check(FrameSettings(strength=0.5))
    with pytest.raises(GuidanceError, match="'textfusion' is being loaded"):
        live.check(FrameSettings(prompt='fog'))

    device.build_may_go_on.set()
    live.close()


def test_the_shipped_network_at_half_size_keeps_the_detail_of_the_visible_image() -> None:
    """A full-size checkerboard survives, of which a half-size image holds nothing but grey."""
    from ir_vis_fusion.predictor import FusionPredictor

    predictor = FusionPredictor(unflatten(NodeSettings, {'device': 'cpu'}))
    board = (np.indices((64, 80)).sum(axis=0) % 2 * 100 + 80).astype(np.uint8)
    warm = np.full((64, 80), 60, np.uint8)
    warm[16:32, 20:40] = 250
    pair = FramePair(
        Frame(warm, PixelEncoding.MONO8),
        Frame(np.repeat(board[..., None], 3, axis=2), PixelEncoding.RGB8),
    )
    full = predictor.predict(pair).image[..., 1].astype(float)

    predictor.halve()
    half = predictor.predict(pair).image[..., 1].astype(float)

    away = half[44:, 50:]
    assert away.std() == pytest.approx(board[44:, 50:].std(), rel=0.1)
    assert half[18:30, 22:38].mean() > half[44:, 50:].mean() + 20
    assert half.shape == full.shape
