"""Images to the device and back: on CUDA by pinned memory, all images of a frame in one go."""

import numpy as np
import torch
from torch import Tensor

# Where each image of a package begins; more than any type's size and any GPU's sector.
_ALIGNMENT = 256
# Torch copies on all threads, which sleep between frames: to wake them takes as long as one thread
# needs for half a megabyte to a whole one.
_FOR_THREADS = 1 << 20


class Transfer:
    """
    Carry images between host and device.

    On the CPU nothing is carried: what comes back shares the memory of what was given. Elsewhere
    the images of a frame are packed into one block of pinned host memory and sent at once. Each
    frame has memory of its own, on both sides, which others may go on reading; torch keeps what
    is let go for later frames, once no copy is under way in it.

    Parameters
    ----------
    device
        Where images go to.
    packs
        Whether they are packed; None: on every device but the CPU.

    """

    def __init__(self, device: torch.device, packs: bool | None = None) -> None:
        self._device = device
        self._packs = device.type != 'cpu' if packs is None else packs
        self._announced: tuple[np.ndarray, ...] = ()
        self._sent: list[tuple[np.ndarray, Tensor, Tensor]] = []

    def announce(self, *images: np.ndarray) -> None:
        """Say which images of this frame will be uploaded later: they go with the next one."""
        self._announced, self._sent = images, []

    def upload(self, image: np.ndarray) -> tuple[Tensor, Tensor]:
        """
        Return an image, of any type of numbers, on the CPU and on the device.

        The former is the image itself on the CPU, elsewhere a copy for this frame alone. The
        device may still be copying when this returns; what is launched there afterwards, on the
        same stream, waits for it.
        """
        if not self._packs:
            pixels = torch.from_numpy(image if _is_plain(image) else image.copy())
            return pixels, pixels.to(self._device)
        for given, pixels, sent in self._sent:
            if given is image:
                return pixels, sent
        others = [one for one in self._announced if one is not image]
        self._announced = ()
        self._sent = self._send(image, *others)
        return self._sent[0][1:]

    def download(self, image: Tensor) -> np.ndarray:
        """Return an image in host memory, the caller's; waits for the device."""
        if not self._packs:
            return image.contiguous().cpu().numpy()
        place = self._pinned(image.shape, image.dtype)
        place.copy_(image, non_blocking=True)
        if self._device.type == 'cuda':
            torch.cuda.current_stream(self._device).synchronize()
        return place.numpy()

    def _send(self, *images: np.ndarray) -> list[tuple[np.ndarray, Tensor, Tensor]]:
        starts, end = [], 0
        for image in images:
            starts.append(end)
            end += -(-image.nbytes // _ALIGNMENT) * _ALIGNMENT
        block = self._pinned((end,), torch.uint8)
        memory = block.numpy()
        # By NumPy, which makes a view in a fifth of the time that torch takes.
        here = [
            torch.from_numpy(_copy(image, np.ndarray(image.shape, image.dtype, memory, start)))
            for image, start in zip(images, starts, strict=True)
        ]
        there = block.to(self._device, non_blocking=True)
        return [
            (image, one, _view_like(one, there, start))
            for image, one, start in zip(images, here, starts, strict=True)
        ]

    def _pinned(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype, pin_memory=self._device.type == 'cuda')


def _is_plain(image: np.ndarray) -> bool:
    """Say whether torch takes it: it knows neither memory to be read only nor steps back."""
    return image.flags.writeable and min(image.strides, default=0) >= 0


def _copy(image: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Copy an image to a place, which is returned."""
    if image.nbytes >= _FOR_THREADS and _is_plain(image):
        torch.from_numpy(place).copy_(torch.from_numpy(image))
    else:
        np.copyto(place, image)
    return place


def _view_like(image: Tensor, block: Tensor, start: int) -> Tensor:
    """Return what lies in a block of bytes from ``start`` on, with the form of an image."""
    place = start // image.itemsize
    return block.view(image.dtype).as_strided(image.shape, image.stride(), place)
