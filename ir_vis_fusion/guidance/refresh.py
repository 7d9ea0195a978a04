"""CLIP's view of a live stream: at its own rate, in its own thread, off the frame path."""

from collections.abc import Callable, Mapping
import dataclasses
from dataclasses import dataclass
import math
import threading
import time
from typing import Any

from ir_vis_fusion.worker import Worker
import torch
from torch import Tensor

# The frame path goes first where both want the same cores: with ViT-B/16 every second beside the
# student at 30 Hz on two busy cores, 298 to 300 of 300 pairs were published, 198 to 277 without.
NICE = 10


@dataclass(frozen=True, eq=False)
class Sight:
    """
    What one look at the scene gave.

    ``features`` are (1, E) by name; ``words`` tell what they are; ``at_s`` is the steady time of
    the look.
    """

    features: Mapping[str, Tensor]
    words: str
    at_s: float


class Refresher:
    """
    Look at the scene every now and then, and have the newest result at hand.

    A look that fails is counted in ``failures``, its cause is in ``fault`` until one succeeds, and
    what was seen before stays for a while.

    Parameters
    ----------
    look
        Turns whatever is given to :meth:`latest` into a Sight; called in a thread of its own.
    period_s
        Least time from the begin of one look to that of the next.
    device
        Where `look` computes. On CUDA it gets a stream of its own, so that the frame path, which
        waits for the default stream, does not wait for it.
    max_age_s
        How long after the next look was due the last one is known.

    """

    def __init__(
        self,
        look: Callable[..., Sight],
        period_s: float,
        device: torch.device | str = 'cpu',
        max_age_s: float = math.inf,
    ) -> None:
        self.failures = 0
        self.fault = ''
        self._look = look
        self._period_s = period_s
        self._longest_s = period_s + max_age_s
        self._device = torch.device(device)
        self._stream = torch.cuda.Stream(device) if self._device.type == 'cuda' else None
        self._lock = threading.Lock()
        self._sight: Sight | None = None
        self._generation = 0
        self._began_s = -math.inf
        self._worker = Worker(self._refresh, 'guidance', NICE)

    def latest(self, *scene: Any) -> Sight | None:
        """Offer the scene as it is now and return what is known of it, without waiting."""
        if self._is_due():
            self._worker.put((self._generation, scene))
        sight = self._sight
        fresh = sight is not None and time.monotonic() - sight.at_s <= self._longest_s
        return sight if fresh else None

    def reset(self) -> None:
        """Forget what was seen, also what is being looked at; the next scene is looked at."""
        with self._lock:
            self._generation += 1
            self._sight = None
            self._began_s = -math.inf
        self._worker.clear()

    def close(self) -> None:
        """Finish the look under way and end the thread."""
        self._worker.close()

    def _is_due(self) -> bool:
        return time.monotonic() - self._began_s >= self._period_s

    def _refresh(self, item: tuple[int, tuple[Any, ...]]) -> None:
        generation, scene = item
        with self._lock:
            # It may have been offered just before the last look began, or before a reset.
            if generation != self._generation or not self._is_due():
                return
            self._began_s = time.monotonic()
        try:
            sight = self._look_aside(scene)
        except Exception as error:  # noqa: BLE001 - nothing that CLIP does may end the stream
            self.failures += 1
            self.fault = f'{type(error).__name__}: {error}'
            return
        self.fault = ''
        with self._lock:
            if generation == self._generation:
                self._sight = sight

    @torch.inference_mode()
    def _look_aside(self, scene: tuple[Any, ...]) -> Sight:
        if self._stream is None:
            return self._look(*scene)
        self._stream.wait_stream(torch.cuda.default_stream(self._device))
        with torch.cuda.stream(self._stream):
            sight = self._look(*scene)
            # This waits for the stream; and what the frame path reads must not be memory that
            # this stream would take for something else as soon as it is let go.
            features = {name: vector.cpu() for name, vector in sight.features.items()}
        features = {name: vector.to(self._device) for name, vector in features.items()}
        return dataclasses.replace(sight, features=features)
