"""The wish of SIGINT and SIGTERM to end, for programs that have something to finish first."""

import signal
import time

_SLICE_S = 0.05


class StopFlag:
    """
    True once it was set; no lock, unlike ``threading.Event``.

    A signal handler runs in the main thread, between any two of its instructions; one that sets
    an Event while the main thread is about to wait for it would wait for itself.
    """

    def __init__(self) -> None:
        self._stopped = False

    def __bool__(self) -> bool:
        return self._stopped

    def set(self) -> None:
        """Ask to stop."""
        self._stopped = True

    def set_by_signals(self) -> 'StopFlag':
        """Let SIGINT and SIGTERM set it; returns itself."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: self.set())
        return self

    def wait(self, duration_s: float) -> bool:
        """Sleep, but not on when it is set; return whether it is."""
        deadline = time.monotonic() + duration_s
        while not self._stopped and (left_s := deadline - time.monotonic()) > 0:
            time.sleep(min(left_s, _SLICE_S))
        return self._stopped
