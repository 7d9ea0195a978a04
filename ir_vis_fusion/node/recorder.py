"""
Record topics and the latency of their messages: ``python -m ir_vis_fusion.node.recorder``.

Messages go from the middleware into one .mcap file as bytes; a thread of its own writes, so
that a slow disk does not show as latency. What is told of latency is the time from the stamp in
a message's header to its arrival here, with ``use_sim_time`` on the clock of the bag.
"""

import argparse
import contextlib
import importlib
import json
from pathlib import Path
import queue
import sys
import threading
import time

from diagnostic_msgs.msg import DiagnosticStatus
from ir_vis_fusion.errors import EvaluationError, FusionError
from ir_vis_fusion.evaluation.bags import BagWriter
from ir_vis_fusion.evaluation.cdr import CAMERA_INFO, COMPRESSED_IMAGE, header_stamp, IMAGE
from ir_vis_fusion.evaluation.statistics import percentiles
from ir_vis_fusion.node.stopping import StopFlag
from ir_vis_fusion.node.transport import prepare_transport
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from rclpy.utilities import remove_ros_args

# Messages of a topic before they are taken, and of all topics before they are written.
DEPTH = WAITING = 64
MATCHED = 'matched'


class Recorder(Node):
    """Subscribes the topics; what arrives waits in ``arrived`` for the writer."""

    def __init__(self, topics: list[str], status: str) -> None:
        super().__init__('recorder')
        self.arrived: queue.Queue[tuple[str, str, int, bytes] | None] = queue.Queue(WAITING)
        kinds = {name: kind for name, _, kind in (topic.partition(':') for topic in topics)}
        self.latencies_ns: dict[str, list[int]] = {name: [] for name in kinds}
        self.heard = self.dropped = 0
        self.last_arrival_s: float | None = None
        self.status: dict[str, str] = {}
        self.names = []
        # Infos first: a player waits until its images are subscribed, and then sends both.
        for name in sorted(kinds, key=lambda name: not name.endswith('camera_info')):
            self._add(name, kinds[name] or _type_by_name(name))
        self.create_subscription(DiagnosticStatus, status, self._keep_status, DEPTH)

    def matched(self) -> bool:
        """Say whether all topics have a publisher."""
        return all(self.count_publishers(name) for name in self.names)

    def _add(self, name: str, msgtype: str) -> None:
        package, _, kind = msgtype.split('/')
        message_class = getattr(importlib.import_module(f'{package}.msg'), kind)
        resolved = self.resolve_topic_name(name)
        self.names.append(resolved)
        latencies_ns = self.latencies_ns[name]

        def arrive(data: bytes) -> None:
            now_ns = self.get_clock().now().nanoseconds
            self.heard += 1
            latencies_ns.append(now_ns - header_stamp(data))
            self.last_arrival_s = time.monotonic()
            try:
                self.arrived.put_nowait((resolved, msgtype, now_ns, data))
            except queue.Full:
                self.dropped += 1

        self.create_subscription(message_class, name, arrive, DEPTH, raw=True)

    def _keep_status(self, message: DiagnosticStatus) -> None:
        self.heard += 1
        self.status = {item.key: item.value for item in message.values}
        received = sum(map(len, self.latencies_ns.values()))
        print(f'{received} received', flush=True)  # noqa: T201


def main(arguments: list[str] | None = None) -> int:
    """
    Record until SIGINT, SIGTERM or silence; what has come until then is recorded.

    Prints ``matched`` once all topics are offered, ``N received`` with each status of the node,
    and at the end a summary as one line of JSON.
    """
    arguments = sys.argv if arguments is None else ['recorder', *arguments]
    options = _parser().parse_args(remove_ros_args(arguments)[1:])
    stop = StopFlag().set_by_signals()
    prepare_transport()
    rclpy.init(args=arguments, signal_handler_options=SignalHandlerOptions.NO)
    try:
        recorder = Recorder(options.topic, options.status)
        with BagWriter(options.out) as bag:
            _record(recorder, bag, options.idle_timeout, stop)
        summary = summarize(recorder)
        if options.json:
            options.json.write_text(json.dumps(summary, indent=2) + '\n')
        print(json.dumps(summary), flush=True)  # noqa: T201
    except FusionError as error:
        print(f'recorder: {error}', file=sys.stderr)  # noqa: T201
        return 1
    finally:
        rclpy.try_shutdown()
    return 0


def summarize(recorder: Recorder) -> dict:
    """
    Return counts and latency by topic as named on the command line, and the last status.

    ``dropped`` messages arrived but were not written, for the disk was too slow.
    """
    return {
        'topics': {
            name: {'received': len(values), 'latency_ms': percentiles([x / 1e6 for x in values])}
            for name, values in recorder.latencies_ns.items()
        },
        'dropped': recorder.dropped,
        'status': recorder.status,
    }


def _record(
    recorder: Recorder, bag: BagWriter, idle_timeout_s: float | None, stop: StopFlag
) -> None:
    faults: list[Exception] = []

    def write() -> None:
        try:
            while (item := recorder.arrived.get()) is not None:
                bag.write(*item)
        except (OSError, EvaluationError) as error:
            faults.append(error)
            stop.set()

    writer = threading.Thread(target=write)
    writer.start()
    with contextlib.suppress(ExternalShutdownException):
        _spin(recorder, idle_timeout_s, stop)
    while writer.is_alive():
        with contextlib.suppress(queue.Full):
            recorder.arrived.put(None, timeout=0.1)
            writer.join()
    if faults:
        raise EvaluationError(f'{str(bag.path)!r}: cannot be written: {faults[0]}')


def _spin(recorder: Recorder, idle_timeout_s: float | None, stop: StopFlag) -> None:
    executor = SingleThreadedExecutor()
    executor.add_node(recorder)

    def hear() -> bool:
        before = recorder.heard
        executor.spin_once(timeout_sec=0.05)
        return recorder.heard > before

    matched = False
    # Who was not given the processor for long has messages that wait, and no silence.
    while not stop and (hear() or not _silent(recorder, idle_timeout_s)):
        if not matched and recorder.matched():
            matched = True
            print(MATCHED, flush=True)  # noqa: T201
    # The most that can wait, of the topics and the status.
    for _ in range(DEPTH * (len(recorder.names) + 1)):
        if not hear():
            break


def _silent(recorder: Recorder, idle_timeout_s: float | None) -> bool:
    if idle_timeout_s is None or recorder.last_arrival_s is None:
        return False
    return time.monotonic() - recorder.last_arrival_s > idle_timeout_s


def _type_by_name(name: str) -> str:
    """Return the type that a topic of such a name has by convention."""
    if name.endswith('camera_info'):
        return CAMERA_INFO
    return COMPRESSED_IMAGE if name.endswith('/compressed') else IMAGE


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog='recorder', description=__doc__.splitlines()[1])
    parser.add_argument(
        '--topic',
        action='append',
        required=True,
        help='topic to record, NAME or NAME:PACKAGE/msg/TYPE (images and camera infos are told '
        'by their names); its messages must begin with a header',
    )
    parser.add_argument('--out', type=Path, required=True, help='.mcap file to write')
    parser.add_argument('--json', type=Path, help='file for the summary')
    parser.add_argument(
        '--status', default='fusion_node/status', help='status topic of the fusion node'
    )
    parser.add_argument(
        '--idle-timeout',
        type=float,
        metavar='SECONDS',
        help='end when nothing came for this long after the first message',
    )
    return parser


if __name__ == '__main__':
    sys.exit(main())
