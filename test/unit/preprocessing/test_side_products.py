"""Temperatures, hot regions and the view to check, against what they are by definition."""

import math

from ir_vis_fusion.config import HotMaskSettings
from ir_vis_fusion.preprocessing.side_products import (
    as_counts,
    hot_mask,
    hot_threshold,
    Pictures,
    side_by_side,
)
from ir_vis_fusion.preprocessing.units import Units
from ir_vis_fusion.types import PixelEncoding
import pytest
import torch

CENTIKELVIN = Units('centikelvin', 0.01, 0.0, '')
COUNTS = Units('counts', None, 0.0, '')


def noise(seed=0, level=8_000.0, size=(96, 128)):
    return level + 5 * torch.randn(size, generator=torch.Generator().manual_seed(seed))


def test_numbers_become_whole_counts_and_nothing_becomes_zero():
    image = torch.tensor([[29_815.4, 29_815.6, math.nan, -3.0, 70_000.0]])
    counts = as_counts(image)
    assert counts.dtype == torch.uint16
    assert counts.tolist() == [[29_815, 29_816, 0, 0, 65_535]]


def test_hot_is_what_is_as_warm_as_the_threshold():
    threshold = hot_threshold(noise(), CENTIKELVIN, HotMaskSettings(threshold_c=30.0), 300.0)
    assert threshold == pytest.approx(30_315)
    image = torch.tensor([[30_314.0, 30_316.0, math.nan]])
    mask = hot_mask(image, threshold)
    assert mask.dtype == torch.uint8
    assert mask.tolist() == [[0, 255, 0]]


def test_without_units_hot_is_what_exceeds_the_percentile():
    image = noise()
    image[:10, :10] += 2_000
    settings = HotMaskSettings(percentile=99.0)
    mask = hot_mask(image, hot_threshold(image, COUNTS, settings, 300.0))
    assert mask[:10, :10].float().mean() == 255
    assert mask[10:, 10:].max() == 0


@pytest.mark.parametrize('percentile', [50.0, 99.0])
def test_without_units_nothing_is_hot_in_a_flat_scene(percentile):
    image = noise()
    settings = HotMaskSettings(percentile=percentile)
    assert hot_mask(image, hot_threshold(image, COUNTS, settings, 300.0)).max() == 0


def test_pixels_without_a_number_do_not_hide_what_is_hot():
    image = noise()
    image[:8, :8] += 2_000
    image[:, 100:] = math.nan
    mask = hot_mask(image, hot_threshold(image, COUNTS, HotMaskSettings(), 300.0))
    assert mask[:8, :8].float().mean() == 255
    assert mask[:, 100:].max() == 0


@pytest.mark.parametrize('encoding', [PixelEncoding.RGB8, PixelEncoding.BGR8])
def test_side_by_side_is_rgb_whatever_the_order_of_the_inputs(encoding):
    visible = torch.zeros((4, 6, 3), dtype=torch.uint8)
    visible[..., 0 if encoding is PixelEncoding.RGB8 else 2] = 200
    ir = torch.full((4, 6), 0.5)
    ir[0, 0] = math.nan
    view = side_by_side(ir, Pictures(visible, visible // 2, encoding))
    assert view.shape == (4, 18, 3)
    assert view[0, 0].tolist() == [0, 0, 0]
    assert view[1, 1].tolist() == [128, 128, 128]
    assert view[1, 7].tolist() == [200, 0, 0]
    assert view[1, 13].tolist() == [100, 0, 0]
