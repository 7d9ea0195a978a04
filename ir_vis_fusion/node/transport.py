"""
Room for images in Fast DDS's shared memory, which has to be told before a node is made.

By default the segment holds 512 kB, less than one image: its fragments are thrown away when it
is full and sent again on request, which costs a VGA stream at 30 Hz on two cores 20 ms at the
median, now and then a second, and some of the images. Another middleware ignores all this.
"""

import os
from pathlib import Path

PROFILE = Path(__file__).with_name('fastdds.xml')
# The name of the variable before and since Fast DDS 3 (Kilted).
_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')


def make_room_for_images() -> None:
    """Let this process use the profile, unless the user has chosen another; before rclpy.init."""
    if not any(name in os.environ for name in (*_VARIABLES, 'FASTDDS_BUILTIN_TRANSPORTS')):
        os.environ |= dict.fromkeys(_VARIABLES, str(PROFILE))
