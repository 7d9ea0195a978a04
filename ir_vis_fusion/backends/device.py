"""Which device a network runs on."""

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
