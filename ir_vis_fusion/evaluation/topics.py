"""Which image topic of a bag is the thermal one and which the visible one."""

from collections.abc import Sequence
from dataclasses import dataclass
import re

from ir_vis_fusion.errors import EvaluationError

THERMAL_WORDS = (
    'ir|tir|therm[a-z]*|infra[a-z]*|[lms]wir|flir|boson[a-z]*|lepton[a-z]*|tau2?|hadron|optris|'
    'seek|xenics|gobi|temperature|radiometric'
)
VISIBLE_WORDS = 'visible|vis|rgb|colou?r|eo|webcam|usb_cam'
# Depth images are 16-bit too, and no camera of either kind.
OTHER_WORDS = 'depth|disparity|mask|labels?|segmentation|fused|debug|overlay|theora'
RAW_COUNTS = frozenset(('mono16', '16uc1', '32fc1'))
COLOURS = frozenset(('rgb8', 'bgr8', 'rgba8', 'bgra8', '8uc3', 'nv12', 'yuv422', 'yuv422_yuy2'))
HELD_SHARE = 0.7


@dataclass(frozen=True)
class ImageTopic:
    """An image topic; ``encoding`` is that of its first message ('' where unknown)."""

    name: str
    msgtype: str
    count: int
    encoding: str = ''

    def __str__(self) -> str:
        kind = self.msgtype.rpartition('/')[2]
        return f'{self.name} ({kind} {self.encoding or "?"}, {self.count} messages)'


def guess_topics(
    topics: Sequence[ImageTopic], thermal: str | None = None, visible: str | None = None
) -> tuple[str, str]:
    """
    Return the names of the thermal and the visible image topic.

    Names that are given are only checked; as in image_transport that of the raw topic stands for
    the compressed one where that is alone. Otherwise words in the name decide, then the
    encoding (16-bit and float suggest thermal, colour suggests visible), then raw goes before
    compressed.

    Raises
    ------
    EvaluationError
        Where a name is not there or no topic stands out; the image topics are listed.

    """
    listing = '; '.join(map(str, topics)) or 'none'
    names = [topic.name for topic in topics]
    thermal, visible = (_or_compressed(name, names) for name in (thermal, visible))
    for name in (thermal, visible):
        if name is not None and name not in names:
            raise EvaluationError(f'no image topic {name!r}; image topics: {listing}')
    leanings = [(_lean(topic), topic) for topic in topics if not _has(OTHER_WORDS, topic.name)]
    if thermal is None:
        left = [(lean, topic) for lean, topic in leanings if topic.name != visible]
        thermal = _best('thermal', left, listing)
    if visible is None:
        left = [(-lean, topic) for lean, topic in leanings if topic.name != thermal]
        visible = _best('visible', left, listing)
    if thermal == visible:
        raise EvaluationError(f'thermal and visible topic are both {thermal!r}')
    return thermal, visible


def _or_compressed(name: str | None, names: Sequence[str]) -> str | None:
    compressed = f'{name}/compressed'
    return compressed if name not in names and compressed in names else name


def guess_mode(thermal_count: int, visible_count: int) -> str:
    """Return the mode of the synchronizer; a thermal camera much the slower one is held."""
    return 'hold_thermal' if thermal_count < HELD_SHARE * visible_count else 'both_new'


def _best(role: str, scored: list[tuple[int, ImageTopic]], listing: str) -> str:
    """Return the topic that leans most to a role; a visible one may lean to nothing."""
    enough = 1 if role == 'thermal' else 0
    scored = [(score, topic) for score, topic in scored if score >= enough]
    top = max((score for score, _ in scored), default=None)
    best = [topic for score, topic in scored if score == top]
    if len(best) > 1:
        best = [topic for topic in best if not topic.msgtype.endswith('CompressedImage')] or best
    if len(best) != 1:
        found = f'{len(best)} look alike' if best else 'none looks like it'
        raise EvaluationError(
            f'cannot tell the {role} topic ({found}), name it; image topics: {listing}'
        )
    return best[0].name


def _lean(topic: ImageTopic) -> int:
    """Say how much a topic looks thermal (positive) or visible (negative)."""
    lean = 4 * _has(THERMAL_WORDS, topic.name) - 4 * _has(VISIBLE_WORDS, topic.name)
    encoding = topic.encoding.lower().partition(';')[0].strip()
    lean += 2 * (encoding in RAW_COUNTS)
    lean -= 2 * (encoding in COLOURS or encoding.startswith('bayer'))
    return lean


def _has(words: str, name: str) -> bool:
    name = re.sub(r'([a-z])([A-Z])', r'\1_\2', name).lower()
    return re.search(rf'(?:^|[^a-z])(?:{words})(?:$|[^a-z])', name) is not None
