"""What killed processes leave in shared memory: half-made ports go, all else stays."""

import os
from pathlib import Path
import time

from ir_vis_fusion.node import transport
from ir_vis_fusion.node.transport import remove_half_made_ports
import pytest

MADE, BEGUN = b'\x02' + bytes(63), bytes(64)


@pytest.fixture
def shared_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(transport, '_SHARED_MEMORY', tmp_path)
    return tmp_path


def leave(folder: Path, name: str, content: bytes, age_s: float = 60.0) -> Path:
    file = folder / name
    file.write_bytes(content)
    os.utime(file, (time.time() - age_s,) * 2)
    return file


def test_a_port_that_was_never_finished_is_removed(shared_memory: Path) -> None:
    leave(shared_memory, 'fastrtps_port7025', BEGUN)
    leave(shared_memory, 'fastdds_port7026', b'\x01' + bytes(63))
    leave(shared_memory, 'fastrtps_port7027', b'')
    assert len(remove_half_made_ports()) == 3
    assert not list(shared_memory.iterdir())


@pytest.mark.parametrize(
    ('name', 'content'),
    [
        ('fastrtps_port7411', MADE),
        ('fastrtps_port7411_el', b''),
        ('sem.fastrtps_port7411_mutex', BEGUN),
        ('fastrtps_62b2f3c1a1b2c3d4', BEGUN),
    ],
)
def test_ports_in_use_and_other_files_stay(shared_memory: Path, name: str, content: bytes) -> None:
    file = leave(shared_memory, name, content)
    assert remove_half_made_ports() == []
    assert file.exists()


def test_a_port_that_is_being_made_is_let_be(shared_memory: Path) -> None:
    file = leave(shared_memory, 'fastrtps_port7025', BEGUN, age_s=0.0)
    assert remove_half_made_ports() == []
    assert file.exists()


def test_without_shared_memory_there_is_nothing_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, '_SHARED_MEMORY', tmp_path / 'none')
    assert remove_half_made_ports() == []
