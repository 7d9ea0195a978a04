"""Settings of C libraries: what a program asks for, and what is left to the user."""

import json
import os
import subprocess
import sys

import pytest

PROGRAM = """
import json, os
from ir_vis_fusion.runtime import prepare_process
prepare_process()
print(json.dumps({name: os.environ.get(name) for name in ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT')}))
"""


def settings(**given: str) -> tuple[str | None, str | None]:
    """Return wait policy and rounds of spinning of a program that was started with ``given``."""
    names = ('OMP_WAIT_POLICY', 'GOMP_SPINCOUNT')
    environment = {name: value for name, value in os.environ.items() if name not in names}
    command = [sys.executable, '-c', PROGRAM]
    done = subprocess.run(
        command, env=environment | given, capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout)
    return tuple(found[name] for name in names)


def test_threads_that_wait_spin_for_less_than_a_frame_and_then_sleep() -> None:
    policy, spins = settings()
    assert policy == 'PASSIVE'
    # By default GNU's OpenMP spins for 300 000 rounds, some milliseconds.
    assert 0 < int(spins) < 30_000


@pytest.mark.parametrize('policy', ['ACTIVE', 'PASSIVE'])
def test_who_has_set_a_wait_policy_keeps_it(policy: str) -> None:
    assert settings(OMP_WAIT_POLICY=policy) == (policy, None)


def test_who_has_set_the_spinning_alone_keeps_that() -> None:
    assert settings(GOMP_SPINCOUNT='7') == ('PASSIVE', '7')
