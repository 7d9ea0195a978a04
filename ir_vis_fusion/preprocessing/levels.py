"""
Images as bytes or as floats: uint8 in [0, 255] stands for float32 in [0, 1].

On a CPU bytes cost a quarter of the memory traffic, and OpenCV's SIMD code knows them; a GPU, and
most networks, take floats.
"""

import math

import cv2
import torch


def use_threads(count: int) -> None:
    """Let torch and OpenCV, in this process, use so many threads at most."""
    torch.set_num_threads(count)
    cv2.setNumThreads(count)


def to_type(image: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """
    Turn uint8 in [0, 255] into float32 in [0, 1] or back, rounded and clamped.

    An image that is of the wanted type is returned as it is.
    """
    if image.dtype == dtype:
        return image
    if dtype == torch.float32:
        return image.to(torch.float32).mul_(1 / 255)
    if image.device.type == 'cpu':
        return round_scaled(image.reshape(-1, image.shape[-1]), 255.0, 0.0).view(image.shape)
    # The half makes the cut to uint8 round to nearest.
    return (image * 255).add_(0.5).clamp_(0, 255).to(torch.uint8)


def blend(
    first: torch.Tensor,
    second: torch.Tensor,
    strength: float = 1.0,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """
    Return first + strength mask (second - first), two images of one type, bytes rounded.

    ``strength`` and the ``mask`` (float32, of the images' height and width) are in [0, 1].
    """
    if mask is None and strength == 1.0:
        return second
    share = strength if mask is None else mask * strength
    if first.dtype == torch.float32:
        return torch.lerp(first, second, share)
    mixed = torch.lerp(first.to(torch.float32), second.to(torch.float32), share)
    return mixed.add_(0.5).to(torch.uint8)


def interleave(first: torch.Tensor, second: torch.Tensor, out: torch.Tensor) -> None:
    """Put two images (H, W) uint8 on the CPU side by side, pixel by pixel, into (H, W, 2)."""
    cv2.merge([first.numpy(), second.numpy()], dst=out.numpy())


def stretch(counts: torch.Tensor, low: float, span: float) -> torch.Tensor:
    """
    Return 255 (counts - low) / span as bytes, rounded and clamped.

    ``counts`` are (H, W) uint16 on the CPU. In two passes over whole numbers, a third of the time
    of one over floats, where the span is wide enough for that to be exact.
    """
    factor, floor = 255 / span, math.floor(low)
    offset = (floor - low) * factor
    if not -0.5 < offset <= 0 < factor:
        levels = counts.to(torch.float32)
        return round_scaled(levels, factor, -low * factor)
    # What lies below the floor is at it; convertScaleAbs takes the magnitude of less than half.
    above = cv2.subtract(counts.numpy(), float(floor))
    return torch.from_numpy(cv2.convertScaleAbs(above, alpha=factor, beta=offset))


def round_scaled(image: torch.Tensor, factor: float, offset: float) -> torch.Tensor:
    """Return factor image + offset as bytes, for (H, W) float32 on the CPU, as round_sum does."""
    pixels = image.numpy()
    return torch.from_numpy(cv2.addWeighted(pixels, factor, pixels, 0.0, offset, dtype=cv2.CV_8U))


def round_sum(
    first: torch.Tensor, second: torch.Tensor, factor: float, offset: float
) -> torch.Tensor:
    """
    Return first + factor second + offset as bytes, rounded and clamped.

    Both are (H, W) float32 on the CPU; OpenCV does in one pass what takes torch five.
    """
    total = cv2.addWeighted(first.numpy(), 1.0, second.numpy(), factor, offset, dtype=cv2.CV_8U)
    return torch.from_numpy(total)


def byte_statistics(first: torch.Tensor, second: torch.Tensor) -> tuple[float, ...]:
    """
    Return means A, B of two images and of abs(B - A), and standard deviations of A, B and B - A.

    The images are (H, W) uint8 on the CPU, with gaps between their rows or without; the numbers
    are in [0, 255].
    """
    images = first.numpy(), second.numpy()
    found = (cv2.meanStdDev(image) for image in images)
    means, spreads = zip(*((mean.item(), spread.item()) for mean, spread in found), strict=True)
    # By norms no image of the differences is made.
    distance = cv2.norm(*images, cv2.NORM_L1) / first.numel()
    square = cv2.norm(*images, cv2.NORM_L2SQR) / first.numel()
    spread = math.sqrt(max(0.0, square - (means[1] - means[0]) ** 2))
    return *means, distance, *spreads, spread
