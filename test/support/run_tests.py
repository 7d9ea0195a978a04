"""
All tests in two processes: ``python test/support/run_tests.py [pytest's arguments]``.

Tests of live ROS nodes run apart and last: their middleware has threads and shared memory in the
process that uses it, and what goes wrong there shall hold nothing else up. Both processes run
whatever becomes of the first. A test that hangs is ended by pytest (pyproject.toml); a process
that hangs outside of tests, in an exit handler, say, is ended here.
"""

import argparse
from collections.abc import Sequence
import contextlib
import os
import signal
import subprocess
import sys

GROUPS = ('not ros', 'ros')
LIMIT_S = 35 * 60.0
NOTHING_TO_RUN = 5


def main(arguments: Sequence[str]) -> int:
    """Run both groups; return 0 if all went well, else the exit code of the first that failed."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument('-m', dest='chosen')
    options, others = parser.parse_known_args(arguments)
    # So that the processes below are ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    codes = []
    for group in GROUPS:
        marker = f'({group}) and ({options.chosen})' if options.chosen else group
        codes.append(run_group([sys.executable, '-m', 'pytest', '-m', marker, *others]))
    # That one of them has no such test is no fault.
    ran = [code for code in codes if code != NOTHING_TO_RUN] or [NOTHING_TO_RUN]
    return next((code for code in ran if code), 0)


def run_group(command: Sequence[str], limit_s: float = LIMIT_S) -> int:
    """Run a command and end what it leaves behind; return its exit code, 1 if it was ended."""
    environment = os.environ | {'PYTHONFAULTHANDLER': '1'}
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    try:
        code = process.wait(limit_s)
    except subprocess.TimeoutExpired:
        sys.stderr.write(f'{command[-1]!r}: not at its end after {limit_s:.0f} s; its threads:\n')
        process.send_signal(signal.SIGABRT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)
        return 1
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        process.wait(30)
        raise
    finally:
        # Its session: programs that a test started would keep the output open, and memory.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return code if code >= 0 else 1


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
