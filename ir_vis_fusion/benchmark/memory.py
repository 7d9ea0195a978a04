"""The most memory that was in use since a moment."""

import ctypes
from pathlib import Path

import torch

_STATUS = Path('/proc/self/status')
_CLEAR = Path('/proc/self/clear_refs')
# Of Linux: forget the peak of the resident memory.
_FORGET_PEAK = '5'


def forget_peak(device: torch.device) -> None:
    """Begin anew."""
    if device.type == 'cuda':
        torch.cuda.reset_peak_memory_stats(device)
    elif _CLEAR.exists():
        # What earlier rows have freed is kept by the allocator, as prepare_process tells it to.
        if trim := getattr(ctypes.CDLL(None), 'malloc_trim', None):
            trim(0)
        _CLEAR.write_text(_FORGET_PEAK)


def peak_mb(device: torch.device) -> float | None:
    """Return the peak of the process, on CUDA of the tensors there; None where nobody knows."""
    if device.type == 'cuda':
        return round(torch.cuda.max_memory_allocated(device) / 1e6, 1)
    if not _STATUS.exists():
        return None
    lines = _STATUS.read_text().splitlines()
    kilobytes = next(line.split()[1] for line in lines if line.startswith('VmHWM'))
    return round(int(kilobytes) * 1024 / 1e6, 1)
