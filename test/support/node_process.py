"""The executable as a process of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
import os
from pathlib import Path
import subprocess
import sys
import threading

ROOT = Path(__file__).resolve().parents[2]


def start(*arguments: str, **environment: str) -> subprocess.Popen:
    """Start the node as a user would, in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, '-m', 'ir_vis_fusion.node.main', '--ros-args', *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env=os.environ | environment,
    )


@contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen]:
    """Start a node and wait until its network is loaded; ``lines`` fill with what it logs."""
    process = start(*arguments)
    loaded = threading.Event()
    process.lines = []

    def read() -> None:
        for line in process.stderr:
            process.lines.append(line)
            if 'runs on' in line:
                loaded.set()

    reader = threading.Thread(target=read)
    reader.start()
    try:
        assert loaded.wait(120), process.lines
        yield process
    finally:
        # Kindly: who is killed may leave locks in shared memory behind, for others to wait on.
        process.terminate()
        try:
            process.wait(120)
        finally:
            process.kill()
            reader.join()
