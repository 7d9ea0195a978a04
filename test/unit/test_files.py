"""Files that parameters name: what is opened, and what never is."""

import os
from pathlib import Path

from ir_vis_fusion.errors import CheckpointError, ConfigError
from ir_vis_fusion.files import checked_file
import pytest


def test_a_path_comes_back_absolute_without_links_and_with_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / 'real.yaml'
    file.write_text('a: 1')
    (tmp_path / 'link.yaml').symlink_to(file)
    monkeypatch.setenv('HOME', str(tmp_path))
    monkeypatch.chdir(tmp_path)

    for path in ('link.yaml', '~/link.yaml', f'{tmp_path}/../{tmp_path.name}/link.yaml'):
        assert checked_file(path, 100, ConfigError, ('.yaml',)) == file.resolve()


def test_pipes_devices_and_folders_are_not_opened(tmp_path: Path) -> None:
    pipe = tmp_path / 'pipe'
    os.mkfifo(pipe)
    for path in (pipe, '/dev/zero', tmp_path):
        with pytest.raises(ConfigError, match='must be a regular file, not a folder, pipe'):
            checked_file(path, 100, ConfigError)


def test_too_large_a_file_is_refused_with_both_sizes(tmp_path: Path) -> None:
    file = tmp_path / 'large.safetensors'
    with file.open('wb') as large:
        large.truncate(5 * 2**30)  # a hole; it takes no room
    with pytest.raises(CheckpointError, match='is 5120 MiB, at most 1024 MiB are read'):
        checked_file(file, 2**30, CheckpointError)


def test_another_ending_is_refused_before_the_file_is_looked_at() -> None:
    with pytest.raises(CheckpointError, match=r'model\.pt: must be a \.onnx or \.safetensors'):
        checked_file('/nowhere/model.pt', 1, CheckpointError, ('.safetensors', '.onnx'))


@pytest.mark.parametrize('path', ['a\0b', 'loop', '~nobody-of-this-name/x'])
def test_what_is_no_path_is_an_error_of_the_room(
    path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'loop').symlink_to(tmp_path / 'loop')
    with pytest.raises(ConfigError, match='cannot be read|no such file'):
        checked_file(path, 1, ConfigError)
