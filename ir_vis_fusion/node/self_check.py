"""The table that the log shows once both cameras have been seen: ROS-free."""

from ir_vis_fusion.node.diagnostics import percentile
from ir_vis_fusion.node.snapshot import InputSnapshot, Snapshot
from ir_vis_fusion.types import Mode


def self_check(now: Snapshot) -> str:
    """Return the table, '' before a pair was fused and both rates are known."""
    fused = now.frames.published.get(Mode.FUSED, 0)
    if now.state != 'active' or not fused or any(side.rate_hz is None for side in now.inputs):
        return ''
    rows = [_input(side) for side in now.inputs]
    rows += [
        ('calibration', f'visible camera_info: {now.camera_info}'),
        ('registration', now.registration.fault or now.registration.in_force),
        ('model', f'{now.model.name}, SHA-256 {now.model.sha256[:12]}…, on {now.model.device}'),
        ('expected', f'{percentile(now.frames.processing_ms, 50):.0f} ms a frame'),
    ]
    width = max(len(name) for name, _ in rows)
    return '\n'.join(['self-check', *(f'  {name:{width}}  {text}' for name, text in rows)])


def _input(side: InputSnapshot) -> tuple[str, str]:
    age = 'stamps of another clock' if side.age_ms is None else f'{side.age_ms:.0f} ms old'
    text = (
        f'{side.topic}, {side.type}, {side.subscribed}, {side.image}, {side.rate_hz:.1f} Hz, {age}'
    )
    return side.role.value, text
