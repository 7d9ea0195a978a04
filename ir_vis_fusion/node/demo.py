"""
The main job end to end: a bag is played over DDS, fused by the real node, and recorded.

Player, node and recorder are processes of their own, as on a robot.
"""

from collections.abc import Callable, Mapping, Sequence
import contextlib
from dataclasses import dataclass
import functools
import importlib.util
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any

from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.bags import BagReader
from ir_vis_fusion.evaluation.results import Recording, write_pairs, write_results
from ir_vis_fusion.evaluation.scene import write_sample_bag
from ir_vis_fusion.evaluation.sources import open_pairs
from ir_vis_fusion.evaluation.topics import guess_mode, guess_topics
from tqdm import tqdm

FUSED = 'fused/image'
DEFAULT_FPS = 10.0
START_S = 60.0
END_S = 20.0
STATUS_PERIOD_S = 0.5
# So many statuses with no image between them, 1.5 s, tell that no more will come.
SILENT_STATUSES = 4
LOG_LINES = 15


@dataclass(frozen=True)
class DemoSource:
    """What is fused: the synthetic scene where nothing is given, two files, or a bag."""

    thermal: Path | None = None
    visible: Path | None = None
    fps: float | None = None
    bag: Path | None = None
    thermal_topic: str | None = None
    visible_topic: str | None = None


@dataclass(frozen=True)
class Playable:
    """A bag with its two image topics and what the node is to be told of them."""

    bag: Path
    thermal_topic: str
    visible_topic: str
    pairs: int
    duration_s: float
    parameters: dict[str, str]


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


def play(playable: Playable, parameters: Mapping[str, Any], work: Path) -> tuple[dict, dict]:
    """Run node, recorder and player; return what player and recorder tell."""
    settings = {'status_period_s': STATUS_PERIOD_S, **parameters}
    # As JSON, which is YAML: a prompt may hold what means something there.
    values = {name: json.dumps(value, ensure_ascii=False) for name, value in settings.items()}
    node_options = [item for pair in values.items() for item in ('-p', '{}:={}'.format(*pair))]
    topics = ('--topic', FUSED, '--topic', 'fused/camera_info')
    recorded = ('--out', work / 'recorded.mcap', '--json', work / 'recorder.json')
    chosen = ('--thermal-topic', playable.thermal_topic, '--visible-topic', playable.visible_topic)
    with contextlib.ExitStack() as stack:
        start = functools.partial(_start, stack, work)
        node = start('fusion_node', 'main', '--ros-args', *node_options)
        recorder = start('recorder', 'recorder', *topics, *recorded)
        _await(lambda: 'matched' in recorder.output(), 'offer its topics', START_S, node, recorder)
        player = start('player', 'player', playable.bag, *chosen)
        _await(player.ended, 'play', START_S + playable.duration_s, player, node, recorder)
        silent = functools.partial(_silent, recorder, len(recorder.output().splitlines()))
        _await(silent, 'publish fused images', END_S, node, recorder)
        for child in (recorder, node):
            child.interrupt()
            _await(child.ended, 'end after SIGINT', END_S, child)
        told = json.loads(player.output().splitlines()[-1])
    return told, json.loads((work / 'recorder.json').read_text())


def _silent(recorder: 'Child', begin: int) -> bool:
    """Say whether, since line ``begin``, statuses come but images no more."""
    told = recorder.output().splitlines()[begin:][-SILENT_STATUSES:]
    return len(told) == SILENT_STATUSES and len(set(told)) == 1 and told[0] != '0 received'


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


class Child:
    """One of our programs as a process of its own, with its output in a file."""

    def __init__(self, name: str, module: str, options: Sequence[object], work: Path) -> None:
        self.name = name
        self._log = work / f'{name}.log'
        command = [sys.executable, '-m', f'ir_vis_fusion.node.{module}', *map(str, options)]
        with self._log.open('wb') as log:
            self._process = subprocess.Popen(
                command, stdout=log, stderr=subprocess.STDOUT, env=_environment()
            )

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    def output(self) -> str:
        """Return what it has said so far."""
        return self._log.read_text(errors='replace')

    def tail(self) -> str:
        """Return its last lines with its name, for an error message."""
        lines = self.output().splitlines()[-LOG_LINES:]
        return '\n'.join([f'last lines of {self.name}:', *lines])

    def ended(self) -> bool:
        """Say whether it has ended; raise EvaluationError if with another exit code than 0."""
        code = self._process.poll()
        if code:
            raise EvaluationError(f'{self.name} ended with exit code {code}; {self.tail()}')
        return code is not None

    def interrupt(self) -> None:
        """Ask it to end, as Ctrl-C does."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """End it, kindly at first."""
        if self._process.poll() is None:
            self.interrupt()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()


def _start(
    stack: contextlib.ExitStack, work: Path, name: str, module: str, *options: object
) -> Child:
    child = Child(name, module, options, work)
    stack.callback(child.kill)
    return child


def _await(condition: Callable[[], bool], goal: str, timeout_s: float, *children: Child) -> None:
    """Wait for a condition while all children run; the first one is who has a goal."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        for child in children:
            if child.ended() and not condition():
                raise EvaluationError(
                    f'{child.name} ended before {children[0].name} could {goal}; {child.tail()}'
                )
        if time.monotonic() > deadline:
            tails = '\n'.join(child.tail() for child in children)
            raise EvaluationError(
                f'{children[0].name} did not {goal} within {timeout_s:.0f} s; {tails}'
            )
        time.sleep(0.05)


def _environment() -> dict[str, str]:
    """Keep to this machine and a domain of our own, with large shared memory, unless chosen."""
    own = {
        'ROS_DOMAIN_ID': str(1 + os.getpid() % 100),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    }
    return own | os.environ
