"""Faults of the GPU, which this machine need not have, and a network that is exchanged."""

from collections.abc import Callable
import dataclasses
from pathlib import Path
import shutil
from types import SimpleNamespace
from typing import Any

from fault_page import note, says, WELL
from fault_rows import Scene
from ir_vis_fusion.types import Mode
import pytest
import torch

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros

OUT_OF_MEMORY = torch.cuda.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')
ILLEGAL = RuntimeError('CUDA error: an illegal memory access was encountered')


class Gpu:
    """A predictor with a real network on the CPU that says it is on a GPU, and fails like one."""

    made = 0

    def __init__(
        self, settings: Any, background: bool, fails: Callable[['Gpu'], Exception | None]
    ) -> None:
        from ir_vis_fusion.predictor import FusionPredictor

        Gpu.made += 1
        self.number, self.fails, self.halved = Gpu.made, fails, 0
        self.on_gpu = settings.device != 'cpu'
        self.device = 'cuda:0' if self.on_gpu else 'cpu'
        real = dataclasses.replace(settings, device='cpu', cpu_threads=1)
        self._real = FusionPredictor(real, background=background)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def halve(self) -> None:
        self.halved += 1
        self._real.halve()

    def predict(self, *arguments: Any, **more: Any) -> Any:
        if self.on_gpu and (error := self.fails(self)):
            raise error
        return self._real.predict(*arguments, **more)


@pytest.fixture
def scene(rig: Any, helpers: SimpleNamespace) -> Scene:
    Gpu.made = 0
    return Scene(rig, helpers.image)


@pytest.mark.parametrize(
    ('fault', 'fails', 'words'),
    [
        (
            'GPU memory runs out',
            lambda gpu: None if gpu.halved else OUT_OF_MEMORY,
            'the network runs at half size after',
        ),
        (
            'GPU memory runs out at half size too',
            lambda gpu: OUT_OF_MEMORY,
            'the network runs anew on cpu after',
        ),
        (
            'CUDA fails once',
            lambda gpu: ILLEGAL if gpu.number == 1 else None,
            'the network runs anew on cuda:0 after',
        ),
        ('CUDA fails again and again', lambda gpu: ILLEGAL, 'the network runs anew on cpu after'),
    ],
)
def test_a_gpu_that_fails_is_got_round_and_fusing_goes_on(
    rig: Any,
    scene: Scene,
    helpers: SimpleNamespace,
    weights: Path,
    fault: str,
    fails: Callable[[Gpu], Exception | None],
    words: str,
) -> None:
    broken: list[bool] = []
    rig.start(
        predictor=lambda settings, background: Gpu(
            settings, background, lambda gpu: fails(gpu) if broken else None
        ),
        model=str(weights),
        device='auto',
    )
    rig.spin_until(lambda: rig.statuses and rig.value('mode') == 'fused', scene.good)

    broken.append(True)
    rig.statuses.clear()
    rig.spin_until(lambda: rig.told(words) and rig.value('mode') == 'fused', scene.good)
    sent: list[int] = []
    rig.fused.clear()
    rig.spin_until(
        lambda: {helpers.stamp_of(message) for message in rig.fused} & set(sent),
        lambda: sent.append(scene.good()),
    )

    out = {helpers.stamp_of(message) for message in rig.fused} & set(sent)
    assert (min(out) - sent[0]) / 1e9 <= 1
    note(fault, words, Mode.FUSED)


def test_a_model_is_exchanged_while_it_runs_and_every_status_says_fused(
    rig: Any, scene: Scene, weights: Path, tmp_path: Path
) -> None:
    from ir_vis_fusion.predictor import FusionPredictor
    from rclpy.parameter import Parameter

    other = shutil.copy(weights, tmp_path / 'other.safetensors')
    rig.start(
        predictor=lambda settings, background: FusionPredictor(settings, background=background),
        model=str(weights),
        device='cpu',
        cpu_threads=1,
    )
    rig.spin_until(lambda: rig.statuses and rig.value('mode') == 'fused', scene.good)
    rig.statuses.clear()

    assert rig.node.set_parameters([Parameter('model', value=str(other))])[0].successful
    rig.spin_until(lambda: rig.statuses and rig.value('model') == str(other), scene.good)
    rig.spin_until(lambda: says(rig.statuses[-1].message, WELL), scene.good)

    modes = {x.value for status in rig.statuses for x in status.values if x.key == 'mode'}
    assert modes == {'fused'}
    note('another model is set', WELL, Mode.FUSED)
