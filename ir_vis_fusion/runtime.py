"""
What a real-time path on a CPU needs of its process; for programs, before torch is imported.

These are settings of C libraries for the whole process, so the library leaves them alone and the
programs of this package ask for them.
"""

import ctypes
import os
import sys

# From malloc.h.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def prepare_process() -> None:
    """
    Let waiting threads sleep and freed memory be used again.

    OpenMP's threads spin while they wait for each other; where other processes want the same
    cores, two of them were a hundred times slower than one on small operations. OMP_WAIT_POLICY
    is set unless the user has set it.

    glibc maps every tensor of more than 128 KiB anew and unmaps it when it is freed: 5,700 page
    faults for a 640x480 frame, which cost more than the network, and 10 with these thresholds.
    Other C libraries are left alone.
    """
    os.environ.setdefault('OMP_WAIT_POLICY', 'PASSIVE')
    if not sys.platform.startswith('linux'):
        return
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, 512 << 20)
