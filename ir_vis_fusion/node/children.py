"""Programs of this package as processes of their own."""

from collections.abc import Callable, Sequence
import contextlib
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.node.transport import own_domain

LOG_LINES = 15


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

    def cpu_s(self) -> float:
        """Return the processor time that it has taken, of all its threads; 0 outside Linux."""
        facts = Path(f'/proc/{self.pid}/stat')
        if not facts.exists():
            return 0.0
        # The name, the second field, may hold spaces.
        user, system = facts.read_text().rpartition(')')[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf('SC_CLK_TCK')

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


def start_child(
    stack: contextlib.ExitStack, work: Path, name: str, module: str, *options: object
) -> Child:
    """Start a module of this room; it ends with the stack."""
    child = Child(name, module, options, work)
    stack.callback(child.kill)
    return child


def await_all(
    condition: Callable[[], bool], goal: str, timeout_s: float, *children: Child
) -> None:
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
        'ROS_DOMAIN_ID': str(own_domain()),
        'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST',
    }
    return own | os.environ
