"""Metrics beside independent implementations, on pictures with structure and noise."""

import importlib

from ir_vis_fusion import metrics
import pytest
import torch
from torch import Tensor
from torch.nn import functional


def picture(seed: int) -> Tensor:
    """Return smooth shapes with noise, (1, 1, 192, 200) whole numbers in 0-255."""
    generator = torch.Generator().manual_seed(seed)
    shapes = torch.rand((1, 1, 24, 25), generator=generator, dtype=torch.float64)
    shapes = functional.interpolate(shapes, (192, 200), mode='bicubic').clamp(0, 1)
    noise = torch.rand((1, 1, 192, 200), generator=generator, dtype=torch.float64)
    return (215 * shapes + 40 * noise).round()


IR, VIS_Y = picture(1), picture(2)
FUSED = ((IR + VIS_Y) / 2 + picture(3) / 10).clamp(0, 255).round()


def test_information_fidelity_is_that_of_torchmetrics_and_piq() -> None:
    ours = metrics.vif(FUSED, IR, VIS_Y).item()
    image = pytest.importorskip('torchmetrics.functional.image', reason='no torchmetrics')
    theirs = [image.visual_information_fidelity(FUSED, source) for source in (IR, VIS_Y)]
    assert ours == pytest.approx(sum(theirs).item(), rel=1e-6)
    piq = pytest.importorskip('piq', reason='piq is not installed')
    theirs = [piq.vif_p(FUSED, source, data_range=255.0) for source in (IR, VIS_Y)]
    assert ours == pytest.approx(sum(theirs).item(), rel=1e-6)


def test_signal_to_noise_to_one_source_is_that_of_torchmetrics() -> None:
    image = pytest.importorskip('torchmetrics.functional.image', reason='no torchmetrics')
    theirs = image.peak_signal_noise_ratio(FUSED, IR, data_range=255.0).item()
    assert metrics.psnr(FUSED, IR, IR).item() == pytest.approx(theirs, rel=1e-6)


# torch's, of a sparse tensor that torchmetrics makes.
@pytest.mark.filterwarnings('ignore:Sparse invariant checks')
def test_correlation_and_mutual_information_are_those_of_torchmetrics() -> None:
    library = pytest.importorskip('torchmetrics.functional', reason='no torchmetrics')
    fused, sources = FUSED.ravel(), (IR.ravel(), VIS_Y.ravel())
    correlation = [library.pearson_corrcoef(fused, source).item() for source in sources]
    assert metrics.cc(FUSED, IR, VIS_Y).item() == pytest.approx(sum(correlation) / 2, rel=1e-6)
    score = importlib.import_module(f'{library.__name__}.clustering').mutual_info_score
    shared = [score(fused.long(), source.long()).item() for source in sources]
    assert metrics.mi(FUSED, IR, VIS_Y).item() == pytest.approx(sum(shared), rel=1e-5)


def test_structural_similarity_is_near_that_of_torchmetrics() -> None:
    """
    It takes the covariance of a population and mirrors borders; ours are a sample's, valid only.

    With several scales it mirrors borders too, which weighs most at the smallest scale.
    """
    image = pytest.importorskip('torchmetrics.functional.image', reason='no torchmetrics')
    window = {'data_range': 255.0, 'gaussian_kernel': False, 'kernel_size': 7}
    theirs = sum(
        image.structural_similarity_index_measure(FUSED, source, **window).item()
        for source in (IR, VIS_Y)
    )
    ours = metrics.ssim(FUSED, IR, VIS_Y, data_range=255.0).item()
    assert ours == pytest.approx(theirs, rel=3e-3)
    theirs = sum(
        image.multiscale_structural_similarity_index_measure(FUSED, source, data_range=255.0)
        for source in (IR, VIS_Y)
    )
    assert metrics.ms_ssim(FUSED, IR, VIS_Y).item() == pytest.approx(theirs.item(), rel=1e-2)
