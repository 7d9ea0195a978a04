"""From pairs to a bag to play, and from the recorded bag to what one looks at."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ir_vis_fusion.config import ThermalSettings
from ir_vis_fusion.evaluation.bags import BagReader, BagWriter
from ir_vis_fusion.evaluation.cdr import header_stamp
from ir_vis_fusion.evaluation.contact_sheet import write_contact_sheet
from ir_vis_fusion.evaluation.videos import NANOSECONDS, VideoWriter
from ir_vis_fusion.evaluation.views import rgb, ThermalView
from ir_vis_fusion.preprocessing.encodings import decode
from ir_vis_fusion.types import Frame, FramePair, RawImage, Role
import numpy as np
import torch
from torch.nn import functional

MOMENTS = 4
# Bags of videos and folders begin here, for a stamp of 0 counts as not set.
FIRST_STAMP_NS = 1_000_000_000 * NANOSECONDS


@dataclass(frozen=True)
class Recording:
    """The bag that was played, what was added to its stamps, and the bag that was recorded."""

    bag: Path
    thermal_topic: str
    visible_topic: str
    stamp_shift_ns: int
    fused_bag: Path
    fused_topic: str


def write_pairs(path: Path, pairs: Sequence[tuple[str, FramePair]]) -> None:
    """Write pairs as a bag with the topics /thermal/image_raw and /visible/image_raw."""
    last_ns = {}
    with BagWriter(path) as bag:
        for _, pair in pairs:
            for name, frame in (('thermal', pair.thermal), ('visible', pair.visible)):
                # A slow thermal video repeats its frames; the camera would send them once.
                if frame.stamp_ns > last_ns.get(name, -1):
                    bag.write_image(f'/{name}/image_raw', _message(frame, name))
                    last_ns[name] = frame.stamp_ns


def write_results(recording: Recording, folder: Path) -> None:
    """Write fused.mcap (compressed), fused.mp4 and contact_sheet.png."""
    _pack(recording.fused_bag, folder / 'fused.mcap')
    source_ns = _stamps(recording.bag, recording.visible_topic)
    fused_ns = _stamps(recording.fused_bag, recording.fused_topic)
    middles = [(2 * moment + 1) * len(fused_ns) // (2 * MOMENTS) for moment in range(MOMENTS)]
    wanted = [fused_ns[at] for at in middles]
    fused = _write_video(recording, folder / 'fused.mp4', _period(source_ns), wanted)
    moments = [fused_ns[at] - recording.stamp_shift_ns for at in middles]
    rows = {
        'thermal': _thermal_at(recording, moments),
        'visible': _visible_at(recording, moments),
        'fused': fused,
    }
    labels = [f't = {(stamp_ns - source_ns[0]) / NANOSECONDS:.1f} s' for stamp_ns in moments]
    write_contact_sheet(folder / 'contact_sheet.png', rows, labels)


def _pack(recorded: Path, path: Path) -> None:
    with BagReader(recorded) as source, BagWriter(path, compress=True) as packed:
        for topic, recorded_ns, data in source.messages(source.topics):
            packed.write(topic, source.topics[topic], recorded_ns, data)


def _write_video(
    recording: Recording, path: Path, period_ns: float, wanted: list[int]
) -> list[np.ndarray]:
    """Draw a video in real time, of the first image's size; return the images of ``wanted``."""
    kept, first_ns, previous = {}, None, None
    with (
        BagReader(recording.fused_bag) as source,
        VideoWriter(path, NANOSECONDS / period_ns) as video,
    ):
        for _, message in source.images((recording.fused_topic,)):
            image = rgb(decode(message, Role.VISIBLE))
            first_ns = message.stamp_ns if first_ns is None else first_ns
            # Where a pair was dropped, the one before stands on.
            while video.frame_count < round((message.stamp_ns - first_ns) / period_ns):
                video.write(previous)
            previous = image if previous is None else _resized(image, previous.shape[:2])
            video.write(previous)
            if message.stamp_ns in wanted:
                kept[message.stamp_ns] = image
    return [kept[stamp_ns] for stamp_ns in wanted]


def _thermal_at(recording: Recording, moments: list[int]) -> list[np.ndarray]:
    """Return the thermal images nearest to some moments as the network gets them."""
    stamps = _stamps(recording.bag, recording.thermal_topic)
    wanted = [min(stamps, key=lambda stamp, at=at: abs(stamp - at)) for at in moments]
    view, kept = ThermalView(ThermalSettings()), {}
    with BagReader(recording.bag) as bag:
        for _, message in bag.images((recording.thermal_topic,)):
            level, _ = view.look(decode(message, Role.THERMAL))
            if message.stamp_ns in wanted:
                kept[message.stamp_ns] = (level * 255).round().to(torch.uint8).numpy()
    return [kept[stamp_ns] for stamp_ns in wanted]


def _visible_at(recording: Recording, moments: list[int]) -> list[np.ndarray]:
    with BagReader(recording.bag) as bag:
        images = bag.images((recording.visible_topic,))
        kept = {
            message.stamp_ns: rgb(decode(message, Role.VISIBLE))
            for _, message in images
            if message.stamp_ns in moments
        }
    return [kept[stamp_ns] for stamp_ns in moments]


def _stamps(path: Path, topic: str) -> list[int]:
    with BagReader(path) as bag:
        return [header_stamp(data) or at_ns for _, at_ns, data in bag.messages((topic,))]


def _period(stamps: list[int]) -> float:
    gaps = np.diff(stamps)
    # Stamps of a careless driver may repeat or go back.
    return float(np.median(gaps[gaps > 0])) if (gaps > 0).any() else NANOSECONDS / 30


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if image.shape[:2] == size:
        return image
    pixels = torch.tensor(image).permute(2, 0, 1)[None].float()
    pixels = functional.interpolate(pixels, size, mode='bilinear', antialias=True)
    return pixels[0].permute(1, 2, 0).round().to(torch.uint8).numpy()


def _message(frame: Frame, name: str) -> RawImage:
    image = np.ascontiguousarray(frame.image)
    height, width = image.shape[:2]
    step = image.nbytes // height
    stamp_ns, frame_id = FIRST_STAMP_NS + frame.stamp_ns, f'{name}_optical_frame'
    return RawImage(height, width, frame.encoding.value, False, step, image, stamp_ns, frame_id)
