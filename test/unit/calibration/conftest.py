"""Scenes of two cameras with unlike contrast, displaced by a known homography."""

from types import SimpleNamespace

import cv2
from ir_vis_fusion.calibration.alignment import Scenes
import numpy as np
import pytest
import torch

SIZE = (240, 180)


def draw(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a thermal and a visible image of the same shapes, (180, 240) uint8 each."""
    random = np.random.default_rng(seed)
    thermal = np.full(SIZE[::-1], random.integers(40, 200), np.uint8)
    visible = np.full(SIZE[::-1], random.integers(40, 200), np.uint8)
    for _ in range(25):
        centre = tuple(int(x) for x in random.integers((0, 0), SIZE))
        axes = tuple(int(x) for x in random.integers(6, 40, 2))
        angle = int(random.integers(180))
        for image in (thermal, visible):
            # What one camera sees as light the other may see as dark, or not at all.
            if random.random() < 0.85:
                cv2.ellipse(image, centre, axes, angle, 0, 360, int(random.integers(256)), -1)
    noise = random.normal(0, 3, (2, *SIZE[::-1]))
    return tuple(
        np.clip(image + grain, 0, 255).astype(np.uint8)
        for image, grain in zip((thermal, visible), noise, strict=True)
    )


def displace(image: np.ndarray, matrix: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return an image (H, W) as a camera sees it whose pixels are ``matrix`` of these."""
    return cv2.warpPerspective(image, matrix, size, borderMode=cv2.BORDER_REFLECT)


def scenes_of(pairs: list[tuple[np.ndarray, np.ndarray]]) -> Scenes:
    ir, vis = (np.stack(images)[:, None] / np.float32(255) for images in zip(*pairs, strict=True))
    return Scenes(torch.from_numpy(ir), torch.from_numpy(vis))


@pytest.fixture(scope='session')
def made():
    """Return what the tests of calibration share; conftest itself cannot be imported."""
    return SimpleNamespace(SIZE=SIZE, draw=draw, displace=displace, scenes_of=scenes_of)


@pytest.fixture(autouse=True)
def _one_thread():
    """Where other processes want the cores too, two threads of small operations only wait."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
