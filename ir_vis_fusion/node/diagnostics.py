"""
What is counted while the node runs, and what is wrong now: ROS-free.

A :class:`Snapshot` is taken at every status period; :func:`assess` names the faults that show
between two of them, so that a fault disappears from the message when it is over while its
counter stays.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
import math

from ir_vis_fusion.config import SynchronizerSettings
from ir_vis_fusion.node.parameters import NodeSettings
from ir_vis_fusion.synchronization import SynchronizerCounters
from ir_vis_fusion.types import GuidanceState, Role, ThermalState

# A live camera is never this far from the node's clock; a bag without use_sim_time is.
OTHER_CLOCK_MS = 10_000.0
# Share of visible images without partner that is worth a word.
_LONELY = 0.2


class Level(IntEnum):
    """The numbers of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Problem:
    """Something that is wrong now; ``key`` stays the same while it lasts."""

    key: str
    level: Level
    text: str


@dataclass(frozen=True)
class InputSnapshot:
    """What is known of one input; ``silent_s`` is None before the first message."""

    role: Role
    topic: str
    publishers: int
    subscribed: str
    silent_s: float | None
    incompatible_qos: int
    fault: str = ''


@dataclass(frozen=True)
class FrameSnapshot:
    """What became of the pairs; latency is from the visible stamp to publishing."""

    published: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    last_failure: str = ''
    latency_ms: tuple[float, ...] = ()
    processing_ms: tuple[float, ...] = ()
    clock_error_s: float | None = None
    thermal_state: ThermalState = ThermalState.LIVE


@dataclass(frozen=True)
class Snapshot:
    """All that a status is made from."""

    state: str
    settings: NodeSettings
    inputs: Sequence[InputSnapshot] = ()
    sync: SynchronizerCounters | None = None
    measured_offset_ms: float | None = None
    frames: FrameSnapshot = FrameSnapshot()
    dropped: int = 0
    camera_info: str = 'none'
    guidance: GuidanceState = GuidanceState()


def assess(now: Snapshot, before: Snapshot) -> list[Problem]:
    """Return what is wrong now, worst first; nothing while the node is not active."""
    if now.state != 'active' or before.state != 'active':
        return []
    problems = [
        *_inputs(now),
        *_pairing(now, before),
        *_frames(now, before),
        *_guidance(now),
    ]
    return sorted(problems, key=lambda problem: -problem.level)


def key_values(now: Snapshot, before: Snapshot) -> dict[str, str]:
    """Return all counters and measurements for the status message."""
    values: dict[str, object] = {'state': now.state, 'model': now.settings.model}
    for side in now.inputs:
        name = side.role.value
        values |= {
            f'{name}_topic': side.topic,
            f'{name}_publishers': side.publishers,
            f'{name}_subscribed': side.subscribed,
            f'{name}_incompatible_qos': side.incompatible_qos,
        }
    if now.sync is not None:
        values |= vars(now.sync)
    frames = now.frames
    values |= {
        'published': frames.published,
        'dropped_busy': now.dropped,
        'failed': sum(frames.failures.values()),
        **{f'failed_{kind}': count for kind, count in sorted(frames.failures.items())},
        'last_failure': frames.last_failure,
        'latency_p50_ms': percentile(frames.latency_ms, 50),
        'latency_p95_ms': percentile(frames.latency_ms, 95),
        'processing_p50_ms': percentile(frames.processing_ms, 50),
        'processing_p95_ms': percentile(frames.processing_ms, 95),
        'measured_offset_ms': _unmatched_offset_ms(now, before),
        'thermal_state': frames.thermal_state.value,
        'camera_info': now.camera_info,
        'guidance': now.guidance.in_force,
        'guidance_age_s': now.guidance.age_s,
        'guidance_failures': now.guidance.failures,
        'guidance_fault': now.guidance.fault,
    }
    return {name: _text(value) for name, value in values.items()}


def percentile(values: Iterable[float], percent: float) -> float | None:
    """Return the nearest-rank percentile, None of nothing."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(percent / 100 * len(ranked)) - 1)] if ranked else None


def _text(value: object) -> str:
    if value is None:
        return ''
    return f'{value:.2f}' if isinstance(value, float) else str(value)


def _inputs(now: Snapshot) -> Iterator[Problem]:
    for side in now.inputs:
        name = side.role.value
        if side.fault:
            yield Problem(f'{name}_fault', Level.ERROR, f'{name}: {side.fault}')
        if side.silent_s is None:
            where = f'{side.topic} ({side.publishers} publishers)'
            yield Problem(f'no_{name}', Level.ERROR, f'no {name} images yet on {where}')
        elif side.silent_s > now.settings.input_timeout_s:
            text = f'{name} images stopped {side.silent_s:.1f} s ago on {side.topic}'
            yield Problem(f'{name}_stopped', Level.ERROR, text)


def _pairing(now: Snapshot, before: Snapshot) -> Iterator[Problem]:
    news = _news(now, before)
    if news['jumps']:
        text = f'time jumped back {news["jumps"]} times, pairing started anew'
        yield Problem('jump', Level.WARN, text)
    if news['out_of_order']:
        text = f'{news["out_of_order"]} images dropped, their stamps went back'
        yield Problem('out_of_order', Level.WARN, text)
    if news['invalid_stamp']:
        text = f'{news["invalid_stamp"]} images dropped, the driver stamps them with 0'
        yield Problem('invalid_stamp', Level.WARN, text)
    offset_ms = _unmatched_offset_ms(now, before)
    if offset_ms is not None:
        yield Problem('unmatched', Level.ERROR, _remedy(offset_ms, now.settings.sync))
    elif news['visible_unmatched'] > _LONELY * news['visible_received'] and _both_as_fast(news):
        text = (
            f'{news["visible_unmatched"]} of {news["visible_received"]} visible images found no '
            'thermal partner: images come late or get lost on the way, which Fast DDS does with '
            'large ones unless it is given room (see the README), or sync.max_wait_ms is too short'
        )
        yield Problem('lonely', Level.WARN, text)


def _news(now: Snapshot, before: Snapshot) -> Counter[str]:
    """Return what the synchronizer counted between the two."""
    if now.sync is None or before.sync is None:
        return Counter()
    return Counter(
        {
            name: count - vars(before.sync)[name]
            for name, count in vars(now.sync).items()
            if isinstance(count, int)
        }
    )


def _unmatched_offset_ms(now: Snapshot, before: Snapshot) -> float | None:
    """Return the measured offset while both cameras send and nothing matches, else None."""
    news = _news(now, before)
    both = news['thermal_received'] > 1 and news['visible_received'] > 1
    return now.measured_offset_ms if both and not news['matched'] else None


def _both_as_fast(news: Mapping[str, int]) -> bool:
    """Say whether thermal comes about as often as visible; a slow one leaves many alone."""
    return news['thermal_received'] > 0.8 * news['visible_received'] > 4


def _remedy(offset_ms: float, sync: SynchronizerSettings) -> str:
    # Measured on the stamps as they came; the setting is added to them before pairing.
    apart_ms = offset_ms + sync.thermal_time_offset_ms
    hold = sync.mode == 'hold_thermal'
    limit = 'max_thermal_age_ms' if hold and apart_ms < 0 else 'max_offset_ms'
    text = (
        f'no pairs: thermal stamps are about {abs(apart_ms):.0f} ms '
        f'{"after" if apart_ms > 0 else "before"} visible ones (right to about one thermal '
        f'period), sync.{limit} allows {getattr(sync, limit):g}: '
    )
    if abs(apart_ms) > OTHER_CLOCK_MS:
        return text + 'the cameras are stamped by different clocks, synchronise those'
    text += (
        f'set sync.thermal_time_offset_ms to {-offset_ms:.0f} and see on something that moves '
        'that no neighbours are paired'
    )
    return text if hold else text + '; or sync.mode to hold_thermal where thermal is slow'


def _frames(now: Snapshot, before: Snapshot) -> Iterator[Problem]:
    frames, earlier = now.frames, before.frames
    news = Counter(frames.failures)
    news.subtract(earlier.failures)
    published = frames.published - earlier.published
    failed = {kind: count for kind, count in news.items() if count > 0}
    if failed:
        level = Level.WARN if published else Level.ERROR
        kinds = ', '.join(f'{kind} {count}' for kind, count in sorted(failed.items()))
        text = f'{sum(failed.values())} pairs failed ({kinds}): {frames.last_failure}'
        yield Problem('failed_' + '_'.join(sorted(failed)), level, text)
    dropped = now.dropped - before.dropped
    if dropped > 0:
        share = f'{dropped} of {dropped + published} pairs dropped'
        text = f'fusing is slower than the cameras, {share}'
        yield Problem('slow', Level.WARN, text)
    if published and frames.clock_error_s is not None:
        text = (
            f'visible stamps are {abs(frames.clock_error_s):.0f} s '
            f'{"behind" if frames.clock_error_s > 0 else "ahead of"} the clock of this node: set '
            'use_sim_time where a bag is played, synchronise the clocks otherwise'
        )
        yield Problem('clock', Level.WARN, text)
    if published and frames.thermal_state is not ThermalState.LIVE:
        text = f'thermal image is {frames.thermal_state.value}: shutter calibration, or it hangs'
        yield Problem('thermal_state', Level.WARN, text)
    if now.camera_info.startswith('uncalibrated'):
        text = f'visible camera_info is {now.camera_info}, passed on as it is'
        yield Problem('camera_info', Level.OK, text)


def _guidance(now: Snapshot) -> Iterator[Problem]:
    if now.guidance.fault:
        text = f'CLIP fails, what it saw before stays: {now.guidance.fault}'
        yield Problem('guidance', Level.WARN, text)
