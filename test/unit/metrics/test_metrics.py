"""Metrics: hand-derived values and the evaluators' figures on real pictures."""

from collections.abc import Callable
from functools import partial
import json
import math
import os
from pathlib import Path

from ir_vis_fusion import metrics
from ir_vis_fusion.evaluation.image_sets import read_luma
import pytest
import torch
from torch import Tensor

DATA = os.environ.get('IR_VIS_FUSION_DATA', '')
REFERENCE = Path(DATA).parent / 'reference'
# Names in the reference file, which are those of the papers.
NAMES = {
    'ag': 'AG',
    'cc': 'CC',
    'en': 'EN',
    'mi': 'MI',
    'mse': 'MSE',
    'nabf': 'Nabf',
    'qabf': 'Qabf',
    'qcv': 'Qcv',
    'scd': 'SCD',
    'sd': 'SD',
    'sf': 'SF',
    'ssim': 'SSIM',
    'vif': 'VIF',
}
COMPARED = {name: getattr(metrics, function) for function, name in NAMES.items()}
COMPARED['SSIM255'] = partial(metrics.ssim, data_range=255.0)
ALL = [
    getattr(metrics, name)
    for name in metrics.__all__
    if name not in ('ms_ssim', 'flicker', 'jitter')
]


def picture(seed: int, batch: int = 1) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (batch, 1, 64, 72), generator=generator).float()


def test_identical_images_keep_all_information() -> None:
    image = picture(0)
    assert metrics.vif(image, image, image).item() == pytest.approx(2.0, abs=1e-6)


def test_identical_images_have_full_structural_similarity() -> None:
    image = picture(0)
    assert metrics.ssim(image, image, image).item() == pytest.approx(2.0, abs=1e-9)


def test_identical_images_have_nearly_full_edge_transfer() -> None:
    """
    Strengths are equal, so the evaluators' quirk sets G = g_F, which is far above 1 here.

    Qg = 0.9994, Qa = 0.9879 / (1 + exp(-22 * 0.2)): 0.9994 * 0.97587 = 0.97528.
    """
    image = picture(0)
    expected = 0.9994 * 0.9879 / (1 + math.exp(-4.4))
    assert metrics.qabf(image, image, image).item() == pytest.approx(expected, abs=1e-4)
    assert expected == pytest.approx(0.975, abs=1e-3)


def test_identical_images_have_no_artefacts() -> None:
    image = picture(0)
    assert metrics.nabf(image, image, image).item() == 0.0


def test_edges_that_no_source_has_are_artefacts() -> None:
    """On flat sources with weight 0.001 everywhere, each added edge loses almost all of it."""
    flat = torch.full((1, 1, 64, 72), 100.0)
    assert metrics.nabf(flat, flat, flat).item() == 0.0
    assert metrics.nabf(picture(0), flat, flat).item() == pytest.approx(1.0, abs=0.02)


def test_the_sum_of_the_sources_has_the_largest_scd() -> None:
    """F = A + B gives r(A, A) + r(B, B); F = 0 gives r(-B, A) + r(-A, B), about 0 here."""
    ir, vis_y = picture(1), picture(2)
    assert metrics.scd(ir + vis_y, ir, vis_y).item() == pytest.approx(2.0, abs=1e-9)
    assert metrics.scd(0 * ir, ir, vis_y).item() == pytest.approx(0.0, abs=0.1)


def test_ssim_of_flat_images_is_the_luminance_term() -> None:
    """(2 * 2 * 1 + C1) / (4 + 1 + C1) twice, with C1 = 0.0004 and zero variances."""
    one, two = torch.ones(1, 1, 16, 16), torch.full((1, 1, 16, 16), 2.0)
    assert metrics.ssim(two, one, one).item() == pytest.approx(2 * 4.0004 / 5.0004, abs=1e-9)


def test_ssim_takes_the_data_range_of_another_variant() -> None:
    ir, vis_y, fused = picture(1), picture(2), picture(3)
    assert metrics.ssim(fused, ir, vis_y, 255.0).item() > metrics.ssim(fused, ir, vis_y).item()


@pytest.mark.parametrize('metric', ALL)
def test_a_batch_gives_what_its_images_give_alone(metric: Callable[..., Tensor]) -> None:
    fused, ir, vis_y = (picture(seed, batch=3) for seed in (1, 2, 3))
    together = metric(fused, ir, vis_y)
    alone = torch.cat(
        [metric(fused[i : i + 1], ir[i : i + 1], vis_y[i : i + 1]) for i in range(3)]
    )
    assert together.shape == (3,)
    assert together.dtype == torch.float64
    torch.testing.assert_close(together, alone)


@pytest.mark.parametrize('metric', [metric for metric in ALL if metric is not metrics.fmi])
def test_the_two_sources_count_alike(metric: Callable[..., Tensor]) -> None:
    fused, ir, vis_y = picture(1), picture(2), picture(3)
    torch.testing.assert_close(metric(fused, ir, vis_y), metric(fused, vis_y, ir))


@pytest.fixture(scope='module')
def reference() -> dict[str, dict[str, float]]:
    if not DATA or not (REFERENCE / 'metrics.json').is_file():
        pytest.skip('IR_VIS_FUSION_DATA is unset or has no ../reference/metrics.json')
    return json.loads((REFERENCE / 'metrics.json').read_text())['values']


@pytest.mark.parametrize('how', ['mean', 'max', 'laplacian'])
def test_the_evaluators_figures_are_met_on_real_pictures(
    reference: dict[str, dict[str, float]], how: str
) -> None:
    """Their code's results lie in metrics.json; 1e-3 of each is asked."""
    keys = [key for key in reference if key.endswith(how)]
    assert len(keys) == 5
    sources = Path(DATA) / 'msrs_val'
    for key in keys:
        file = f'{key.partition("_")[0]}.png'
        pictures = (
            read_luma(REFERENCE / 'fused' / f'{key}.png'),
            read_luma(sources / 'ir' / file),
            read_luma(sources / 'vi' / file),
        )
        for name, metric in COMPARED.items():
            value = metric(*pictures).item()
            expected = pytest.approx(reference[key][name], rel=1e-3, abs=0.0)
            assert value == expected, f'{key} {name}'
