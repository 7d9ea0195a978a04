"""`make test`: two processes, of which each ends, and with it all that it started."""

import os
from pathlib import Path
import sys
import time

import pytest
from run_tests import main, run_group

INI = """
[pytest]
markers = ros
faulthandler_timeout = 1
faulthandler_exit_on_timeout = true
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder, also the current one, of a suite with a test in each group."""
    (tmp_path / 'pytest.ini').write_text(INI)
    (tmp_path / 'test_it.py').write_text(
        'import os, pathlib, pytest\n'
        'def note(): pathlib.Path("ran").open("a").write(f"{os.getpid()}\\n")\n'
        'def test_plain(): note()\n'
        '@pytest.mark.ros\n'
        'def test_live(): note()\n'
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv('PYTEST_DISABLE_PLUGIN_AUTOLOAD', '1')
    # Of the run that this test belongs to: colcon gives its options and the name of its report so.
    monkeypatch.delenv('PYTEST_ADDOPTS', raising=False)
    return tmp_path


def add(folder: Path, body: str) -> None:
    """Add a test without ROS to the suite."""
    with (folder / 'test_it.py').open('a') as file:
        file.write(f'def test_other():\n    {body}\n')


def processes(folder: Path) -> list[str]:
    return (folder / 'ran').read_text().splitlines()


def test_live_nodes_have_a_process_of_their_own(folder: Path) -> None:
    assert main([]) == 0
    first, second = processes(folder)
    assert first != second


@pytest.mark.parametrize(('arguments', 'ran'), [(['-k', 'live'], 1), (['-m', 'not ros'], 1)])
def test_a_choice_that_leaves_one_of_them_empty_is_no_fault(
    folder: Path, arguments: list[str], ran: int
) -> None:
    assert main(arguments) == 0
    assert len(processes(folder)) == ran


def test_a_choice_that_leaves_both_empty_is_one(folder: Path) -> None:
    assert main(['-k', 'nothing_of_this_name']) == 5


def test_the_second_runs_when_the_first_fails(folder: Path) -> None:
    add(folder, 'assert False')
    assert main([]) == 1
    assert len(processes(folder)) == 2


def test_a_test_that_hangs_is_shown_and_ended(folder: Path, capfd: pytest.CaptureFixture) -> None:
    add(folder, 'import threading; threading.Event().wait()')
    assert main([]) == 1
    assert len(processes(folder)) == 2
    assert 'in test_other' in capfd.readouterr().err


def test_an_end_that_hangs_is_shown_and_ended(folder: Path, capfd: pytest.CaptureFixture) -> None:
    script = 'import atexit, threading\n@atexit.register\ndef hang(): threading.Event().wait()'
    assert run_group([sys.executable, '-c', script], limit_s=1.0) == 1
    assert 'in hang' in capfd.readouterr().err


def test_what_a_test_leaves_running_ends_with_it(folder: Path) -> None:
    child = 'import subprocess; print(subprocess.Popen(["sleep", "600"]).pid, flush=True)'
    script = f'import os; os.dup2(os.open("pid", os.O_CREAT | os.O_WRONLY), 1); {child}'
    assert run_group([sys.executable, '-c', script]) == 0
    left = int((folder / 'pid').read_text())
    deadline = time.monotonic() + 60
    while running(left):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def running(pid: int) -> bool:
    """Say whether there is such a process that has not ended, waited for or not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f'/proc/{pid}/stat')
    return not state.exists() or state.read_text().rpartition(')')[2].split()[0] != 'Z'
