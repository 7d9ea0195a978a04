"""What the metrics of human vision share: full contrast, and filters over frequencies."""

import torch
from torch import Tensor


def stretch(image: Tensor) -> Tensor:
    """Return each image (B, 1, H, W) with its range stretched to whole 0-255; flat: zeros."""
    low, high = image.amin((1, 2, 3), keepdim=True), image.amax((1, 2, 3), keepdim=True)
    span = high - low
    share = (image - low) / torch.where(span > 0, span, 1.0)
    # MATLAB rounds halves up.
    return (share * 255 + 0.5).floor()


def radius(like: Tensor, cycles: float) -> Tensor:
    """
    Return the distance from frequency zero, (H, W) in the order of fft2.

    The highest frequency along an axis of N pixels counts N / ``cycles``.
    """
    height, width = like.shape[-2:]
    facts = {'dtype': like.dtype, 'device': like.device}
    # freqspace of MATLAB, which runs from -1 to 1 where fftfreq runs from -0.5 to 0.5.
    y = torch.fft.fftfreq(height, **facts) * 2 * height / cycles
    x = torch.fft.fftfreq(width, **facts) * 2 * width / cycles
    return torch.hypot(y[:, None], x)


def filtered(image: Tensor, response: Tensor) -> Tensor:
    """Multiply the spectrum of each image with a real, even response."""
    return torch.fft.ifft2(torch.fft.fft2(image) * response).real
