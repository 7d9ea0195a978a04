"""A domain of one's own: not one that is in use, nor one that a killed process left."""

from collections.abc import Iterator
import os
from pathlib import Path

from ir_vis_fusion.node import transport
from ir_vis_fusion.node.transport import own_domain
import pytest


@pytest.fixture
def shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(transport, '_SHARED_MEMORY', tmp_path)
    monkeypatch.setattr(os, 'getpid', lambda: 4)
    own_domain.cache_clear()
    yield tmp_path
    own_domain.cache_clear()


def test_processes_differ_by_their_numbers(shared_memory: Path) -> None:
    assert own_domain() == 5


def test_domains_with_ports_in_shared_memory_are_left_out(shared_memory: Path) -> None:
    # Domain 5 begins at 7400 + 5 * 250, domain 6 at 8900.
    (shared_memory / 'fastrtps_port8661').touch()
    (shared_memory / 'sem.fastrtps_port8911_mutex').touch()
    (shared_memory / 'fastrtps_62b2f3c1').touch()
    assert own_domain() == 7


def test_it_stays_the_same_once_ports_of_our_own_are_there(shared_memory: Path) -> None:
    first = own_domain()
    (shared_memory / f'fastrtps_port{7400 + 250 * first + 11}').touch()
    assert own_domain() == first
