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
    the images of a frame are packed into one block of pinned host memory, reused as long as it is
    large enough, and sent at once; each frame gets device memory of its own, which others may go
    on reading.
    """

    def __init__(self, device: torch.device, packs: bool | None = None) -> None:
        self._device = device
        # Packing is of no use on a CPU, and as right there as anywhere.
        self._packs = device.type != 'cpu' if packs is None else packs
        self._sent: list[tuple[np.ndarray, Tensor]] = []
        self._outbox = torch.empty(0, dtype=torch.uint8)
        self._inbox = torch.empty(0, dtype=torch.uint8)

    def send(self, *images: np.ndarray) -> None:
        """Send the images of a frame; :meth:`upload` finds them. The last frame must be back."""
        if not self._packs:
            return
        starts, end = [], 0
        for image in images:
            starts.append(end)
            end += -(-image.nbytes // _ALIGNMENT) * _ALIGNMENT
        self._outbox = self._room(self._outbox, end)
        for image, start in zip(images, starts, strict=True):
            place = self._outbox[start : start + image.nbytes].numpy()
            np.copyto(place.view(image.dtype).reshape(image.shape), image)
        block = self._outbox[:end].to(self._device, non_blocking=True, copy=True)
        self._sent = [
            (image, self._view(block[start : start + image.nbytes], image))
            for image, start in zip(images, starts, strict=True)
        ]

    def upload(self, image: np.ndarray) -> Tensor:
        """Return an image on the device, of any type but bool: of the package, or sent now."""
        for given, sent in self._sent:
            if given is image:
                return sent
        if not image.flags.writeable or any(stride < 0 for stride in image.strides):
            image = image.copy()
        return torch.from_numpy(image).to(self._device)

    def download(self, image: Tensor) -> np.ndarray:
        """Return a contiguous image in host memory, the caller's; all that was sent is used up."""
        self._sent = []
        image = image.contiguous()
        if not self._packs:
            return image.cpu().numpy()
        self._inbox = self._room(self._inbox, image.nbytes)
        place = self._inbox[: image.nbytes].view(image.dtype).view(image.shape)
        place.copy_(image, non_blocking=True)
        if self._device.type == 'cuda':
            torch.cuda.current_stream(self._device).synchronize()
        return place.numpy().copy()

    def _room(self, block: Tensor, size: int) -> Tensor:
        if block.numel() >= size:
            return block
        return torch.empty(size, dtype=torch.uint8, pin_memory=self._device.type == 'cuda')

    @staticmethod
    def _view(block: Tensor, image: np.ndarray) -> Tensor:
        dtype = torch.from_numpy(np.empty(0, image.dtype)).dtype
        return block.view(dtype).view(image.shape)
