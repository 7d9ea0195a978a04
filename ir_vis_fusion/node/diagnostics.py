"""All counters and measurements as the keys and values of a status: ROS-free."""

from collections.abc import Iterable
import math

from ir_vis_fusion.node.snapshot import Snapshot, unmatched_offset_ms
from ir_vis_fusion.types import Mode

MODES = (Mode.FUSED, Mode.VISIBLE_ONLY, Mode.THERMAL_ONLY)
# Why a frame was not published: too old, not later than the last one, a thermal image alone that
# shows no scene.
DROPS = ('stale', 'out_of_order', 'frozen')


def key_values(now: Snapshot, before: Snapshot) -> dict[str, str]:
    """Return all counters and measurements for the status message."""
    values: dict[str, object] = {
        'state': now.state,
        'mode': now.mode.value,
        'model': now.settings.model,
    }
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
        'published': sum(frames.published.values()),
        **{f'published_{mode.value}': frames.published.get(mode, 0) for mode in MODES},
        'dropped_busy': now.dropped,
        **{f'dropped_{why}': frames.dropped.get(why, 0) for why in DROPS},
        'failed': sum(frames.failures.values()),
        **{f'failed_{kind}': count for kind, count in sorted(frames.failures.items())},
        'last_failure': frames.last_failure,
        'latency_p50_ms': percentile(frames.latency_ms, 50),
        'latency_p95_ms': percentile(frames.latency_ms, 95),
        'processing_p50_ms': percentile(frames.processing_ms, 50),
        'processing_p95_ms': percentile(frames.processing_ms, 95),
        'measured_offset_ms': unmatched_offset_ms(now, before),
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
