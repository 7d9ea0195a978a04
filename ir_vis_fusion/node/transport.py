"""
Fast DDS's shared memory, which has to be thought of before a node is made: room, and leftovers.

By default the segment holds 512 kB, less than one image: its fragments are thrown away when it
is full and sent again on request, which costs a VGA stream at 30 Hz on two cores 20 ms at the
median, now and then a second, and some of the images. Another middleware ignores all this.
"""

import functools
import os
from pathlib import Path
import re

PROFILE = Path(__file__).with_name('fastdds.xml')
# The name of the variable before and since Fast DDS 3 (Kilted).
_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')
_SHARED_MEMORY = Path('/dev/shm')
# RTPS 2.5, section 9.6.1: where a domain's ports begin. From 102 on Linux gives them to others.
_PORT_BASE, _PORT_GAIN, _DOMAINS = 7400, 250, 101


def make_room_for_images() -> None:
    """Let this process use the profile, unless the user has chosen another; before rclpy.init."""
    if not any(name in os.environ for name in (*_VARIABLES, 'FASTDDS_BUILTIN_TRANSPORTS')):
        os.environ |= dict.fromkeys(_VARIABLES, str(PROFILE))


@functools.cache
def own_domain() -> int:
    """
    Return a ROS domain, 1 to 101, that nobody on this machine uses; the same at every call.

    Nor has anybody left it in disorder: a process that is killed while it makes its port in
    shared memory leaves it half made, and Fast DDS waits for ever for the other half.
    """
    ports = (re.search(r'port(\d+)', file.name) for file in _SHARED_MEMORY.glob('*port*'))
    taken = {(int(port[1]) - _PORT_BASE) // _PORT_GAIN for port in ports if port}
    domains = [1 + (os.getpid() + step) % _DOMAINS for step in range(_DOMAINS)]
    return next((domain for domain in domains if domain not in taken), domains[0])
