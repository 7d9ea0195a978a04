"""What was fused live, measured as if it had been fused offline: ``ivf replay --recorded``."""

from collections.abc import Callable, Iterator
from pathlib import Path

from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.bags import BagReader
from ir_vis_fusion.evaluation.cdr import image_from_cdr, NANOSECONDS
from ir_vis_fusion.evaluation.replay import (
    Fused,
    measure,
    open_bag_pairs,
    Replayed,
    ReplaySettings,
    ReplayTopics,
    report_of,
)
from ir_vis_fusion.preprocessing.encodings import decode
from ir_vis_fusion.synchronization import MatchedPair
from ir_vis_fusion.types import FramePair, Role

# Further from the stamp than this, the time of recording is that of another clock.
OTHER_CLOCK_NS = 10 * NANOSECONDS


def measure_recording(
    bag: Path, recorded: Path, settings: ReplaySettings, topics: ReplayTopics
) -> Replayed:
    """
    Measure the fused images that were recorded while a bag was played with its own stamps.

    The pairs are those that the bag offers; the ones without a fused image of their stamp are
    ``missing``. The latency runs from the stamp to the recording, on the clock of the recording.

    Raises
    ------
    EvaluationError
        Where a bag cannot be read, a topic is missing or nothing fits together.

    """
    with BagReader(bag) as reader, BagReader(recorded) as fused_reader:
        if topics.fused not in fused_reader.topics:
            there = ', '.join(sorted(fused_reader.topics)) or 'none'
            raise EvaluationError(f'{str(recorded)!r}: no topic {topics.fused!r}; topics: {there}')
        pairs, settings = open_bag_pairs(reader, topics, settings)
        images = _Recorded(fused_reader, topics.fused)
        measurements = measure(pairs, images.fused_of, settings)
        images.finish()
        report = report_of(pairs, measurements, settings)
    report['configuration'] |= {'way': 'live'}
    report['topics'] |= {'fused': topics.fused}
    report |= {
        'recorded': images.count,
        'missing': report['pairs'] - report['fused'],
        'without_pair': images.count - report['fused'],
    }
    return Replayed(report, measurements)


class _Recorded:
    """The recorded images, merged with pairs: both are in the order of (pass, stamp)."""

    def __init__(self, reader: BagReader, topic: str) -> None:
        self.count = 0
        self._images = self._read(reader, topic)
        self._next = next(self._images, None)
        self._wanted = (0, 0)

    def fused_of(self, complete_ns: int, pair: MatchedPair, frames: FramePair) -> Fused | None:
        self._wanted = _later(self._wanted, pair.visible_stamp_ns)
        while self._next is not None and self._next[0] < self._wanted:
            self._next = next(self._images, None)
        found = self._next is not None and self._next[0] == self._wanted
        return self._next[1]() if found else None

    def finish(self) -> None:
        """Count what is left."""
        for _ in self._images:
            pass

    def _read(
        self, reader: BagReader, topic: str
    ) -> Iterator[tuple[tuple[int, int], Callable[[], Fused]]]:
        at = (0, 0)
        for _, recorded_ns, data in reader.messages((topic,)):
            self.count += 1
            image = image_from_cdr(data, reader.topics[topic])
            at = _later(at, image.stamp_ns)
            latency_ns = recorded_ns - image.stamp_ns
            latency_ms = latency_ns / 1e6 if abs(latency_ns) < OTHER_CLOCK_NS else None
            yield at, lambda image=image, ms=latency_ms: Fused(decode(image, Role.VISIBLE), ms)


def _later(last: tuple[int, int], stamp_ns: int) -> tuple[int, int]:
    """Return (pass, stamp); a stamp that goes back begins the next pass of a looped bag."""
    return last[0] + (stamp_ns < last[1]), stamp_ns
