"""What guides the network: the prompt is checked before it is taken, the status tells the rest."""

from typing import Any

from ir_vis_fusion.types import GuidanceState
import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros


def test_a_prompt_changes_while_the_node_runs_unless_nothing_knows_it(rig: Any) -> None:
    from rclpy.parameter import Parameter

    node = rig.start(prompt='fog')

    rig.fuse_a_pair()
    refused = node.set_parameters([Parameter('prompt', value='unheard of')])[0]
    assert (refused.successful, refused.reason) == (False, 'no text tower')
    assert node.get_parameter('prompt').value == 'fog'
    rig.fuse_a_pair()
    assert {settings.prompt for settings in rig.predictor.frame_settings} == {'fog'}
    assert node.set_parameters([Parameter('prompt', value='smoke')])[0].successful
    rig.predictor.frame_settings.clear()
    rig.fuse_a_pair()

    assert rig.predictor.frame_settings[-1].prompt == 'smoke'


def test_a_prompt_that_nothing_knows_is_told_at_the_start(
    rig: Any, capfd: pytest.CaptureFixture
) -> None:
    node = rig.make_node(prompt='unheard of')

    assert not node.start()

    assert 'no text tower' in capfd.readouterr().err
    assert rig.predictor.closed
    rig.listen()
    rig.spin_until_status('unconfigured')


def test_clip_looks_in_the_background_and_ends_with_the_network(
    rig: Any, helpers: Any, capfd: pytest.CaptureFixture
) -> None:
    class Unguided(helpers.FakePredictor):
        guidance_note = 'no weights of a CLIP given'

    node = rig.make_node(predictor=Unguided)
    assert node.start()
    assert rig.predictor.background
    assert 'no weights of a CLIP given' in capfd.readouterr().err
    node.trigger_deactivate()
    assert not rig.predictor.closed
    node.trigger_cleanup()

    assert rig.predictor.closed


def test_the_status_tells_what_guides_and_that_clip_failed(rig: Any) -> None:
    rig.start()
    rig.spin_until(lambda: rig.statuses[-1].level == b'\x00', rig.publish_pair)
    assert rig.value('guidance') == 'none'
    fault = 'RuntimeError: out of memory'
    rig.predictor.guidance = GuidanceState('scene: road, car', 0.4, 2, fault)

    rig.spin_until_status(f'CLIP fails, what it saw before stays: {fault}')

    assert rig.value('guidance') == 'scene: road, car'
    assert rig.value('guidance_age_s') == '0.40'
    assert rig.value('guidance_failures') == '2'
    assert rig.value('guidance_fault') == fault
