"""
Fast DDS's shared memory, which has to be thought of before a node is made: room, and leftovers.

By default the segment holds 512 kB, less than one image: its fragments are thrown away when it
is full and sent again on request, which costs a VGA stream at 30 Hz on two cores 20 ms at the
median, now and then a second, and some of the images. Another middleware ignores all this.
"""

import contextlib
import os
from pathlib import Path
import re
import time

PROFILE = Path(__file__).with_name('fastdds.xml')
# The name of the variable before and since Fast DDS 3 (Kilted).
_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
_SHARED_MEMORY = Path('/dev/shm')
_PORT = re.compile(r'fast(rtps|dds)_port\d+')
_MADE = 2
_PATIENCE_S = 10.0


def prepare_transport() -> None:
    """Let this process use the profile, unless the user has chosen another; before rclpy.init."""
    if not any(name in os.environ for name in (*_VARIABLES, 'FASTDDS_BUILTIN_TRANSPORTS')):
        os.environ |= dict.fromkeys(_VARIABLES, str(PROFILE))
    remove_half_made_ports()


def remove_half_made_ports() -> list[str]:
    """
    Remove what processes left that were killed while they made a port; return the file names.

    Every process of every domain that comes to such a port waits in ``rclpy.create_node`` for
    ever: a port is opened by ``boost::interprocess``, whose segments begin with a word that is 2
    when they are made, and which waits for that without a limit. Making one takes microseconds.
    """
    removed = []
    for file in _SHARED_MEMORY.glob('fast*_port*'):
        # Another process may remove it meanwhile, or it is another user's.
        with contextlib.suppress(OSError):
            if not _PORT.fullmatch(file.name):
                continue
            with file.open('rb') as segment:
                state = int.from_bytes(segment.read(4), 'little')
            if state < _MADE and time.time() - file.stat().st_mtime > _PATIENCE_S:
                file.unlink()
                removed.append(file.name)
    return removed


def own_domain() -> int:
    """Return a ROS domain, 1 to 100, for this process and its children alone."""
    return 1 + os.getpid() % 100
