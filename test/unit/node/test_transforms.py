"""Chains of transforms are followed in both directions."""

import math
from types import SimpleNamespace

from ir_vis_fusion.node.transforms import TransformTree
import numpy as np
import pytest


def stamped(parent: str, child: str, shift: tuple, turn_z: float = 0.0) -> SimpleNamespace:
    """Return what a TransformStamped holds."""
    x, y, z = shift
    rotation = SimpleNamespace(x=0.0, y=0.0, z=math.sin(turn_z / 2), w=math.cos(turn_z / 2))
    translation = SimpleNamespace(x=x, y=y, z=z)
    return SimpleNamespace(
        header=SimpleNamespace(frame_id=parent),
        child_frame_id=child,
        transform=SimpleNamespace(rotation=rotation, translation=translation),
    )


def test_two_cameras_on_one_robot_are_connected_by_its_base() -> None:
    tree = TransformTree()
    tree.add(stamped('base', 'thermal', (1.0, 0.2, 0.0), math.pi / 2))
    tree.add(stamped('/base', '/visible', (1.0, 0.0, 0.0)))
    found = tree.find('thermal', 'visible')
    rotation, translation = found.arrays()
    # X_base = (1, 0.2, 0) + R X_thermal, and the visible camera is at (1, 0, 0), not turned.
    np.testing.assert_allclose(translation, (0, 0.2, 0), atol=1e-12)
    np.testing.assert_allclose(rotation @ (1, 0, 0), (0, 1, 0), atol=1e-12)
    back = tree.find('visible', 'thermal').arrays()
    np.testing.assert_allclose(back[0] @ translation + back[1], (0, 0, 0), atol=1e-12)


def test_frames_without_a_way_between_them_have_none() -> None:
    tree = TransformTree()
    tree.add(stamped('base', 'thermal', (1.0, 0.0, 0.0)))
    tree.add(stamped('other', 'visible', (1.0, 0.0, 0.0)))
    assert tree.find('thermal', 'visible') is None


@pytest.mark.parametrize('shift', [(math.nan, 0.0, 0.0), (math.inf, 0.0, 0.0)])
def test_numbers_that_are_no_place_are_left_out(shift: tuple) -> None:
    tree = TransformTree()
    tree.add(stamped('visible', 'thermal', shift))
    assert tree.find('thermal', 'visible') is None
