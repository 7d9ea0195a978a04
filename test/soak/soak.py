"""
The real node for minutes at 30 Hz, with what it uses: ``make soak MINUTES=10``.

Node and player are processes of their own, the cameras those of the synthetic scene (visible rgb8
640x480, thermal mono16), played in a loop over DDS. Once a second the node's status is read, and
from /proc its memory and its file descriptors. After the warm-up, the first fifth but a minute at
most, three things must hold: at least 99 % of the matched pairs are published (the scene's thermal
camera calibrates itself once in ten seconds, and then the visible image is), memory grows by less
than 10 MB and descriptors by none. Prints a table and writes all samples; exit code 1 where a bar
is missed.
"""

import argparse
from collections.abc import Iterator, Sequence
import contextlib
from dataclasses import asdict, dataclass
import json
import os
from pathlib import Path
import statistics
import sys
import tempfile
import time

from diagnostic_msgs.msg import DiagnosticStatus
from ir_vis_fusion.evaluation.scene import write_sample_bag
from ir_vis_fusion.node.children import Child
from ir_vis_fusion.node.transport import own_domain, prepare_transport
import rclpy
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image

MB = 1e6
LEAST_PUBLISHED = 0.99
MOST_GROWTH_MB = 10.0
LONGEST_WARM_UP_S = 60.0
START_S = 60.0
PAGE = os.sysconf('SC_PAGE_SIZE')
HEADINGS = '   min  matched  published   fused  busy  p95 ms      MB  fds'
COUNTERS = ('matched', 'published', 'published_fused', 'dropped_busy', 'failed')


@dataclass(frozen=True)
class Sample:
    """What was found at one moment: the node's counters, and what it uses."""

    at_s: float
    matched: int
    published: int
    published_fused: int
    dropped_busy: int
    failed: int
    received: int
    latency_p50_ms: float
    latency_p95_ms: float
    resident_mb: float
    descriptors: int


class Listener:
    """Subscribes to the fused images and the status, as a robot does."""

    def __init__(self) -> None:
        self.node = rclpy.create_node('soak')
        self.received = 0
        self.status: dict[str, str] = {}
        # Bytes: only their number is wanted.
        self.node.create_subscription(Image, 'fused/image', self._count, 5, raw=True)
        self.node.create_subscription(DiagnosticStatus, 'fusion_node/status', self._keep, 5)
        self._executor = SingleThreadedExecutor()
        self._executor.add_node(self.node)

    def spin(self, duration_s: float) -> None:
        """Receive for so long."""
        deadline = time.monotonic() + duration_s
        while time.monotonic() < deadline:
            self._executor.spin_once(timeout_sec=0.05)

    def _count(self, data: bytes) -> None:
        self.received += 1

    def _keep(self, message: DiagnosticStatus) -> None:
        self.status = {item.key: item.value for item in message.values}


def samples(listener: Listener, pid: int, duration_s: float) -> Iterator[Sample]:
    """Yield a sample a second, from the first fused image on."""
    while not int(listener.status.get('published_fused', 0)):
        listener.spin(0.2)
    start_s = time.monotonic()
    while (at_s := time.monotonic() - start_s) < duration_s:
        listener.spin(1.0)
        status, process = listener.status, Path(f'/proc/{pid}')
        yield Sample(
            at_s=round(at_s, 2),
            **{name: int(status[name]) for name in COUNTERS},
            received=listener.received,
            latency_p50_ms=float(status['latency_p50_ms'] or 'nan'),
            latency_p95_ms=float(status['latency_p95_ms'] or 'nan'),
            resident_mb=int((process / 'statm').read_text().split()[1]) * PAGE / MB,
            descriptors=len(os.listdir(process / 'fd')),
        )


def verdict(found: Sequence[Sample]) -> dict[str, float | int]:
    """Compare the end with what was after the warm-up; medians, for one sample may be a peak."""
    warm_s = min(LONGEST_WARM_UP_S, found[-1].at_s / 5)
    warm = [sample for sample in found if sample.at_s >= warm_s]
    tenth = max(1, len(warm) // 10)
    first, last = warm[0], warm[-1]
    matched = last.matched - first.matched
    published = last.published - first.published
    resident = [
        statistics.median(sample.resident_mb for sample in part)
        for part in (warm[:tenth], warm[-tenth:])
    ]
    return {
        'minutes': round((last.at_s - first.at_s) / 60, 2),
        'matched': matched,
        'published': published,
        'fused': last.published_fused - first.published_fused,
        'received': last.received - first.received,
        'failed': last.failed - first.failed,
        'share': round(published / matched, 5) if matched else 0.0,
        'growth_mb': round(resident[1] - resident[0], 2),
        'resident_mb': round(resident[1], 1),
        'descriptors_growth': last.descriptors - first.descriptors,
        'latency_p50_ms': statistics.median(sample.latency_p50_ms for sample in warm),
        'latency_p95_ms': statistics.median(sample.latency_p95_ms for sample in warm),
    }


def missed(found: dict[str, float | int]) -> list[str]:
    """Name the bars that were missed."""
    bars = {
        f'published/matched {found["share"]:.4f}, at least {LEAST_PUBLISHED}': (
            found['share'] >= LEAST_PUBLISHED
        ),
        f'memory grew by {found["growth_mb"]} MB, less than {MOST_GROWTH_MB:g}': (
            found['growth_mb'] < MOST_GROWTH_MB
        ),
        f'file descriptors grew by {found["descriptors_growth"]}, by none': (
            found['descriptors_growth'] <= 0
        ),
    }
    return [bar for bar, held in bars.items() if not held]


def soak(out: Path, duration_s: float, parameters: Sequence[str]) -> int:
    """Run it; return the exit code."""
    out.mkdir(parents=True, exist_ok=True)
    options = [x for p in ('status_period_s:=0.5', *parameters) for x in ('-p', p)]
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        bag = Path(name) / 'scene.mcap'
        write_sample_bag(bag)
        node = Child('fusion_node', 'main', ['--ros-args', *options], out)
        stack.callback(node.kill)
        player = Child('player', 'player', [bag, '--loop', '--wait-s', START_S], out)
        stack.callback(player.kill)
        listener = Listener()
        found: list[Sample] = []
        print(HEADINGS)
        for sample in samples(listener, node.pid, duration_s):
            if node.ended() or player.ended():
                print('a process ended; see its log')
                return 1
            found.append(sample)
            if len(found) % 30 == 1:
                print(line(sample), flush=True)
    told = verdict(found)
    faults = missed(told)
    report = {'summary': told, 'missed': faults, 'samples': [asdict(one) for one in found]}
    (out / 'soak.json').write_text(json.dumps(report, indent=1) + '\n')
    print(*(f'{name:>20} {value}' for name, value in told.items()), sep='\n')
    print(*([f'MISSED: {fault}' for fault in faults] or ['all bars held']), sep='\n')
    return 1 if faults else 0


def line(sample: Sample) -> str:
    """Return a row of the table."""
    return (
        f'{sample.at_s / 60:>6.1f}{sample.matched:>9}{sample.published:>11}'
        f'{sample.published_fused:>8}{sample.dropped_busy:>6}{sample.latency_p95_ms:>8.1f}'
        f'{sample.resident_mb:>8.1f}{sample.descriptors:>5}'
    )


def main() -> int:
    """Soak as the command line says."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--minutes', type=float, default=10.0)
    parser.add_argument('--out', type=Path, default=Path('soak'))
    parser.add_argument('--param', action='append', default=[], help='NAME:=VALUE of the node')
    options = parser.parse_args()
    own = {
        'ROS_DOMAIN_ID': str(own_domain()),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    }
    os.environ.update(own | os.environ)
    prepare_transport()
    rclpy.init()
    try:
        return soak(options.out, 60 * options.minutes, options.param)
    finally:
        rclpy.try_shutdown()


if __name__ == '__main__':
    sys.exit(main())
