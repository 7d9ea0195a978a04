"""The ``fusion_node`` executable: start, spin, end with exit code 0 on SIGINT and SIGTERM."""

from collections.abc import Sequence
import signal
import socket
import sys

from ir_vis_fusion.node.transport import prepare_transport
from ir_vis_fusion.runtime import prepare_process

_CANNOT_IMPORT = """\
fusion_node: {error}
It runs on {python}. Install what is missing for that interpreter, or start the node with one that
has it: activate the virtual environment (made with --system-site-packages beside a sourced ROS 2)
before `colcon build` and before the start, and see that the first line of the executable reads
#!/usr/bin/env python3. `ivf doctor` shows what else is missing.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the node until it is told to stop; return the exit code."""
    signals = _catch_signals()
    prepare_process()
    prepare_transport()
    try:
        # Not before signals are caught: importing torch takes seconds.
        from ir_vis_fusion.node import spinning
    except (ImportError, OSError) as error:
        sys.stderr.write(_CANNOT_IMPORT.format(error=error, python=sys.executable))
        return 1
    return spinning.run(arguments, signals)


def _catch_signals() -> socket.socket:
    """
    Turn SIGINT and SIGTERM into bytes on a socket.

    A Python signal handler that calls ``rclpy.try_shutdown`` itself can interrupt its own thread
    inside ``Context.ok()``, which holds a lock that is not re-entrant, and wait for ever.
    """
    reader, writer = socket.socketpair()
    writer.setblocking(False)
    signal.set_wakeup_fd(writer.detach(), warn_on_full_buffer=False)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)
    return reader


if __name__ == '__main__':
    sys.exit(main())
