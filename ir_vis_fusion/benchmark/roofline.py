"""What the machine can do at most: bytes copied and numbers multiplied in a second."""

from collections.abc import Callable
from dataclasses import dataclass
import time

import torch

_COPY_BYTES = 128 << 20
_SIDE = 1536
_ROUNDS = 7


@dataclass(frozen=True)
class Roofline:
    """``bytes_per_s``, read and written together, and ``macs_per_s`` by type of number."""

    bytes_per_s: float
    macs_per_s: dict[str, float]

    def least_s(self, macs: float, moved_bytes: float) -> float:
        """Return the time below which no implementation on this machine can come."""
        return max(macs / max(self.macs_per_s.values()), moved_bytes / self.bytes_per_s)


def measure_roofline(device: torch.device) -> Roofline:
    """
    Measure on the spot, the best of some rounds.

    The products of matrices are taken in float32 and in the half type that the device knows:
    bfloat16 on the CPU, float16 on CUDA.
    """
    source = torch.ones(_COPY_BYTES, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    copy_s = _best(lambda: target.copy_(source), device)
    half = torch.float16 if device.type == 'cuda' else torch.bfloat16
    rates = {}
    for dtype in (torch.float32, half):
        matrix = torch.rand(_SIDE, _SIDE, device=device).to(dtype)
        product = torch.empty_like(matrix)
        taken_s = _best(lambda a=matrix, out=product: torch.mm(a, a, out=out), device)
        rates[str(dtype).removeprefix('torch.')] = _SIDE**3 / taken_s
    return Roofline(2 * _COPY_BYTES / copy_s, rates)


@torch.inference_mode()
def _best(run: Callable[[], object], device: torch.device) -> float:
    times = []
    for _ in range(_ROUNDS):
        begin_s = time.perf_counter()
        run()
        if device.type == 'cuda':
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - begin_s)
    # The first one maps the memory, or loads a kernel.
    return min(times[1:])
