"""
Write the eight small pairs of ``test_quality.py``, or the figures that are expected on them.

``python test/unit/checkpoint/make_pairs.py`` cuts them out of the synthetic scene;
``... figures`` measures the shipped student on them, after it was trained anew.
"""

import json
from pathlib import Path
import sys

from ir_vis_fusion import metrics
from ir_vis_fusion.config import PredictorSettings, ThermalSettings
from ir_vis_fusion.evaluation.image_sets import luma_of
from ir_vis_fusion.evaluation.scene import Scene
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.preprocessing.encodings import read_image, write_image
from ir_vis_fusion.preprocessing.thermal import ThermalNormalizer
from ir_vis_fusion.types import FramePair, Role
import numpy as np
import torch
from torch.nn import functional

FOLDER = Path(__file__).parent / 'pairs'
EXPECTED = FOLDER / 'expected.json'
HEIGHT, WIDTH = 112, 144
# Frame, top and left: people far and near, smoke with and without somebody in it, the car with
# its glare, houses, and the dark road.
CUTS = {
    'people_far': (0, 200, 180),
    'people_near': (60, 230, 130),
    'smoke': (30, 200, 380),
    'hidden_in_smoke': (150, 190, 400),
    'car': (170, 190, 300),
    'houses': (90, 60, 20),
    'trees': (120, 90, 440),
    'road': (240, 330, 250),
}
NAMES = ('qabf', 'vif', 'ssim', 'scd', 'sd', 'nabf')


def write_pairs() -> None:
    """Cut the pairs out of the scene; the infrared in 8 bits, as the node would see it."""
    FOLDER.mkdir(exist_ok=True)
    scene = Scene()
    for name, (frame, top, left) in CUTS.items():
        thermal, visible = scene.frame(frame)
        ir = ThermalNormalizer(ThermalSettings()).normalize(torch.from_numpy(thermal), stamp_ns=0)
        ir = functional.interpolate(ir[None, None], visible.shape[:2], mode='bilinear')
        window = slice(top, top + HEIGHT), slice(left, left + WIDTH)
        write_image(
            FOLDER / f'{name}_ir.png', np.round(ir[0, 0].numpy() * 255).astype(np.uint8)[window]
        )
        write_image(FOLDER / f'{name}_vi.png', np.ascontiguousarray(visible[window]))


def figures() -> dict[str, dict[str, float]]:
    """Measure the shipped student on each pair, in float32, so that every CPU gives the same."""
    predictor = FusionPredictor(PredictorSettings(device='cpu', precision='float32'))
    return {name: measure(predictor, name) for name in CUTS}


def measure(predictor: FusionPredictor, name: str) -> dict[str, float]:
    """Fuse a pair and measure the result as it would be saved."""
    thermal = read_image(FOLDER / f'{name}_ir.png', Role.THERMAL)
    visible = read_image(FOLDER / f'{name}_vi.png', Role.VISIBLE)
    predictor.reset()
    fused = predictor.predict(FramePair(thermal, visible)).image
    images = (
        luma_of(fused),
        torch.from_numpy(thermal.image.copy()).double()[None, None],
        luma_of(visible.image),
    )
    return {metric: getattr(metrics, metric)(*images).item() for metric in NAMES}


if __name__ == '__main__':
    if sys.argv[1:] != ['figures']:
        write_pairs()
    rows = {
        pair: {key: round(value, 4) for key, value in row.items()}
        for pair, row in figures().items()
    }
    EXPECTED.write_text(json.dumps(rows, indent=2) + '\n')
