"""
All draws of one training step, from a few numbers alone.

A run that is taken up again at step n makes the generator of step n anew and so goes on with
the very same draws; no generator state has to be kept.
"""

from collections.abc import Sequence
import hashlib

import torch
from torch import Generator, Tensor


class Chance:
    """
    Source of all that is random in a step, such as ``Chance(seed, step, rank)``.

    Numbers are drawn on the CPU, noise on ``device`` by a generator of its own, so that every
    device sees the same crops and choices; the grain differs between kinds of device.
    """

    def __init__(self, *seeds: int, device: torch.device | str = 'cpu') -> None:
        self.device = torch.device(device)
        # Hashed, because neighbours such as (0, 1) and (1, 0) must have nothing in common.
        digest = hashlib.sha256(repr(tuple(map(int, seeds))).encode()).digest()
        # Torch's generator on the CPU takes no more than 32 bits of a seed.
        draws, noise = (int.from_bytes(digest[at : at + 4], 'little') for at in (0, 4))
        self.generator = Generator().manual_seed(draws)
        self._noise = Generator(self.device).manual_seed(noise)

    def between(self, low: float, high: float) -> float:
        """Draw uniformly from [low, high)."""
        share = torch.rand((), generator=self.generator, dtype=torch.float64).item()
        return low + (high - low) * share

    def happens(self, share: float) -> bool:
        """Say yes in this share of all cases: never for 0, always for 1."""
        return self.between(0.0, 1.0) < share

    def integer(self, count: int) -> int:
        """Draw one of 0 ... count - 1."""
        return int(torch.randint(count, (), generator=self.generator))

    def choose(self, weights: Sequence[float] | Tensor, count: int = 1) -> list[int]:
        """
        Draw ``count`` indices, each time from all, with chances in proportion to ``weights``.

        Weights are not negative and not all zero; at most 2^24 of them.
        """
        chances = torch.as_tensor(weights, dtype=torch.float64, device='cpu')
        drawn = torch.multinomial(chances, count, replacement=True, generator=self.generator)
        return drawn.tolist()

    def noise(self, shape: Sequence[int]) -> Tensor:
        """Draw from the standard normal distribution, float32 on ``device``."""
        return torch.randn(tuple(shape), generator=self._noise, device=self.device)
