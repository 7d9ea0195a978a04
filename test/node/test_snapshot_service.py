"""The service that writes what is published now, off the frame path."""

import json
from pathlib import Path
import threading
from types import SimpleNamespace
from typing import Any

from ir_vis_fusion.node import snapshot_files
from ir_vis_fusion.preprocessing.encodings import read_image
from ir_vis_fusion.types import Role
import numpy as np
import pytest

pytest.importorskip('rclpy')
pytestmark = pytest.mark.ros


def ask(rig: Any) -> Any:
    """Return the answer, in the future, of a request."""
    from std_srvs.srv import Trigger

    client = rig.tester.create_client(Trigger, 'fusion_node/save_snapshot')
    rig.spin_until(client.service_is_ready)
    return client.call_async(Trigger.Request())


def test_a_snapshot_holds_the_inputs_the_fused_image_and_the_parameters(
    rig: Any, helpers: SimpleNamespace, tmp_path: Path
) -> None:
    rig.start(snapshot_dir=str(tmp_path / 'pictures'), strength=0.5)
    fused = rig.fuse_a_pair()

    answer = ask(rig)
    rig.spin_until(answer.done)

    assert answer.result().success, answer.result().message
    path = Path(answer.result().message)
    assert path.parent == (tmp_path / 'pictures').resolve()
    thermal = read_image(path / 'thermal.png', Role.THERMAL).image
    np.testing.assert_array_equal(thermal, helpers.THERMAL)
    assert (path / 'fused.png').is_file()
    facts = json.loads((path / 'snapshot.json').read_text())
    assert facts['stamp_ns'] >= helpers.stamp_of(fused)
    assert facts['mode'] == facts['status']['mode'] == 'fused'
    assert facts['parameters']['strength'] == 0.5
    assert facts['visible']['frame_id'] == 'visible_optical_frame'


def test_frames_flow_while_a_snapshot_is_written(
    rig: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.start(snapshot_dir=str(tmp_path))
    rig.fuse_a_pair()
    go_on, encode = threading.Event(), snapshot_files.encode_png
    monkeypatch.setattr(
        snapshot_files, 'encode_png', lambda image: go_on.wait(60) and encode(image)
    )

    first = ask(rig)
    rig.spin_until(lambda: list(tmp_path.iterdir()))
    second = ask(rig)
    rig.spin_until(second.done)
    rig.fuse_a_pair()
    assert not first.done()
    go_on.set()
    rig.spin_until(first.done)

    assert first.result().success
    assert not second.result().success
    assert 'being written' in second.result().message


@pytest.mark.parametrize(
    ('folder', 'fuses', 'reason'),
    [('/dev/null/x', True, 'cannot be used'), ('/tmp', False, 'nothing was published yet')],
)
def test_a_snapshot_that_cannot_be_written_is_refused_with_the_reason(
    rig: Any, folder: str, fuses: bool, reason: str
) -> None:
    rig.start(snapshot_dir=folder)
    if fuses:
        rig.fuse_a_pair()

    answer = ask(rig)
    rig.spin_until(answer.done)

    assert not answer.result().success
    assert reason in answer.result().message
    rig.fuse_a_pair()
