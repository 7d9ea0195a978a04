"""Several ways of fusion on the same pairs, side by side: ``ivf evaluate``."""

from collections.abc import Mapping
import statistics
from typing import Any

from ir_vis_fusion import __version__
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.image_sets import Pairs, read_sources
from ir_vis_fusion.evaluation.measures import LEAST_SIDE, measure, MEASURES
from ir_vis_fusion.evaluation.methods import Method
from ir_vis_fusion.metrics.frequency import stretch as stretched
import torch
from tqdm import tqdm

RESAMPLES = 1000
Figures = dict[str, float | None]


def evaluate(
    pairs: Pairs,
    methods: Mapping[str, Method],
    stretch: bool = False,
    device: torch.device | str = 'cpu',
) -> dict[str, Any]:
    """
    Measure every method on every pair; returns what goes into the JSON file.

    ``configuration`` says what was measured and how, ``methods`` holds for each name ``kind``,
    what is known about it, and by the metric's abbreviation ``mean``, ``median`` and ``ci95``
    (of the mean, by bootstrap) over the images where it is defined, ``undefined`` (how many
    it is not, where there are any) and ``per_image`` by stem. None where undefined.

    Parameters
    ----------
    pairs
        What :func:`~ir_vis_fusion.evaluation.image_sets.list_pairs` returned.
    methods
        By name.
    stretch
        Whether each fused image is first stretched to 0-255, as some papers do.
    device
        Where the metrics are computed.

    """
    per_image = _measured(pairs, methods, stretch, device)
    return {
        'configuration': {
            'ir_vis_fusion': __version__,
            'torch': torch.__version__,
            'images': 'luma (BT.601), 8-bit, rounded' + (', stretched' if stretch else ''),
            'stretch': stretch,
            'metrics': {
                name: {'variant': one.variant, 'higher_is_better': one.higher_is_better}
                for name, one in MEASURES.items()
            },
            'pairs': len(pairs),
        },
        'methods': {
            name: {'kind': method.kind, **method.about, **_summary(per_image[name])}
            for name, method in methods.items()
        },
    }


def _measured(
    pairs: Pairs, methods: Mapping[str, Method], stretch: bool, device: torch.device | str
) -> dict[str, dict[str, Figures]]:
    """Return every metric by method and stem."""
    measured: dict[str, dict[str, Figures]] = {name: {} for name in methods}
    total = len(pairs) * len(methods)
    with tqdm(total=total, unit='image', desc='measuring', disable=None) as bar:
        for stem, files in pairs.items():
            ir, vis_y = read_sources(*files)
            if min(vis_y.shape[-2:]) < LEAST_SIDE:
                raise EvaluationError(
                    f'{str(files[1])!r}: has a side below {LEAST_SIDE} pixels, which is too '
                    'small for VIF; leave it out by --list'
                )
            for name, method in methods.items():
                fused = method.fuse(stem, ir, vis_y)
                fused = stretched(fused) if stretch else fused
                images = (image.to(device) for image in (fused, ir, vis_y))
                measured[name][stem] = measure(*images)
                bar.update()
    return measured


def _summary(per_image: dict[str, Figures]) -> dict[str, Any]:
    summary: dict[str, Any] = {'mean': {}, 'median': {}, 'ci95': {}, 'undefined': {}}
    for name in MEASURES:
        values = [row[name] for row in per_image.values() if row[name] is not None]
        if len(values) < len(per_image):
            summary['undefined'][name] = len(per_image) - len(values)
        summary['mean'][name] = statistics.fmean(values) if values else None
        summary['median'][name] = statistics.median(values) if values else None
        summary['ci95'][name] = _interval(values) if values else None
    return summary | {'per_image': per_image}


def _interval(values: list[float]) -> list[float]:
    """Return the 95 % interval of the mean over resampled images; the same at every run."""
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(len(values), (RESAMPLES, len(values)), generator=generator)
    means = torch.tensor(values, dtype=torch.float64)[drawn].mean(1)
    return means.quantile(torch.tensor((0.025, 0.975), dtype=torch.float64)).tolist()
