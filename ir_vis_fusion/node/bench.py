"""The node under load, through real DDS: from the visible stamp to the fused image."""

from collections.abc import Mapping
import importlib.util
from pathlib import Path
import tempfile
from typing import Any

from ir_vis_fusion.benchmark.frames import make_images
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.bags import BagWriter
from ir_vis_fusion.node.playing import FUSED, play, Playable

_THERMAL, _VISIBLE = '/thermal/image_raw', '/visible/image_raw'


def measure_node(
    rate_hz: float, seconds: float, size: tuple[int, int], parameters: Mapping[str, Any]
) -> dict[str, Any]:
    """
    Play pairs (mono16, rgb8) to a node of its own process and record what it publishes.

    Player and recorder share the machine with it, as a camera driver and a user of the images do.

    Parameters
    ----------
    rate_hz
        Pairs in a second.
    seconds
        How long.
    size
        (height, width) of both images.
    parameters
        Of the node, which are not to have their defaults.

    Returns
    -------
    dict
        Pairs sent and published, latency from the visible stamp to the arrival of the fused
        image at another process, and what the node took of one core.

    Raises
    ------
    EvaluationError
        Where rclpy is missing or a process fails.

    """
    if importlib.util.find_spec('rclpy') is None:
        raise EvaluationError("rclpy is missing: source ROS 2 or pip install 'ir_vis_fusion[ros]'")
    pairs = max(2, round(rate_hz * seconds))
    with tempfile.TemporaryDirectory(prefix='ivf_bench_') as folder:
        work = Path(folder)
        bag = work / 'load.mcap'
        _write(bag, pairs, rate_hz, size)
        playable = Playable(bag, _THERMAL, _VISIBLE, pairs, pairs / rate_hz, {})
        player, recorder = play(playable, parameters, work)
    received = recorder['topics'][FUSED]
    latency = received['latency_ms']
    return {
        'rate_hz': rate_hz,
        'size': f'{size[1]}x{size[0]}',
        'pairs': pairs,
        'published': int(recorder['status']['published']),
        'received': received['received'],
        'latency': {f'{name}_ms': latency[name] for name in ('p50', 'p95', 'p99')},
        'cpu_percent': round(100 * player['node_cpu_s'] / playable.duration_s, 1),
        'sent_late_ms': round(player['latest_ms'], 2),
    }


def _write(bag: Path, pairs: int, rate_hz: float, size: tuple[int, int]) -> None:
    images = make_images(*size)
    period_ns = round(1e9 / rate_hz)
    with BagWriter(bag) as writer:
        for index in range(pairs):
            # Not from zero on, which counts as no stamp.
            thermal, visible = images.pair(index, period_ns)
            writer.write_image(_THERMAL, thermal)
            writer.write_image(_VISIBLE, visible)
