"""What a replay measures, pair by pair and in sum."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
import math
import statistics
from typing import Any

from ir_vis_fusion import metrics
from ir_vis_fusion.evaluation.image_sets import as_saved
from ir_vis_fusion.evaluation.statistics import percentiles
from ir_vis_fusion.evaluation.views import rgb
from ir_vis_fusion.preprocessing.color import luma
from ir_vis_fusion.types import Frame, PixelEncoding, ThermalState
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

# They need no source, so that they tell of each image alone.
METRICS = {'EN': metrics.en, 'SD': metrics.sd, 'SF': metrics.sf, 'AG': metrics.ag}
MOMENTS = 4


@dataclass(frozen=True)
class Result:
    """
    A fused pair.

    ``time_s`` is when its visible image was recorded, since the start of the bag; ``latency_ms``
    None where it is not known; ``thermal`` (H, W) in [0, 1] as the network gets it.
    """

    time_s: float
    stamp_ns: int
    offset_ns: int
    generation: int
    latency_ms: float | None
    thermal: Tensor
    thermal_state: ThermalState
    visible: Frame
    fused: Frame


@dataclass(frozen=True)
class Moment:
    """The images of one result, uint8, by name."""

    time_s: float
    images: dict[str, np.ndarray]


class Measurements:
    """Takes results one by one; ``columns`` holds one value a result, None where undefined."""

    def __init__(self) -> None:
        names = ('time_s', 'stamp_ns', 'generation', 'thermal_state', 'offset_ms', 'latency_ms')
        self.columns: dict[str, list[Any]] = {name: [] for name in (*names, *METRICS, 'flicker')}
        self._last: tuple[int, tuple[Tensor, Tensor, Tensor]] | None = None
        self._moments: list[Moment] = []
        self._stride = 1

    def __len__(self) -> int:
        return len(self.columns['time_s'])

    def add(self, result: Result) -> None:
        """Measure one more result."""
        self._keep_moment(result)
        images = _lumas(result)
        row = {
            'time_s': round(result.time_s, 6),
            'stamp_ns': result.stamp_ns,
            'generation': result.generation,
            'thermal_state': result.thermal_state.value,
            'offset_ms': result.offset_ns / 1e6,
            'latency_ms': result.latency_ms,
            'flicker': self._flicker(result.generation, images),
        }
        saved = [as_saved(image) for image in images]
        row |= {name: _finite(metric(*saved).item()) for name, metric in METRICS.items()}
        for name, value in row.items():
            self.columns[name].append(value)

    def summary(self) -> dict[str, Any]:
        """Return the figures of all results together."""
        offsets = self.columns['offset_ms']
        latencies = [x for x in self.columns['latency_ms'] if x is not None]
        return {
            'offset_ms': {'mean': _mean(offsets)} | percentiles([abs(x) for x in offsets]),
            'latency_ms': percentiles(latencies),
            'ffc': self._ffc_events(),
            'flicker': _mean(self.columns['flicker']),
            'metrics': {name: _mean(self.columns[name]) for name in METRICS},
        }

    def moments(self) -> list[Moment]:
        """Return a few results, spread evenly."""
        kept, count = self._moments, min(MOMENTS, len(self._moments))
        return [kept[(2 * at + 1) * len(kept) // (2 * count)] for at in range(count)]

    def _flicker(self, generation: int, images: tuple[Tensor, Tensor, Tensor]) -> float | None:
        last, self._last = self._last, (generation, images)
        if last is None or last[0] != generation or last[1][0].shape != images[0].shape:
            return None
        videos = (torch.cat(pair) for pair in zip(last[1], images, strict=True))
        return metrics.flicker(*videos).item()

    def _ffc_events(self) -> list[dict[str, Any]]:
        events, rows = [], zip(self.columns['thermal_state'], self.columns['time_s'], strict=True)
        for state, run in groupby(rows, key=lambda row: row[0]):
            if state != ThermalState.LIVE.value:
                times = [time_s for _, time_s in run]
                events.append(
                    {
                        'state': state,
                        'start_s': times[0],
                        'end_s': times[-1],
                        'pairs': len(times),
                    }
                )
        return events

    def _keep_moment(self, result: Result) -> None:
        """Keep every n-th result, and n doubles when there are too many."""
        if len(self) % self._stride:
            return
        thermal = (result.thermal * 255).round().to(torch.uint8).numpy()
        images = {'thermal': thermal, 'visible': rgb(result.visible), 'fused': rgb(result.fused)}
        self._moments.append(Moment(result.time_s, images))
        if len(self._moments) == 4 * MOMENTS:
            self._moments = self._moments[::2]
            self._stride *= 2


def _lumas(result: Result) -> tuple[Tensor, Tensor, Tensor]:
    """Return fused, infrared and visible luma, (1, 1, H, W) in 0-255, not rounded."""
    fused, vis_y = (
        luma(torch.tensor(rgb(frame)), PixelEncoding.RGB8)[None, None]
        for frame in (result.fused, result.visible)
    )
    sources = (_resized(image, fused) for image in (result.thermal[None, None], vis_y))
    return fused * 255, *(image * 255 for image in sources)


def _resized(image: Tensor, like: Tensor) -> Tensor:
    if image.shape == like.shape:
        return image
    size = like.shape[-2:]
    return functional.interpolate(image, size=size, mode='bilinear', align_corners=False)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return statistics.fmean(known) if known else None


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
