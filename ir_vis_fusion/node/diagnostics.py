"""
All counters and measurements as keys and values: ROS-free.

``docs/degradation.md`` says what each of them means; a test holds the two together.
"""

from collections.abc import Iterable, Mapping
import math

from ir_vis_fusion.node.snapshot import Snapshot, unmatched_offset_ms
from ir_vis_fusion.types import Mode

# The statuses of /diagnostics, in this order.
PARTS = ('inputs', 'synchronizer', 'thermal', 'inference')
MODES = (Mode.FUSED, Mode.VISIBLE_ONLY, Mode.THERMAL_ONLY)
# Why a frame was not published: too old, not later than the last one, a thermal image alone that
# shows no scene, or any frame then where thermal.ffc_policy says so.
DROPS = ('stale', 'out_of_order', 'frozen')
# Of the SHA-256 of the weights; what `ivf models` shows begins with the same.
_DIGITS = 12


def key_values(now: Snapshot, before: Snapshot) -> dict[str, str]:
    """Return all of them for ~/status, which is one flat list."""
    return {'state': now.state} | {
        key: value for part in by_part(now, before).values() for key, value in part.items()
    }


def by_part(now: Snapshot, before: Snapshot) -> dict[str, dict[str, str]]:
    """Return them for /diagnostics, by part."""
    parts = {
        'inputs': _inputs(now),
        'synchronizer': _synchronizer(now, before),
        'thermal': _thermal(now),
        'inference': _inference(now),
    }
    return {
        part: {name: _text(value) for name, value in values.items()}
        for part, values in parts.items()
    }


def _inputs(now: Snapshot) -> Mapping[str, object]:
    values: dict[str, object] = {}
    for side in now.inputs:
        name = side.role.value
        values |= {
            f'{name}_topic': side.topic,
            f'{name}_publishers': side.publishers,
            f'{name}_subscribed': side.subscribed,
            f'{name}_incompatible_qos': side.incompatible_qos,
            f'{name}_image': side.image,
            f'{name}_rate_hz': side.rate_hz,
            f'{name}_age_ms': side.age_ms,
            f'{name}_lost': side.lost,
        }
    return values | {'camera_info': now.camera_info}


def _synchronizer(now: Snapshot, before: Snapshot) -> Mapping[str, object]:
    drops = {f'dropped_{why}': now.frames.dropped.get(why, 0) for why in DROPS}
    return {
        **(vars(now.sync) if now.sync is not None else {}),
        'measured_offset_ms': unmatched_offset_ms(now, before),
        'dropped_busy': now.dropped,
        **drops,
    }


def _thermal(now: Snapshot) -> Mapping[str, object]:
    report, unit = now.thermal, 'c' if now.thermal.celsius else 'counts'
    return {
        'thermal_state': now.frames.thermal_state.value,
        'thermal_units': report.units,
        'thermal_units_why': report.units_why,
        f'thermal_low_{unit}': report.low,
        f'thermal_high_{unit}': report.high,
        'thermal_cropped_rows': report.cropped_rows,
        'thermal_false_color': report.false_color,
        'ffc_events': report.ffc_events,
        'registration': now.registration.in_force,
        'registration_coverage': now.registration.coverage,
        'registration_fault': now.registration.fault,
    }


def _inference(now: Snapshot) -> Mapping[str, object]:
    frames = now.frames
    return {
        'mode': now.mode.value,
        'model': now.model.name,
        'model_sha256': now.model.sha256[:_DIGITS],
        'model_loading': now.model.loading,
        'model_fault': now.model.fault,
        'device': now.model.device,
        'recovery': now.model.recovery,
        'published': sum(frames.published.values()),
        **{f'published_{mode.value}': frames.published.get(mode, 0) for mode in MODES},
        'failed': sum(frames.failures.values()),
        **{f'failed_{kind}': count for kind, count in sorted(frames.failures.items())},
        'last_failure': frames.last_failure,
        **_percentiles('latency', frames.latency_ms, 50, 95),
        **_percentiles('processing', frames.processing_ms, 50, 95, 99),
        'guidance': now.guidance.in_force,
        'guidance_age_s': now.guidance.age_s,
        'guidance_failures': now.guidance.failures,
        'guidance_fault': now.guidance.fault,
    }


def _percentiles(name: str, values: Iterable[float], *percents: int) -> dict[str, float | None]:
    return {f'{name}_p{percent}_ms': percentile(values, percent) for percent in percents}


def percentile(values: Iterable[float], percent: float) -> float | None:
    """Return the nearest-rank percentile, None of nothing."""
    ranked = sorted(values)
    return ranked[max(0, math.ceil(percent / 100 * len(ranked)) - 1)] if ranked else None


def _text(value: object) -> str:
    if value is None:
        return ''
    return f'{value:.2f}' if isinstance(value, float) else str(value)
