"""
Room for images in Fast DDS's shared memory, which has to be told before a process starts.

By default the segment holds 512 kB, less than one image: its fragments are thrown away when it
is full and sent again on request, which costs a VGA stream at 30 Hz on two cores 20 ms at the
median, now and then a second, and some of the images. Another middleware ignores all this.
"""

from collections.abc import Mapping
from pathlib import Path

PROFILE = Path(__file__).with_name('fastdds.xml')
# The name of the variable before and since Fast DDS 3 (Kilted).
_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')


def room_for_images(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that name the profile, none where the user has chosen another."""
    if any(name in environment for name in (*_VARIABLES, 'FASTDDS_BUILTIN_TRANSPORTS')):
        return {}
    return dict.fromkeys(_VARIABLES, str(PROFILE))
