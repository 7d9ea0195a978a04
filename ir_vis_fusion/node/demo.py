"""
The main job end to end: a bag is played over DDS, fused by the real node, and recorded.

Player, node and recorder are processes of their own, as on a robot.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import importlib.util
import json
from pathlib import Path
import tempfile
from typing import Any

from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.bags import BagReader
from ir_vis_fusion.evaluation.results import Recording, write_pairs, write_results
from ir_vis_fusion.evaluation.scene import write_sample_bag
from ir_vis_fusion.evaluation.sources import open_pairs
from ir_vis_fusion.evaluation.topics import guess_mode, guess_topics
from ir_vis_fusion.node.playing import FUSED, play, Playable
from tqdm import tqdm

DEFAULT_FPS = 10.0


@dataclass(frozen=True)
class DemoSource:
    """What is fused: the synthetic scene where nothing is given, two files, or a bag."""

    thermal: Path | None = None
    visible: Path | None = None
    fps: float | None = None
    bag: Path | None = None
    thermal_topic: str | None = None
    visible_topic: str | None = None


def run_demo(
    out: Path,
    source: DemoSource,
    chosen: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = print,
) -> int:
    """
    Leave fused.mcap, fused.mp4, contact_sheet.png and summary.json in ``out``; tell the latter.

    The synthetic scene is left there too, as scene.mcap.

    Parameters
    ----------
    out
        The folder.
    source
        What is fused.
    chosen
        Parameters of the node that are not to have their defaults.
    say
        Takes what is told while it runs.

    Returns
    -------
    int
        The exit code, 0.

    Raises
    ------
    EvaluationError
        Where the source cannot be read, a process fails or nothing is published.

    """
    # Here rather than in the words of three processes that end at once.
    if importlib.util.find_spec('rclpy') is None:
        raise EvaluationError("rclpy is missing: source ROS 2 or pip install 'ir_vis_fusion[ros]'")
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out, prefix='.work-') as name:
        work = Path(name)
        playable = prepare(source, work, out)
        parameters = {**playable.parameters, **(chosen or {})}
        say(f'Playing {playable.duration_s:.1f} s through fusion_node ...')
        player, recorder = play(playable, parameters, work)
        say(summary(playable, player, recorder))
        facts = {'pairs': playable.pairs, 'player': player, 'recorder': recorder}
        (out / 'summary.json').write_text(json.dumps(facts, indent=2) + '\n')
        recording = Recording(
            playable.bag,
            playable.thermal_topic,
            playable.visible_topic,
            player['stamp_shift_ns'],
            work / 'recorded.mcap',
            f'/{FUSED}',
        )
        write_results(recording, out)
    for file in sorted(out.iterdir()):
        say(f'{file} ({file.stat().st_size / 1e6:.1f} MB)')
    return 0


def prepare(source: DemoSource, work: Path, out: Path) -> Playable:
    """Bring a source into the form of a bag, the scene's in ``out``, and look at its topics."""
    bag = source.bag or (work / 'source.mcap' if source.thermal else out / 'scene.mcap')
    if source.bag is None:
        _write_source(source, bag)
    elif source.thermal or source.visible:
        raise EvaluationError('a bag holds both streams, leave out thermal and visible')
    elif source.fps:
        raise EvaluationError('a bag has its own times, leave out fps')
    with BagReader(bag) as reader:
        thermal, visible = guess_topics(
            reader.image_topics(), source.thermal_topic, source.visible_topic
        )
        counts = reader.counts[thermal], reader.counts[visible]
        parameters = {
            f'{name}_transport': 'compressed'
            for name, topic in (('thermal', thermal), ('visible', visible))
            if reader.topics[topic].endswith('CompressedImage')
        }
        duration_s = (reader.end_ns - reader.start_ns) / 1e9
    if guess_mode(*counts) == 'hold_thermal':
        parameters['sync.mode'] = 'hold_thermal'
        counts = (counts[1],)
    return Playable(bag, thermal, visible, min(counts), duration_s, parameters)


def _write_source(source: DemoSource, bag: Path) -> None:
    if source.thermal_topic or source.visible_topic:
        raise EvaluationError('topics are those of a bag, give one or leave them out')
    if bool(source.thermal) != bool(source.visible):
        raise EvaluationError('thermal and visible are needed together, or neither')
    if not source.thermal:
        if source.fps:
            raise EvaluationError('fps is for folders of images, leave it out')
        write_sample_bag(bag)
        return
    pairs = open_pairs(source.thermal, source.visible, source.fps)
    if pairs.fps is None:
        pairs = open_pairs(source.thermal, source.visible, DEFAULT_FPS)
    write_pairs(bag, tqdm(pairs, 'writing a bag', unit=' pairs', disable=None))


def summary(playable: Playable, player: dict, recorder: dict) -> str:
    """Put what was counted and measured into words."""
    status = recorder['status']
    received, latency = (recorder['topics'][FUSED][key] for key in ('received', 'latency_ms'))
    share = 100 * int(status['published']) / playable.pairs
    unmatched = f'{status["thermal_unmatched"]} thermal, {status["visible_unmatched"]} visible'
    lines = {
        'pairs in the source': playable.pairs,
        'pairs matched': status['matched'],
        'published': f'{status["published"]} ({share:.1f} %), {received} received',
        'dropped': f'{status["dropped_busy"]} busy, {status["failed"]} failed; '
        f'unmatched {unmatched}',
        'latency': ', '.join(f'{name} {latency[name]:.1f} ms' for name in ('p50', 'p95', 'p99'))
        + ' (visible stamp to fused image received)',
        'sent late by': f'at most {player["latest_ms"]:.1f} ms',
    }
    return '\n'.join(f'{name + ":":<21}{value}' for name, value in lines.items())
