"""
The whole path of a frame, timed: from messages in memory to the bytes of a message.

It is the predictor of the node, stage by stage as that tells of them, between the node's decoding
and the copy into a message.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
import time
from typing import Any

from ir_vis_fusion.backends.chooser import load_backend
from ir_vis_fusion.backends.device import select_device
from ir_vis_fusion.backends.interface import Network
from ir_vis_fusion.benchmark.cost import cost
from ir_vis_fusion.benchmark.frames import Images, make_images
from ir_vis_fusion.benchmark.memory import forget_peak, peak_mb
from ir_vis_fusion.benchmark.roofline import Roofline
from ir_vis_fusion.benchmark.stopwatch import figures, Stopwatch
from ir_vis_fusion.checkpoint import load_checkpoint, resolve
from ir_vis_fusion.config import PredictorSettings
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.predictor import FusionPredictor, unmarked
from ir_vis_fusion.preprocessing.encodings import decode, to_bytes
from ir_vis_fusion.preprocessing.floor import Floor
from ir_vis_fusion.preprocessing.levels import to_type
from ir_vis_fusion.types import FramePair, GuidanceState, Role
import numpy as np
import torch

STAGES = (
    'decode',
    'upload',
    'normalise',
    'guidance',
    'register',
    'network',
    'recombine',
    'download',
    'encode',
)
# A slow network gets fewer frames, but never fewer than this.
LEAST_FRAMES = 7
_FLOOR_FRAMES = 60
_FIRST_LOOK_S = 120.0


@dataclass(frozen=True)
class Effort:
    """How long is measured: ``frames``, but no longer than ``seconds``, after ``warm_up``."""

    frames: int = 200
    seconds: float = 20.0
    warm_up: int = 20


def measure_path(
    settings: PredictorSettings,
    checkpoint: str,
    size: tuple[int, int],
    effort: Effort,
    roofline: Roofline,
    guidance_every: int = 0,
    tower: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> dict[str, Any]:
    """
    Time one model at one size.

    Parameters
    ----------
    settings
        Of the predictor; ``settings.model`` may be an exported file.
    checkpoint
        Path of the checkpoint that it comes from, by which the cost is counted.
    size
        (height, width).
    effort
        How long is measured.
    roofline
        Of the device.
    guidance_every
        With CLIP: it looks at the scene once in the time of that many frames, in a thread. 0: the
        network runs without features.
    tower
        As for :class:`ir_vis_fusion.predictor.FusionPredictor`.

    Returns
    -------
    dict
        A row of ``results``: figures of each stage, of the ``network`` alone, which has the caches
        to itself, and of the ``total``, what the floor took in the same minute, cost and memory.
        On CUDA the end of a stage waits for the device, so the total is that of other frames.

    """
    images = make_images(*size)
    predictor = FusionPredictor(settings, tower, background=True)
    try:
        if guidance_every:
            frame_s = _median_s(predictor, images, LEAST_FRAMES)
            predictor.close()
            period_s = guidance_every * frame_s
            guidance = replace(settings.guidance, period_s=period_s)
            predictor = FusionPredictor(replace(settings, guidance=guidance), tower, True)
        floor_s = _floor_s(size)
        forget_peak(predictor.device)
        watch, totals = _run(predictor, images, effort, guidance_every > 0)
        peak = peak_mb(predictor.device)
        floor_s += _floor_s(size)
        in_force = predictor.guidance_state().in_force
        network = predictor.network
    finally:
        predictor.close()
    return (
        _result(watch, totals, floor_s)
        | {
            'size': f'{size[1]}x{size[0]}',
            'device': predictor.device.type,
            'network': _network_alone(settings, size, effort),
            'peak_memory_mb': peak,
            'guidance': in_force,
            'guidance_every': guidance_every,
        }
        | _share(network, checkpoint, size, watch, roofline)
    )


def _run(
    predictor: FusionPredictor, images: Images, effort: Effort, guided: bool
) -> tuple[Stopwatch, list[float]]:
    """Fuse frames with the stopwatch; return it and the seconds of each whole frame."""
    watch = Stopwatch(predictor.device)
    predictor.lap = watch.lap
    end_s = time.perf_counter() + effort.seconds
    for index in range(effort.warm_up):
        _frame(predictor, images, index, watch)
        if index and time.perf_counter() > end_s:
            break
    if guided:
        _await_guidance(predictor, images, watch)
    watch.frames.clear()
    end_s = time.perf_counter() + effort.seconds
    for index in _until(end_s, effort.warm_up, effort.frames):
        _frame(predictor, images, index, watch)
    return watch, [sum(frame.values()) for frame in _whole(predictor, images, effort, watch)]


def _whole(
    predictor: FusionPredictor, images: Images, effort: Effort, watch: Stopwatch
) -> list[dict[str, float]]:
    """Return the times of whole frames; where marks wait for a device, of frames without any."""
    if not watch.waits:
        return watch.frames
    predictor.lap = unmarked
    whole = Stopwatch(predictor.device)
    # Frames without marks go their own way, which is recorded first.
    for index in range(effort.warm_up):
        _frame(predictor, images, index, whole, unmarked)
    whole.frames.clear()
    first = effort.warm_up + len(watch.frames)
    end_s = time.perf_counter() + effort.seconds
    for index in _until(end_s, first, effort.frames):
        _frame(predictor, images, index, whole, unmarked)
        whole.lap('whole')
    return whole.frames


def _network_alone(
    settings: PredictorSettings, size: tuple[int, int], effort: Effort
) -> dict[str, float]:
    """Return the figures of the network from tensor to tensor, without features."""
    device = select_device(settings.device)
    backend = load_backend(resolve(settings.model), device, settings.precision == 'float32')
    channels = 3 if backend.network.color else 1
    random = torch.Generator().manual_seed(0)
    vis, ir = (
        to_type(torch.rand(1, count, *size, generator=random).to(device), backend.images)
        for count in (channels, 1)
    )
    watch = Stopwatch(device)
    for frames in (effort.warm_up, effort.frames):
        watch.frames.clear()
        end_s = time.perf_counter() + effort.seconds
        for _ in _until(end_s, 0, frames):
            watch.start()
            with torch.inference_mode():
                backend(vis, ir)
            watch.lap('network')
    return watch.stages()['network']


def _await_guidance(predictor: FusionPredictor, images: Images, watch: Stopwatch) -> None:
    """Go on until CLIP has seen the scene for the first time."""
    end_s = time.perf_counter() + _FIRST_LOOK_S
    index = 0
    while (state := predictor.guidance_state()).in_force == GuidanceState.in_force:
        if time.perf_counter() > end_s:
            raise EvaluationError(
                f'CLIP saw nothing in {_FIRST_LOOK_S} s: {state.fault or "slow"}'
            )
        _frame(predictor, images, index, watch)
        index += 1


def _until(end_s: float, first: int, count: int) -> Iterator[int]:
    for index in range(count):
        if index >= LEAST_FRAMES and time.perf_counter() > end_s:
            return
        yield first + index


def _frame(
    predictor: FusionPredictor,
    images: Images,
    index: int,
    watch: Stopwatch,
    lap: Callable[[str], None] | None = None,
) -> None:
    """Fuse a frame between what the node does before and after; ``lap`` ends these stages."""
    lap = lap or watch.lap
    thermal, visible = images.pair(index)
    watch.start()
    pair = FramePair(decode(thermal, Role.THERMAL), decode(visible, Role.VISIBLE))
    lap('decode')
    fused = predictor.predict(pair)
    lap('download')
    to_bytes(fused.image)
    lap('encode')


def _median_s(predictor: FusionPredictor, images: Images, count: int) -> float:
    watch = Stopwatch(predictor.device)
    predictor.lap = watch.lap
    for index in range(count):
        _frame(predictor, images, index, watch)
    return float(np.median([sum(frame.values()) for frame in watch.frames]))


def _floor_s(size: tuple[int, int]) -> list[float]:
    """Return the seconds of the least that a fusion has to do, as often as is worth it."""
    images, floor, times = make_images(*size), Floor(*size), []
    thermal, visible = images.pair(0)
    colors = decode(visible, Role.VISIBLE).image
    grey = (decode(thermal, Role.THERMAL).image >> 8).astype(np.uint8)
    for _ in range(_FLOOR_FRAMES + 5):
        begin_s = time.perf_counter()
        floor(colors, grey)
        times.append(time.perf_counter() - begin_s)
    return times[5:]


def _result(watch: Stopwatch, totals: list[float], floor_s: list[float]) -> dict[str, Any]:
    total, floor = figures(totals), figures(floor_s)
    return {
        'frames': len(totals),
        'stages': watch.stages(),
        'total': total,
        'frames_per_s': round(len(totals) / sum(totals), 2),
        'floor': floor,
        'ratio_to_floor': round(total['p50_ms'] / floor['p50_ms'], 2),
    }


def _share(
    network: Network,
    checkpoint: str,
    size: tuple[int, int],
    watch: Stopwatch,
    roofline: Roofline,
) -> dict[str, Any]:
    macs, moved = cost(load_checkpoint(checkpoint).model, *size)
    # What counts is what a network of half the bytes would have to move.
    least_ms = 1e3 * roofline.least_s(macs, moved / 2)
    taken_ms = watch.stages()['network']['p50_ms']
    return {
        'name': network.name,
        'sha256': network.sha256,
        'macs': macs,
        'bytes_moved': moved,
        'roofline_ms': round(least_ms, 4),
        'share_of_roofline': round(least_ms / taken_ms, 3),
    }
