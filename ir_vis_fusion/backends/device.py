"""Which device a network runs on, and what it can do."""

from pathlib import Path
import platform

from ir_vis_fusion.errors import DeviceError
import torch


def select_device(name: str) -> torch.device:
    """
    Turn ``auto``, ``cpu``, ``cuda`` or ``cuda:N`` into a device that is there.

    Raises
    ------
    DeviceError
        Where the name is unknown or this machine has no such device.

    """
    if name == 'auto':
        return torch.device('cuda' if torch.cuda.is_available() else 'cpu')
    kind, _, index = name.partition(':')
    if kind not in ('cpu', 'cuda') or (index and not index.isdecimal()):
        raise DeviceError(f'device must be auto, cpu, cuda or cuda:N, got {name!r}')
    if kind == 'cpu':
        return torch.device('cpu')
    count = torch.cuda.device_count()
    if int(index or 0) >= count:
        raise DeviceError(
            f'device {name!r} is not there: torch {torch.__version__} sees {count} CUDA '
            "device(s); use device 'auto' or 'cpu', or run `ivf doctor`"
        )
    return torch.device(name)


def multiplies_bfloat16() -> bool:
    """
    Say whether this CPU has instructions for bfloat16.

    Without them oneDNN computes in float32 and converts, which is slower than float32. Linux's
    list of them is read because only newer versions of torch tell.
    """
    facts = Path('/proc/cpuinfo')
    flags = set(facts.read_text().split()) if facts.is_file() else set()
    return has_fused_convolution() and not flags.isdisjoint({'avx512_bf16', 'amx_bf16'})


def has_fused_convolution() -> bool:
    """Say whether oneDNN's convolution with prepacked weights and ReLU is there."""
    return (
        platform.machine() in ('x86_64', 'AMD64')
        and torch.backends.mkldnn.is_available()
        and hasattr(torch.ops.mkldnn, '_convolution_pointwise')
    )
