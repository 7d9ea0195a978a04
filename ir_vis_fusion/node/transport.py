"""
Room for images in Fast DDS's shared memory, which has to be told before a process starts.

By default the segment holds 512 kB, less than one image: its fragments are thrown away when it
is full and sent again on request, which costs a VGA stream at 30 Hz on two cores 20 ms at the
median, now and then a second, and some of the images. Another middleware ignores all this.
"""

from collections.abc import Mapping
from pathlib import Path

# Five pairs of 640x480; three processes stay below the 64 MB that containers have.
SEGMENT_BYTES = 8 * 2**20
_PROFILE = f"""\
<?xml version="1.0" encoding="UTF-8"?>
<dds xmlns="http://www.eprosima.com/XMLSchemas/fastRTPS_Profiles"><profiles>
  <transport_descriptors>
    <transport_descriptor>
      <transport_id>shared_memory</transport_id>
      <type>SHM</type>
      <segment_size>{SEGMENT_BYTES}</segment_size>
    </transport_descriptor>
    <transport_descriptor>
      <transport_id>udp</transport_id>
      <type>UDPv4</type>
    </transport_descriptor>
  </transport_descriptors>
  <participant profile_name="images" is_default_profile="true"><rtps>
    <userTransports>
      <transport_id>shared_memory</transport_id>
      <transport_id>udp</transport_id>
    </userTransports>
    <useBuiltinTransports>false</useBuiltinTransports>
  </rtps></participant>
</profiles></dds>
"""
# The name of the variable before and since Fast DDS 3 (Kilted).
_VARIABLES = ('FASTRTPS_DEFAULT_PROFILES_FILE', 'FASTDDS_DEFAULT_PROFILES_FILE')


def room_for_images(environment: Mapping[str, str], folder: Path) -> dict[str, str]:
    """Write the profile into ``folder``; return its variables, none where the user chose."""
    if any(name in environment for name in (*_VARIABLES, 'FASTDDS_BUILTIN_TRANSPORTS')):
        return {}
    path = folder / 'fastdds.xml'
    path.write_text(_PROFILE)
    return dict.fromkeys(_VARIABLES, str(path))
