"""
Play the thermal and visible topics of a bag: ``python -m ir_vis_fusion.node.player BAG``.

For machines without ``ros2 bag``, and light enough to share two cores with the node: messages
go from the file to the middleware as bytes. Unless ``--clock`` is given they are restamped as
if the cameras ran now, so that latency can be measured and nodes without simulated time work.
"""

import argparse
from collections.abc import Iterable, Iterator
import contextlib
from dataclasses import dataclass
import importlib
import json
import queue
import sys
import threading
import time

from builtin_interfaces.msg import Time
from ir_vis_fusion.errors import EvaluationError, FusionError
from ir_vis_fusion.evaluation.bags import BagReader
from ir_vis_fusion.evaluation.cdr import CAMERA_INFO, header_stamp, NANOSECONDS, restamped
from ir_vis_fusion.evaluation.topics import guess_topics
from ir_vis_fusion.node.player_options import add_player_options
from ir_vis_fusion.node.stopping import StopFlag
from ir_vis_fusion.node.transport import prepare_transport
import rclpy
from rclpy.duration import Duration
from rclpy.publisher import Publisher
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args
from rosgraph_msgs.msg import Clock

# Reliable, for best effort loses most images above 64 kB with Fast DDS; the depth covers a
# subscriber that is away for a third of a second.
DEPTH = 10
READ_AHEAD = 12
ACKNOWLEDGE_S = 10
# For subscribers of what is not waited for, and from one side's seeing of a match to the other's.
MATCH_NS = 300_000_000
# As `ros2 bag play --clock 100`.
TICK_NS = 10_000_000


@dataclass(frozen=True)
class Outgoing:
    """A message as it will be sent; ``due_ns`` counts from the start of playing."""

    topic: str
    due_ns: int
    recorded_ns: int
    data: bytes


def main(arguments: list[str] | None = None) -> int:
    """Play a bag and print a summary as one line of JSON."""
    arguments = sys.argv if arguments is None else ['player', *arguments]
    parser = argparse.ArgumentParser(prog='player', description=__doc__.splitlines()[1])
    add_player_options(parser)
    options = parser.parse_args(remove_ros_args(arguments)[1:])
    try:
        return run(options, arguments)
    except FusionError as error:
        print(f'player: {error}', file=sys.stderr)  # noqa: T201
        return 1


def run(options: argparse.Namespace, ros_arguments: list[str]) -> int:
    """Play a bag as the options say; returns the exit code."""
    stop = StopFlag().set_by_signals()
    prepare_transport()
    rclpy.init(args=ros_arguments, signal_handler_options=SignalHandlerOptions.NO)
    try:
        with BagReader(options.bag) as bag:
            print(json.dumps(play(bag, options, stop)), flush=True)  # noqa: T201
    finally:
        rclpy.try_shutdown()
    return 0


def play(bag: BagReader, options: argparse.Namespace, stop: StopFlag) -> dict:
    """
    Play to the end, or until ``stop``; return the summary.

    ``stamp_shift_ns`` is what was added to the stamps (at rate 1 in the first loop), and
    ``latest_ms`` how late the latest message was sent.
    """
    names = remapped(bag, options.thermal_topic, options.visible_topic)
    thermal, visible = list(names)[:2]
    node = rclpy.create_node('bag_player')
    publishers = {
        topic: node.create_publisher(_message_class(bag.topics[topic]), name, DEPTH)
        for topic, name in names.items()
    }
    clock = node.create_publisher(Clock, '/clock', DEPTH) if options.clock else None
    images = [publishers[thermal], publishers[visible]]
    _await_subscribers(images, options.wait_s, stop)

    _, recorded_ns, data = next(bag.messages((visible,)))
    lag_ns = (header_stamp(data) or recorded_ns) - recorded_ns
    origin_ns = time.time_ns() + MATCH_NS
    incoming = _read_ahead(outgoing(bag, names, options, origin_ns, lag_ns), stop)
    ticker = _Ticker(clock, options.rate) if clock else None
    counts, latest_ns = _send(incoming, publishers, ticker, origin_ns, stop)
    return {
        'published': {names[topic]: count for topic, count in counts.items()},
        'topics': {name: topic for topic, name in names.items()},
        'stamp_shift_ns': 0 if options.clock else origin_ns - bag.start_ns - lag_ns,
        'latest_ms': round(latest_ns / 1e6, 2),
        'acknowledged': _acknowledged(publishers.values()),
    }


def remapped(bag: BagReader, thermal: str | None, visible: str | None) -> dict[str, str]:
    """Map the bag's topics to the node's: thermal image, visible image, then camera infos."""
    chosen = guess_topics(bag.image_topics(), thermal, visible)
    images, infos = {}, {}
    for topic, name in zip(chosen, ('thermal', 'visible'), strict=True):
        packed = bag.topics[topic].endswith('CompressedImage')
        images[topic] = f'{name}/image_raw' + ('/compressed' if packed else '')
        info = topic.removesuffix('/compressed').rpartition('/')[0] + '/camera_info'
        # Of no other type: its class is imported by the name that the bag gives.
        if bag.topics.get(info) == CAMERA_INFO:
            infos[info] = f'{name}/camera_info'
    return images | infos


def outgoing(
    bag: BagReader, names: dict[str, str], options: argparse.Namespace, origin_ns: int, lag_ns: int
) -> Iterator[Outgoing]:
    """
    Yield the messages of the bag, once or for ever, ready to be sent.

    The first visible image, stamped ``lag_ns`` after its recording, gets the time at which it
    is due as its stamp; all other stamps keep their distance from it, at the pace of playing.
    Where a stamp is 0, not set, the time of recording stands for it.
    """
    base_ns = 0
    while True:
        for topic, recorded_ns, data in bag.messages(names):
            due_ns = base_ns + round((recorded_ns - bag.start_ns) / options.rate)
            if options.clock:
                data = bytes(data)
            else:
                later_ns = (header_stamp(data) or recorded_ns) - recorded_ns - lag_ns
                data = restamped(data, origin_ns + due_ns + round(later_ns / options.rate))
            yield Outgoing(topic, due_ns, recorded_ns, data)
        if not options.loop:
            return
        period_ns = (bag.end_ns - bag.start_ns) / max(bag.counts[topic] for topic in names)
        base_ns = due_ns + round(period_ns / options.rate)


def _read_ahead(messages: Iterator[Outgoing], stop: StopFlag) -> queue.Queue:
    """Read in a thread, so that a slow disk delays nothing; the queue ends with None."""
    incoming: queue.Queue[Outgoing | Exception | None] = queue.Queue(READ_AHEAD)

    def put(item: Outgoing | Exception | None) -> None:
        while not stop:
            with contextlib.suppress(queue.Full):
                incoming.put(item, timeout=0.1)
                return

    def read() -> None:
        try:
            for message in messages:
                put(message)
                if stop:
                    break
            put(None)
        except EvaluationError as error:
            put(error)
        if stop:
            with contextlib.suppress(queue.Full):
                incoming.put_nowait(None)

    threading.Thread(target=read, daemon=True).start()
    return incoming


class _Ticker:
    """Publishes the time of the bag."""

    def __init__(self, publisher: Publisher, rate: float) -> None:
        self._publisher = publisher
        self._rate = rate

    def tick(self, item: Outgoing, ahead_ns: int) -> None:
        """Tell the time at which a message is due after ``ahead_ns`` of ours."""
        at_ns = item.recorded_ns - round(max(0, ahead_ns) * self._rate)
        seconds, nanoseconds = divmod(at_ns, NANOSECONDS)
        self._publisher.publish(Clock(clock=Time(sec=seconds, nanosec=nanoseconds)))


def _send(
    incoming: queue.Queue,
    publishers: dict[str, Publisher],
    ticker: _Ticker | None,
    origin_ns: int,
    stop: StopFlag,
) -> tuple[dict[str, int], int]:
    """Send each message when it is due; return counts by topic and the worst delay in ns."""
    counts, latest_ns = dict.fromkeys(publishers, 0), 0
    while (item := incoming.get()) is not None and not stop:
        if isinstance(item, Exception):
            raise item
        due_ns = origin_ns + item.due_ns
        while (ahead_ns := due_ns - time.time_ns()) > 0 and not stop:
            if ticker:
                ticker.tick(item, ahead_ns)
            stop.wait(min(ahead_ns, TICK_NS if ticker else ahead_ns) / 1e9)
        if stop:
            break
        latest_ns = max(latest_ns, -ahead_ns)
        if ticker:
            ticker.tick(item, 0)
        if counts[item.topic] == DEPTH:
            # What is kept is full, and a subscriber that was slow to see us lacks all of it yet.
            _acknowledged([publishers[item.topic]])
        publishers[item.topic].publish(item.data)
        counts[item.topic] += 1
    return counts, latest_ns


def _await_subscribers(publishers: list[Publisher], wait_s: float, stop: StopFlag) -> None:
    """Wait until all have a subscriber, for what is sent before is lost."""
    deadline = time.monotonic() + wait_s
    while missing := [x.topic_name for x in publishers if not x.get_subscription_count()]:
        if time.monotonic() > deadline:
            raise EvaluationError(
                f'nobody subscribed to {" and ".join(missing)} within {wait_s:g} s; is the node '
                'active and in the same ROS domain? --wait-s sets the time'
            )
        if stop.wait(0.01):
            return


def _acknowledged(publishers: Iterable[Publisher]) -> bool:
    """Wait until the subscribers have what was sent: leaving at once would lose the last."""
    timeout = Duration(seconds=ACKNOWLEDGE_S)
    return all(publisher.wait_for_all_acked(timeout) for publisher in publishers)


def _message_class(msgtype: str) -> type:
    package, _, name = msgtype.split('/')
    return getattr(importlib.import_module(f'{package}.msg'), name)


if __name__ == '__main__':
    sys.exit(main())
