"""Images to the device and back: on CUDA by pinned memory that is kept, all images in one go."""

import numpy as np
import torch
from torch import Tensor

# Where each image of a package begins; more than any type's size and any GPU's sector.
_ALIGNMENT = 256


class Transfer:
    """
    Carry images between host and device.

    On the CPU nothing is carried: what comes back shares the memory of what was given. Elsewhere
    the images of a frame are packed into one block of pinned host memory, which is kept, and sent
    at once; each frame gets device memory of its own, which others may go on reading.

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
        self._sent: list[tuple[np.ndarray, Tensor]] = []
        self._under_way = False
        self._outbox = torch.empty(0, dtype=torch.uint8)
        self._inbox = torch.empty(0, dtype=torch.uint8)

    def announce(self, *images: np.ndarray) -> None:
        """Say which images of this frame will be uploaded later: they go with the next one."""
        self._announced, self._sent = images, []

    def upload(self, image: np.ndarray) -> Tensor:
        """Return an image, of any type of numbers, on the device."""
        if not self._packs:
            if not image.flags.writeable or any(stride < 0 for stride in image.strides):
                image = image.copy()
            return torch.from_numpy(image).to(self._device)
        for given, sent in self._sent:
            if given is image:
                return sent
        others = [one for one in self._announced if one is not image]
        self._announced = ()
        self._sent = self._send(image, *others)
        return self._sent[0][1]

    def download(self, image: Tensor) -> np.ndarray:
        """Return an image in host memory, the caller's."""
        image = image.contiguous()
        if not self._packs:
            return image.cpu().numpy()
        self._inbox = self._room(self._inbox, image.nbytes)
        place = self._inbox[: image.nbytes].view(image.dtype).view(image.shape)
        place.copy_(image, non_blocking=True)
        self._wait()
        return place.numpy().copy()

    def _send(self, *images: np.ndarray) -> list[tuple[np.ndarray, Tensor]]:
        if self._under_way:
            # The frame before ended without a result; its images may still be read.
            self._wait()
        starts, end = [], 0
        for image in images:
            starts.append(end)
            end += -(-image.nbytes // _ALIGNMENT) * _ALIGNMENT
        self._outbox = self._room(self._outbox, end)
        for image, start in zip(images, starts, strict=True):
            place = self._outbox[start : start + image.nbytes].numpy()
            np.copyto(place.view(image.dtype).reshape(image.shape), image)
        block = self._outbox[:end].to(self._device, non_blocking=True, copy=True)
        self._under_way = True
        return [
            (image, _view(block[start : start + image.nbytes], image))
            for image, start in zip(images, starts, strict=True)
        ]

    def _wait(self) -> None:
        if self._device.type == 'cuda':
            torch.cuda.current_stream(self._device).synchronize()
        self._under_way = False

    def _room(self, block: Tensor, size: int) -> Tensor:
        if block.numel() >= size:
            return block
        return torch.empty(size, dtype=torch.uint8, pin_memory=self._device.type == 'cuda')


def _view(block: Tensor, image: np.ndarray) -> Tensor:
    dtype = torch.from_numpy(np.empty(0, image.dtype)).dtype
    return block.view(dtype).view(image.shape)
