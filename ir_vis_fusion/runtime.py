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
# Rounds for which a thread of GNU's OpenMP looks out for work before it sleeps, some 0.1 ms, which
# is longer than from one operation to the next. To be woken takes about as long, 30 times a frame:
# a quarter of the time of 640x480. More rounds gain little, and each costs where others want the
# cores.
_SPINS = 2000


def prepare_process() -> None:
    """
    Let waiting threads sleep soon and freed memory be used again.

    OpenMP's threads spin while they wait for each other, for milliseconds; where other processes
    want the same cores, two of them were a hundred times slower than one on small operations.
    Those that sleep at once lose a quarter of a frame's time by being woken, so they spin from
    one operation to the next and sleep after the last. Nothing is set where the user has set
    OMP_WAIT_POLICY.

    glibc maps every tensor of more than 128 KiB anew and unmaps it when it is freed: 5,700 page
    faults for a 640x480 frame, which cost more than the network, and 10 with these thresholds.
    Other C libraries are left alone.
    """
    if 'OMP_WAIT_POLICY' not in os.environ:
        os.environ['OMP_WAIT_POLICY'] = 'PASSIVE'
        os.environ.setdefault('GOMP_SPINCOUNT', str(_SPINS))
    if not sys.platform.startswith('linux'):
        return
    mallopt = getattr(ctypes.CDLL(None), 'mallopt', None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, 32 << 20)
        mallopt(_M_TRIM_THRESHOLD, 512 << 20)
