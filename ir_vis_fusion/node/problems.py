"""
What is wrong now, from two snapshots: ROS-free.

A fault disappears from the message when it is over, while its counter stays.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum

from ir_vis_fusion.config import SynchronizerSettings
from ir_vis_fusion.node.freshness import OTHER_CLOCK_NS
from ir_vis_fusion.node.snapshot import news_between, Snapshot, unmatched_offset_ms
from ir_vis_fusion.types import Mode, ThermalState

# Share of visible images without partner that is worth a word.
_LONELY = 0.2
# Share of lost images that is.
_LOST = 0.1


class Level(IntEnum):
    """The numbers of diagnostic_msgs/DiagnosticStatus."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Problem:
    """
    Something that is wrong now; ``key`` stays the same while it lasts.

    ``part`` is the part of the node to which it belongs: one status of /diagnostics.
    """

    key: str
    level: Level
    text: str
    part: str = 'inference'


def assess(now: Snapshot, before: Snapshot) -> list[Problem]:
    """Return what is wrong now, worst first; nothing while the node is not active."""
    if now.state != 'active' or before.state != 'active':
        return []
    problems = [
        *_inputs(now),
        *_losses(now, before),
        *_pairing(now, before),
        *_mode(now),
        *_frames(now, before),
        *_guidance(now),
        *_model(now, before),
    ]
    return sorted(problems, key=lambda problem: -problem.level)


def _inputs(now: Snapshot) -> Iterator[Problem]:
    if any(side.paused for side in now.inputs):
        text = 'nobody listens, nothing is subscribed (lazy)'
        yield Problem('lazy', Level.OK, text, 'inputs')
    for side in now.inputs:
        name = side.role.value
        if side.fault:
            yield Problem(f'{name}_fault', Level.ERROR, f'{name}: {side.fault}', 'inputs')
        if side.paused:
            continue
        if side.silent_s is None:
            where = f'{side.topic} ({side.publishers} publishers)'
            text = f'no {name} images yet on {where}'
            yield Problem(f'no_{name}', Level.ERROR, text, 'inputs')
        elif side.silent_s > now.settings.input_timeout_s:
            text = f'{name} images stopped {side.silent_s:.1f} s ago on {side.topic}'
            yield Problem(f'{name}_stopped', Level.ERROR, text, 'inputs')


def _losses(now: Snapshot, before: Snapshot) -> Iterator[Problem]:
    news = news_between(now, before)
    for side, earlier in zip(now.inputs, before.inputs, strict=False):
        name, lost = side.role.value, side.lost - earlier.lost
        sent = news[f'{name}_received'] + lost
        if lost > max(2, _LOST * sent):
            text = (
                f'{lost} of {sent} {name} images lost before they reached this node (their stamps '
                'tell it): large ones are, unless the middleware is given room, see the README'
            )
            yield Problem(f'{name}_lost', Level.WARN, text, 'inputs')


def _pairing(now: Snapshot, before: Snapshot) -> Iterator[Problem]:
    news = news_between(now, before)
    if news['jumps']:
        text = f'time jumped back {news["jumps"]} times, pairing started anew'
        yield Problem('jump', Level.WARN, text, 'synchronizer')
    if news['out_of_order']:
        text = f'{news["out_of_order"]} images dropped, their stamps went back'
        yield Problem('out_of_order', Level.WARN, text, 'synchronizer')
    if news['invalid_stamp']:
        text = f'{news["invalid_stamp"]} images dropped, the driver stamps them with 0'
        yield Problem('invalid_stamp', Level.WARN, text, 'synchronizer')
    offset_ms = unmatched_offset_ms(now, before)
    if offset_ms is not None:
        yield Problem(
            'unmatched', Level.ERROR, _remedy(offset_ms, now.settings.sync), 'synchronizer'
        )
    elif news['visible_unmatched'] > _LONELY * news['visible_received'] and _both_as_fast(news):
        text = (
            f'{news["visible_unmatched"]} of {news["visible_received"]} visible images found no '
            'thermal partner: images come late or get lost on the way, which Fast DDS does with '
            'large ones unless it is given room (see the README), or sync.max_wait_ms is too short'
        )
        yield Problem('lonely', Level.WARN, text, 'synchronizer')


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
    if abs(apart_ms) > OTHER_CLOCK_NS / 1e6:
        return text + 'the cameras are stamped by different clocks, synchronise those'
    text += (
        f'set sync.thermal_time_offset_ms to {-offset_ms:.0f} and see on something that moves '
        'that no neighbours are paired'
    )
    return text if hold else text + '; or sync.mode to hold_thermal where thermal is slow'


def _mode(now: Snapshot) -> Iterator[Problem]:
    wanted = Mode.FUSED if now.settings.enable else Mode.VISIBLE_ONLY
    if any(side.paused for side in now.inputs):
        return
    if now.mode is Mode.NONE and now.frames.silent_s is not None:
        yield Problem('mode', Level.ERROR, 'nothing is published')
    elif now.mode is not wanted and now.mode is not Mode.NONE:
        side = now.mode.value.partition('_')[0]
        yield Problem('mode', Level.WARN, f'the {side} image alone is published')


def _frames(now: Snapshot, before: Snapshot) -> Iterator[Problem]:
    frames, earlier = now.frames, before.frames
    news = Counter(frames.failures)
    news.subtract(earlier.failures)
    published = sum(frames.published.values()) - sum(earlier.published.values())
    failed = {kind: count for kind, count in news.items() if count > 0}
    if failed:
        level = Level.WARN if published else Level.ERROR
        kinds = ', '.join(f'{kind} {count}' for kind, count in sorted(failed.items()))
        text = f'{sum(failed.values())} images failed ({kinds}): {frames.last_failure}'
        yield Problem('failed_' + '_'.join(sorted(failed)), level, text)
    dropped = now.dropped - before.dropped
    if dropped > 0:
        share = f'{dropped} of {dropped + published} pairs dropped'
        text = f'fusing is slower than the cameras, {share}'
        yield Problem('slow', Level.WARN, text)
    stale = frames.dropped.get('stale', 0) - earlier.dropped.get('stale', 0)
    if stale > 0:
        text = (
            f'{stale} images dropped, older than max_age_ms ({now.settings.max_age_ms:g}): they '
            'come late, or fusing takes too long'
        )
        yield Problem('stale', Level.WARN if published else Level.ERROR, text)
    if published and frames.clock_error_s is not None:
        text = (
            f'visible stamps are {abs(frames.clock_error_s):.0f} s '
            f'{"behind" if frames.clock_error_s > 0 else "ahead of"} the clock of this node: set '
            'use_sim_time where a bag is played, synchronise the clocks otherwise'
        )
        yield Problem('clock', Level.WARN, text, 'inputs')
    frozen = frames.dropped.get('frozen', 0) - earlier.dropped.get('frozen', 0)
    if (published or frozen > 0) and frames.thermal_state is not ThermalState.LIVE:
        text = f'thermal image is {frames.thermal_state.value}: shutter calibration, or it hangs'
        yield Problem('thermal_state', Level.WARN, text, 'thermal')
    if now.thermal.false_color:
        text = (
            'thermal images come in the colours of a palette (false colour), of which luminance '
            'is taken: warm is not always brighter, set the camera to white-hot or to 16 bits'
        )
        yield Problem('false_color', Level.WARN, text, 'thermal')
    if now.registration.fault:
        text = f'registration is not as asked for: {now.registration.fault}'
        yield Problem('registration', Level.WARN, text, 'thermal')
    if now.camera_info.startswith('uncalibrated'):
        text = f'visible camera_info is {now.camera_info}, passed on as it is'
        yield Problem('camera_info', Level.OK, text, 'inputs')


def _guidance(now: Snapshot) -> Iterator[Problem]:
    if now.guidance.fault:
        known = now.guidance.age_s is not None
        seen = 'what it saw before stays' if known else 'the network runs without'
        text = f'CLIP fails, {seen}: {now.guidance.fault}'
        yield Problem('guidance', Level.WARN, text)


def _model(now: Snapshot, before: Snapshot) -> Iterator[Problem]:
    if now.model.fault and now.model.fault != before.model.fault:
        text = f'{now.model.fault}; the model in force stays'
        yield Problem('model', Level.ERROR, text)
    if now.model.recovery:
        yield Problem('recovery', Level.WARN, f'the network runs {now.model.recovery}')
