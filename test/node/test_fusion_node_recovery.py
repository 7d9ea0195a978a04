"""The network of a live node: another model, a GPU that fails."""

import threading
from types import SimpleNamespace
from typing import Any

from ir_vis_fusion.errors import CheckpointError
import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros


def set_model(rig: Any, model: str) -> Any:
    from rclpy.parameter import Parameter

    return rig.node.set_parameters([Parameter('model', value=model)])[0]


def test_the_model_changes_between_two_frames_and_none_is_lost(
    rig: Any, helpers: SimpleNamespace
) -> None:
    go_on = threading.Event()

    class Slow(helpers.FakePredictor):
        def warm_up(self, height: int, width: int) -> None:
            assert self.settings.model == 'student' or go_on.wait(60)
            super().warm_up(height, width)

    rig.start(predictor=Slow)
    rig.fuse_a_pair()
    first = rig.predictor

    assert set_model(rig, 'mgfusion').successful
    sent: list[int] = []

    def feed() -> None:
        # The next one when the last one is out: what is lost is not lost by a busy machine.
        if not sent or sent[-1] in map(helpers.stamp_of, rig.fused):
            sent.append(rig.publish_pair())

    rig.spin_until(lambda: len(sent) > 3 and rig.value('model_loading') == 'mgfusion', feed)
    assert rig.value('model') == 'student'
    go_on.set()
    rig.spin_until(lambda: rig.value('model') == 'mgfusion', feed)
    rig.spin_until(lambda: sent[-1] in map(helpers.stamp_of, rig.fused))

    assert set(sent) <= set(map(helpers.stamp_of, rig.fused))
    assert rig.predictor is not first
    assert rig.predictor.warm_ups == [(24, 32)]
    assert rig.value('dropped_busy') == '0'
    rig.spin_until(lambda: first.closed)
    assert rig.node.settings.model == 'mgfusion'


@pytest.mark.parametrize(
    ('name', 'reason'),
    [
        ('studnet', "did you mean 'student'"),
        ('notes.txt', "unknown ending '.txt'"),
        ('cut.safetensors', 'not a safetensors file, or cut off'),
    ],
)
def test_a_model_that_is_none_is_refused_with_the_reason(
    rig: Any, weights: Any, tmp_path: Any, name: str, reason: str
) -> None:
    (tmp_path / 'notes.txt').write_text('no network')
    (tmp_path / 'cut.safetensors').write_bytes(weights.read_bytes()[:-100])
    assert rig.make_node().start()

    result = set_model(rig, str(tmp_path / name) if '.' in name else name)

    assert not result.successful
    assert reason in result.reason
    assert rig.node.get_parameter('model').value == 'student'


def test_a_model_that_fails_when_it_is_loaded_leaves_the_one_in_force_and_its_name(
    rig: Any, helpers: SimpleNamespace
) -> None:
    def build(settings: Any, background: bool) -> Any:
        if settings.model != 'student':
            raise CheckpointError('ldfusion.safetensors: damaged')
        return helpers.FakePredictor(settings, background)

    rig.start(predictor=build)
    rig.fuse_a_pair()

    assert set_model(rig, 'ldfusion').successful
    status = rig.spin_until_status('ldfusion could not be loaded')

    assert 'ldfusion.safetensors: damaged; the model in force stays' in status.message
    rig.spin_until(lambda: rig.node.get_parameter('model').value == 'student')
    rig.fuse_a_pair()
    assert rig.node.settings.model == 'student'


def test_a_gpu_without_memory_degrades_to_half_size_and_then_to_the_cpu(
    rig: Any, helpers: SimpleNamespace
) -> None:
    import torch

    limit = 1

    class Full(helpers.FakePredictor):
        def predict(self, *arguments: Any) -> Any:
            if self.settings.device != 'cpu' and self.halved < limit:
                raise torch.cuda.OutOfMemoryError('CUDA out of memory')
            return super().predict(*arguments)

    rig.start(predictor=Full)
    rig.spin_until(lambda: rig.told('the network runs at half size after'), rig.publish_pair)
    assert rig.value('mode') == 'fused'
    assert rig.value('failed') == '0'

    limit = 2
    rig.spin_until(lambda: rig.told('the network runs anew on'), rig.publish_pair)
    rig.spin_until(lambda: rig.value('mode') == 'fused', rig.publish_pair)

    # In the meantime the visible image was published.
    assert int(rig.value('failed_fusion_OutOfMemoryError')) >= 1
    assert int(rig.value('published_visible_only')) >= 1
    assert rig.predictor.settings.device == 'cpu'


def test_a_reset_tries_again_what_was_asked_for(rig: Any, helpers: SimpleNamespace) -> None:
    from std_srvs.srv import Trigger
    import torch

    class Full(helpers.FakePredictor):
        def predict(self, *arguments: Any) -> Any:
            if not self.halved:
                raise torch.cuda.OutOfMemoryError('CUDA out of memory')
            return super().predict(*arguments)

    rig.start(predictor=Full)
    rig.spin_until(lambda: rig.value('recovery').startswith('at half size'), rig.publish_pair)
    first = rig.predictor
    Full.halved = 1

    client = rig.tester.create_client(Trigger, 'fusion_node/reset')
    rig.spin_until(client.service_is_ready)
    answer = client.call_async(Trigger.Request())
    rig.spin_until(answer.done)
    rig.spin_until(lambda: rig.value('recovery') == '', rig.publish_pair)

    assert rig.predictor is not first
