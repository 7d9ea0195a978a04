"""
A bag through the fusion, without ROS and without a clock: ``ivf replay``.

Synchronizer, decoding and predictor are those of the node. Nothing depends on how fast the
machine is: every pair is fused, and the same bag gives the same images.
"""

from collections.abc import Callable
import dataclasses
from dataclasses import dataclass
from pathlib import Path
import time
from typing import Any

from ir_vis_fusion import __version__
from ir_vis_fusion.config import (
    flatten,
    FrameSettings,
    group,
    PredictorSettings,
    RegistrationSettings,
    setting,
    SynchronizerSettings,
    ThermalSettings,
)
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.bags import BagReader, BagWriter
from ir_vis_fusion.evaluation.cdr import IMAGE, image_to_cdr
from ir_vis_fusion.evaluation.replay_measures import Measurements, Result
from ir_vis_fusion.evaluation.replay_pairs import BagPairs, Copy
from ir_vis_fusion.evaluation.topics import guess_mode, guess_topics
from ir_vis_fusion.evaluation.views import ThermalView
from ir_vis_fusion.metrics import jitter
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.synchronization import MatchedPair, PairSynchronizer
from ir_vis_fusion.types import Frame, FramePair, FusedFrame, RawImage, Role
import torch
from tqdm import tqdm

# That the first pair is not the slow one.
_USUAL_SIZE = (480, 640)


@dataclass(frozen=True)
class ReplaySettings(FrameSettings, PredictorSettings):
    """What the node can be told that changes its images."""

    # Both bases have groups of these names; these hold the others.
    thermal: ThermalSettings = group(ThermalSettings)
    registration: RegistrationSettings = group(RegistrationSettings)
    sync: SynchronizerSettings = group(SynchronizerSettings)
    guess_mode: bool = setting(
        True, 'choose sync.mode by the number of images: hold_thermal for a slow thermal camera'
    )


@dataclass(frozen=True)
class ReplayTopics:
    """Topics by name; those of the cameras are guessed where they are None."""

    thermal: str | None = None
    visible: str | None = None
    fused: str = '/fused/image'


@dataclass(frozen=True)
class Replayed:
    """``report`` goes into the JSON file; ``measurements`` has the images to look at."""

    report: dict[str, Any]
    measurements: Measurements


@dataclass(frozen=True)
class Fused:
    """A fused image and how long it took, None where that is not known."""

    frame: Frame | FusedFrame
    latency_ms: float | None


Fuse = Callable[[int, MatchedPair, FramePair], Fused | None]


def replay(
    bag: Path,
    out: Path,
    settings: ReplaySettings,
    topics: ReplayTopics,
    all_topics: bool = False,
    quiet: bool = False,
) -> Replayed:
    """
    Fuse every pair of a bag into another bag.

    A fused image has the stamp of its visible image and was recorded when the last image came
    that its pair needed, as with a node that takes no time.

    ``out`` is an .mcap file, which appears when all is done; ``all_topics`` copies the topics of
    the bag too, with their QoS; ``quiet`` leaves out the progress bar.

    Raises
    ------
    EvaluationError
        Where the bag cannot be read, a topic is missing or nothing was fused.

    """
    if out.exists() and bag.exists() and out.samefile(bag):
        raise EvaluationError(f'{str(out)!r}: would overwrite the bag; name another')
    predictor = FusionPredictor(settings)
    predictor.check(settings)
    predictor.warm_up(*_USUAL_SIZE)
    with BagReader(bag) as reader, BagWriter(out, compress=True) as writer:
        pairs, settings = open_bag_pairs(reader, topics, settings)
        kept = {name for name in reader.topics if all_topics and name != topics.fused}
        kept = frozenset(name for name in kept if reader.topic(name))
        for name in sorted(kept):
            writer.add_topic(name, reader.topic(name))

        def copy(name: str, recorded_ns: int, data: memoryview) -> None:
            if name in kept:
                writer.write(name, reader.topics[name], recorded_ns, data)

        fuse = _fuser(predictor, settings, writer, topics.fused)
        measurements = measure(pairs, fuse, settings, quiet, kept, copy)
        report = report_of(pairs, measurements, settings)
        left_out = sorted(set(reader.topics) - kept - {topics.fused}) if all_topics else []
    report['configuration'] |= {
        'way': 'offline',
        'sha256': predictor.network.sha256,
        'device': str(predictor.device),
    }
    report['topics'] |= {'fused': topics.fused, 'left_out': left_out}
    return Replayed(report, measurements)


def open_bag_pairs(
    reader: BagReader, topics: ReplayTopics, settings: ReplaySettings
) -> tuple[BagPairs, ReplaySettings]:
    """Find the image topics of an open bag; returns its pairs, and the settings with the mode."""
    found = guess_topics(reader.image_topics(), topics.thermal, topics.visible)
    if settings.guess_mode:
        mode = guess_mode(*(reader.counts[name] for name in found))
        sync = dataclasses.replace(settings.sync, mode=mode)
        settings = dataclasses.replace(settings, sync=sync)
    by_role = dict(zip((Role.THERMAL, Role.VISIBLE), found, strict=True))
    return BagPairs(reader, by_role, PairSynchronizer(settings.sync)), settings


def measure(
    pairs: BagPairs,
    fuse: Fuse,
    settings: ReplaySettings,
    quiet: bool = False,
    others: frozenset[str] = frozenset(),
    copy: Copy | None = None,
) -> Measurements:
    """
    Fuse and measure all pairs; those for which ``fuse`` has nothing are left out.

    Raises
    ------
    EvaluationError
        Where not one was fused.

    """
    measurements, view, generation = Measurements(), ThermalView(settings.thermal), 0
    start_ns = pairs.reader.start_ns
    with tqdm(unit='pair', desc='replaying', disable=True if quiet else None) as bar:
        for complete_ns, pair in pairs.read(others, copy):
            bar.update()
            if pair.generation != generation:
                view.reset()
                generation = pair.generation
            frames = pairs.decode(pair)
            if frames is None:
                continue
            thermal, state = view.look(frames.thermal)
            if (fused := fuse(complete_ns, pair, frames)) is None:
                continue
            measurements.add(
                Result(
                    (pair.visible.recorded_ns - start_ns) / 1e9,
                    pair.visible_stamp_ns,
                    pair.offset_ns,
                    generation,
                    fused.latency_ms,
                    thermal,
                    state,
                    frames.visible,
                    fused.frame,
                )
            )
    if not len(measurements):
        raise EvaluationError(f'{str(pairs.reader.path)!r}: nothing was fused; {_why(pairs)}')
    return measurements


def report_of(
    pairs: BagPairs, measurements: Measurements, settings: ReplaySettings
) -> dict[str, Any]:
    """Return what goes into the JSON file: sums first, then ``frames`` with a list a figure."""
    counters = dataclasses.asdict(pairs.synchronizer.counters)
    reader = pairs.reader
    return {
        'configuration': {
            'ir_vis_fusion': __version__,
            'torch': torch.__version__,
            **flatten(settings),
        },
        'bag': str(reader.path),
        'duration_s': (reader.end_ns - reader.start_ns) / 1e9,
        'topics': {role.value: name for role, name in pairs.topics.items()},
        'pairs': counters['matched'],
        'fused': len(measurements),
        'failed': dict(pairs.failures),
        'unmatched': {role.value: counters[f'{role.value}_unmatched'] for role in Role},
        'counters': counters,
        'jitter_ms': {
            role.value: None if value.isnan() else value.item()
            for role, stamps in pairs.stamps.items()
            for value in (jitter(torch.tensor(stamps, dtype=torch.int64)),)
        },
        **measurements.summary(),
        'frames': measurements.columns,
    }


def _fuser(
    predictor: FusionPredictor, settings: ReplaySettings, writer: BagWriter, topic: str
) -> Fuse:
    generation = 0

    def fuse(complete_ns: int, pair: MatchedPair, frames: FramePair) -> Fused:
        nonlocal generation
        if pair.generation != generation:
            predictor.reset()
            generation = pair.generation
        started_s = time.perf_counter()
        fused = predictor.predict(frames, settings)
        latency_ms = (time.perf_counter() - started_s) * 1e3
        writer.write(topic, IMAGE, complete_ns, image_to_cdr(_message(fused)))
        return Fused(fused, latency_ms)

    return fuse


def _message(fused: FusedFrame) -> RawImage:
    height, width = fused.image.shape[:2]
    return RawImage(
        height,
        width,
        fused.encoding.value,
        False,
        3 * width,
        fused.image,
        fused.stamp_ns,
        fused.frame_id,
    )


def _why(pairs: BagPairs) -> str:
    """Say what the bag holds instead of pairs."""
    counters = pairs.synchronizer.counters
    if counters.matched:
        failed = ', '.join(f'{count} {name}' for name, count in pairs.failures.items())
        return f'{counters.matched} pairs matched, of which failed: {failed or "none"}'
    thermal, visible = (sorted(pairs.stamps[role]) for role in Role)
    if not (thermal and visible):
        return f'{len(thermal)} thermal and {len(visible)} visible images could be read'
    later_s = (thermal[0] - visible[0]) / 1e9
    return (
        f'none of {len(thermal)} thermal images is stamped within sync.max_offset_ms of one of '
        f'{len(visible)} visible ones; the first thermal one is {later_s:.3f} s later than the '
        'first visible one: sync.thermal_time_offset_ms corrects that, and sync.mode is to be '
        'hold_thermal for a slow thermal camera'
    )
