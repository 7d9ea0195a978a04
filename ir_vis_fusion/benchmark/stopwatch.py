"""A stopwatch for the stages of a frame."""

from collections import defaultdict
from collections.abc import Sequence
import time

import numpy as np
import torch


class Stopwatch:
    """
    Time stages, frame by frame; a stage that comes twice in a frame counts as one.

    On CUDA the end of a stage waits for the device, which makes the sum of the stages longer than
    a frame is without a stopwatch.
    """

    def __init__(self, device: torch.device) -> None:
        self.frames: list[dict[str, float]] = []
        self._cuda = device if device.type == 'cuda' else None
        self._last_s = 0.0

    @property
    def waits(self) -> bool:
        """Say whether the end of a stage waits for the device."""
        return self._cuda is not None

    def start(self) -> None:
        """Begin a frame."""
        self.frames.append(defaultdict(float))
        self._last_s = self._now()

    def lap(self, stage: str) -> None:
        """End a stage; the next one begins."""
        now_s = self._now()
        self.frames[-1][stage] += now_s - self._last_s
        self._last_s = now_s

    def stages(self) -> dict[str, dict[str, float]]:
        """Return the figures of each stage, in the order in which they first ended."""
        names = dict.fromkeys(name for frame in self.frames for name in frame)
        return {name: figures([frame[name] for frame in self.frames]) for name in names}

    def _now(self) -> float:
        if self._cuda is not None:
            torch.cuda.synchronize(self._cuda)
        return time.perf_counter()


def figures(seconds: Sequence[float]) -> dict[str, float]:
    """Return p50, p95 and p99 in milliseconds."""
    found = np.percentile(np.asarray(seconds) * 1e3, [50, 95, 99])
    names = ('p50_ms', 'p95_ms', 'p99_ms')
    return {name: round(float(value), 4) for name, value in zip(names, found, strict=True)}
