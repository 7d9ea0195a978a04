"""A bag played over DDS through the real node, and what comes out recorded."""

from collections.abc import Mapping
import contextlib
from dataclasses import dataclass
import functools
import json
from pathlib import Path
from typing import Any

from ir_vis_fusion.node.children import await_all, Child, start_child

FUSED = 'fused/image'
START_S = 60.0
END_S = 20.0
STATUS_PERIOD_S = 0.5
# So many statuses with no image between them, 1.5 s, tell that no more will come.
SILENT_STATUSES = 4


@dataclass(frozen=True)
class Playable:
    """A bag with its two image topics and what the node is to be told of them."""

    bag: Path
    thermal_topic: str
    visible_topic: str
    pairs: int
    duration_s: float
    parameters: dict[str, str]


def play(playable: Playable, parameters: Mapping[str, Any], work: Path) -> tuple[dict, dict]:
    """
    Run node, recorder and player; return what player and recorder tell.

    With the player's is ``node_cpu_s``, the processor time of the node while it was played to.
    """
    settings = {'status_period_s': STATUS_PERIOD_S, **parameters}
    # As JSON, which is YAML: a prompt may hold what means something there.
    values = {name: json.dumps(value, ensure_ascii=False) for name, value in settings.items()}
    node_options = [item for pair in values.items() for item in ('-p', '{}:={}'.format(*pair))]
    topics = ('--topic', FUSED, '--topic', 'fused/camera_info')
    recorded = ('--out', work / 'recorded.mcap', '--json', work / 'recorder.json')
    chosen = ('--thermal-topic', playable.thermal_topic, '--visible-topic', playable.visible_topic)
    with contextlib.ExitStack() as stack:
        start = functools.partial(start_child, stack, work)
        node = start('fusion_node', 'main', '--ros-args', *node_options)
        recorder = start('recorder', 'recorder', *topics, *recorded)
        await_all(
            lambda: 'matched' in recorder.output(), 'offer its topics', START_S, node, recorder
        )
        idle_s = node.cpu_s()
        player = start('player', 'player', playable.bag, *chosen)
        await_all(player.ended, 'play', START_S + playable.duration_s, player, node, recorder)
        silent = functools.partial(_silent, recorder, len(recorder.output().splitlines()))
        await_all(silent, 'publish fused images', END_S, node, recorder)
        busy_s = node.cpu_s() - idle_s
        for child in (recorder, node):
            child.interrupt()
            await_all(child.ended, 'end after SIGINT', END_S, child)
        told = json.loads(player.output().splitlines()[-1]) | {'node_cpu_s': busy_s}
    return told, json.loads((work / 'recorder.json').read_text())


def _silent(recorder: Child, begin: int) -> bool:
    """Say whether, since line ``begin``, statuses come but images no more."""
    told = recorder.output().splitlines()[begin:][-SILENT_STATUSES:]
    return len(told) == SILENT_STATUSES and len(set(told)) == 1 and told[0] != '0 received'
