"""Whether a frame may still be published: not too old, and later than the last one; ROS-free."""

OTHER_CLOCK_NS = 10_000_000_000
_DOUBT_S = 1.0


class Freshness:
    """
    Hold the two promises of the output: nothing stale, and stamps that strictly increase.

    A live camera's stamps are compared with the node's clock. A bag that is played without
    use_sim_time, or a camera with a clock of its own, is 10 s or more away from it; then the
    time since the image arrived is its age. One frame does not change which of the two it is:
    that takes a second of nothing else, or another generation of stamps.

    Parameters
    ----------
    max_age_ms
        Oldest frame, 0 for no limit.
    jump_back_ms
        A stamp that goes back by more than this begins a new order, as in the synchronizer: the
        cameras' clocks differ and the frames come from the other one now.

    """

    def __init__(self, max_age_ms: float, jump_back_ms: float) -> None:
        self._max_age_ms = max_age_ms
        self._jump_back_ns = jump_back_ms * 1e6
        self._generation: int | None = None
        self._other_clock = False
        self._doubt_since_s: float | None = None
        self._last: tuple[int, int] | None = None

    def is_stale(
        self, stamp_ns: int, generation: int, now_ns: int, arrived_s: float, now_s: float
    ) -> bool:
        """
        Say whether a frame is too old now.

        Parameters
        ----------
        stamp_ns, generation
            Its stamp, and the generation of that.
        now_ns
            The time of the node's clock.
        arrived_s, now_s
            When it arrived and what time it is, in steady time.

        """
        age_ns = now_ns - stamp_ns
        if self._is_other_clock(age_ns, generation, now_s):
            age_ns = (now_s - arrived_s) * 1e9
        return 0 < self._max_age_ms < age_ns / 1e6

    def takes(self, stamp_ns: int, generation: int) -> bool:
        """Say whether a stamp is later than all before; if it is, it is the last one now."""
        if self._last is not None and generation == self._last[0]:
            back_ns = self._last[1] - stamp_ns
            if 0 <= back_ns <= self._jump_back_ns:
                return False
        self._last = (generation, stamp_ns)
        return True

    def _is_other_clock(self, age_ns: int, generation: int, now_s: float) -> bool:
        other = abs(age_ns) >= OTHER_CLOCK_NS
        if generation != self._generation:
            self._generation, self._other_clock = generation, other
        if other == self._other_clock:
            self._doubt_since_s = None
        elif self._doubt_since_s is None:
            self._doubt_since_s = now_s
        elif now_s - self._doubt_since_s >= _DOUBT_S:
            self._other_clock, self._doubt_since_s = other, None
        return self._other_clock
