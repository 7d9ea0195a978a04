"""The pairs of a bag, by the synchronizer of the node."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

from ir_vis_fusion.errors import EncodingError, EvaluationError
from ir_vis_fusion.evaluation.bags import BagReader
from ir_vis_fusion.evaluation.cdr import image_from_cdr
from ir_vis_fusion.preprocessing.encodings import decode
from ir_vis_fusion.synchronization import MatchedPair, PairSynchronizer
from ir_vis_fusion.types import CompressedImage, FramePair, RawImage, Role

Copy = Callable[[str, int, memoryview], None]


@dataclass(frozen=True)
class Arrival:
    """An image message and when it was recorded."""

    image: RawImage | CompressedImage
    recorded_ns: int


@dataclass
class BagPairs:
    """
    The pairs of two image topics of an open bag, to be read once.

    ``stamps`` gathers the stamps of all images by role, ``failures`` counts what could not be
    decoded, named as in the node's status.
    """

    reader: BagReader
    topics: dict[Role, str]
    synchronizer: PairSynchronizer
    stamps: dict[Role, list[int]] = field(default_factory=lambda: {role: [] for role in Role})
    failures: Counter[str] = field(default_factory=Counter)

    def read(
        self, others: frozenset[str] = frozenset(), copy: Copy | None = None
    ) -> Iterator[tuple[int, MatchedPair]]:
        """
        Yield each pair of :class:`Arrival` with the time at which the bag has made it complete.

        ``copy`` takes every message of the two topics and ``others``, in the order of recording.
        """
        roles = {topic: role for role, topic in self.topics.items()}
        recorded_ns = self.reader.start_ns
        for topic, recorded_ns, data in self.reader.messages({*roles, *others}):
            if copy is not None:
                copy(topic, recorded_ns, data)
            for pair in self._add(roles[topic], recorded_ns, data) if topic in roles else ():
                yield recorded_ns, pair
        for pair in self.synchronizer.flush():
            yield recorded_ns, pair

    def decode(self, pair: MatchedPair) -> FramePair | None:
        """Return the frames of a pair, None (and a failure more) where one cannot be decoded."""
        frames = []
        for role, arrival in ((Role.THERMAL, pair.thermal), (Role.VISIBLE, pair.visible)):
            try:
                frames.append(decode(arrival.image, role))
            except EncodingError as error:
                self.failures[f'{role.value}_{error.kind}'] += 1
                return None
        return FramePair(*frames, pair.offset_ns)

    def _add(self, role: Role, recorded_ns: int, data: memoryview) -> list[MatchedPair]:
        try:
            image = image_from_cdr(data, self.reader.topics[self.topics[role]])
        except EvaluationError:
            self.failures[f'{role.value}_damaged'] += 1
            return []
        if not image.stamp_ns:
            # As in the player: the time of recording stands for a stamp that is not set.
            image = replace(image, stamp_ns=recorded_ns)
        self.stamps[role].append(image.stamp_ns)
        add = {
            Role.THERMAL: self.synchronizer.add_thermal,
            Role.VISIBLE: self.synchronizer.add_visible,
        }[role]
        return add(image.stamp_ns, Arrival(image, recorded_ns))
