"""A thread behind a mailbox of one."""

from collections.abc import Callable
import os
import sys
import threading
from typing import Any


class Worker:
    """
    Handle the newest item in a thread of its own.

    An item that nobody took yet is replaced by a newer one and counted in ``dropped``: with a
    queue instead, a network slower than the camera would work on ever older images. ``handle``
    must not raise. On Linux ``nice`` is added to the thread's niceness, and so to that of the
    threads which torch starts for it.
    """

    def __init__(self, handle: Callable[[Any], None], name: str, nice: int = 0) -> None:
        self.dropped = 0
        self._handle = handle
        self._nice = nice
        self._item: Any = None
        self._open = True
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, item: Any) -> None:
        """Hand over an item (not None), in place of one that still waits."""
        with self._changed:
            if self._item is not None:
                self.dropped += 1
            self._item = item
            self._changed.notify()

    def clear(self) -> None:
        """Take the waiting item back, if there is one."""
        with self._changed:
            self._item = None

    def close(self) -> None:
        """Finish the item under way, drop the waiting one and end the thread."""
        with self._changed:
            self._open = False
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        if self._nice and sys.platform.startswith('linux'):
            # There, and only there, it belongs to a thread and not to the process.
            thread = threading.get_native_id()
            os.setpriority(
                os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + self._nice
            )
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._item is not None or not self._open)
                if not self._open:
                    return
                item, self._item = self._item, None
            self._handle(item)
