"""Checkpoints: what is written is read back, and no damage goes unnoticed."""

import json
from pathlib import Path
import subprocess
import sys

from ir_vis_fusion.checkpoint import load_checkpoint, resolve, save_checkpoint, shipped
from ir_vis_fusion.errors import CheckpointError
from ir_vis_fusion.models.student import Student
import pytest
from safetensors import safe_open
from safetensors.torch import save
import torch

CONFIG = {'width': 8, 'factor': 2, 'depth': 2}
PREPROCESSING = {'luma': 'BT.601 full range', 'thermal': {'low_percentile': 1.0}}
PROVENANCE = {'data': 'none', 'licence': 'Apache-2.0', 'metrics': {'msrs_val': {'qabf': 0.7}}}


@pytest.fixture
def student() -> Student:
    torch.manual_seed(0)
    return Student(**CONFIG)


@pytest.fixture
def path(tmp_path: Path, student: Student) -> Path:
    path = tmp_path / 'small.safetensors'
    save_checkpoint(path, student, 'student', CONFIG, PREPROCESSING, PROVENANCE)
    return path


def rewrite(path: Path, tensors: dict | None = None, **metadata: str) -> None:
    """Change parts of a file and leave the hash as it was."""
    with safe_open(path, framework='pt') as file:
        kept = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        facts = file.metadata()
    path.write_bytes(save(kept if tensors is None else tensors, facts | metadata))


def test_what_is_saved_is_loaded(path: Path, student: Student) -> None:
    checkpoint = load_checkpoint(path)
    assert not checkpoint.model.training
    for key, value in student.state_dict().items():
        assert torch.equal(checkpoint.model.state_dict()[key], value)
    assert checkpoint.name == 'student'
    assert checkpoint.config == CONFIG
    assert checkpoint.preprocessing == PREPROCESSING
    assert checkpoint.provenance == PROVENANCE
    assert len(checkpoint.sha256) == 64
    assert checkpoint.path == path


def test_the_same_content_has_the_same_hash(path: Path, student: Student, tmp_path: Path) -> None:
    again = tmp_path / 'again.safetensors'
    save_checkpoint(again, student, 'student', CONFIG, PREPROCESSING, PROVENANCE)
    assert load_checkpoint(again).sha256 == load_checkpoint(path).sha256


def test_saving_leaves_only_the_checkpoint(path: Path) -> None:
    assert [file.name for file in path.parent.iterdir()] == ['small.safetensors']


def test_every_user_may_read_what_is_saved(path: Path) -> None:
    plain = path.with_name('plain')
    plain.touch()
    assert path.stat().st_mode == plain.stat().st_mode


@pytest.mark.parametrize('share', [0.2, 0.5, 0.8, 0.99])
def test_a_flipped_bit_anywhere_in_the_weights_is_found(path: Path, share: float) -> None:
    data = bytearray(path.read_bytes())
    start = 8 + int.from_bytes(data[:8], 'little')
    data[start + int(share * (len(data) - start))] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r'small\.safetensors: damaged: .* copy or download'):
        load_checkpoint(path)


def test_changed_preprocessing_is_found(path: Path) -> None:
    rewrite(path, preprocessing=json.dumps({'luma': 'another'}))
    with pytest.raises(CheckpointError, match='damaged'):
        load_checkpoint(path)


@pytest.mark.parametrize('length', [0, 5, 100, 1500])
def test_a_cut_off_file_is_named(path: Path, length: int) -> None:
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CheckpointError, match='not a safetensors file, or cut off'):
        load_checkpoint(path)


def test_another_kind_of_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / 'weights.pth'
    torch.save({'weight': torch.zeros(3)}, path)
    with pytest.raises(CheckpointError, match='not a safetensors file, or cut off'):
        load_checkpoint(path)


def test_a_safetensors_file_of_another_program_is_named(tmp_path: Path) -> None:
    path = tmp_path / 'other.safetensors'
    path.write_bytes(save({'weight': torch.zeros(3)}))
    with pytest.raises(CheckpointError, match='its metadata lack config, format_version, name'):
        load_checkpoint(path)


def test_a_missing_file_is_answered_with_the_shipped_names(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match='no such file; shipped models: .*student'):
        load_checkpoint(tmp_path / 'none.safetensors')


def test_a_later_format_is_refused(
    tmp_path: Path, student: Student, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / 'later.safetensors'
    with monkeypatch.context() as later:
        later.setattr('ir_vis_fusion.checkpoint.FORMAT_VERSION', 2)
        save_checkpoint(path, student, 'student', CONFIG, {}, {})
    with pytest.raises(CheckpointError, match='format version 2, expected 1'):
        load_checkpoint(path)


def test_weights_of_another_size_are_refused(tmp_path: Path, student: Student) -> None:
    path = tmp_path / 'wide.safetensors'
    save_checkpoint(path, student, 'student', CONFIG | {'width': 9}, {}, {})
    with pytest.raises(CheckpointError, match='size mismatch'):
        load_checkpoint(path)


def test_a_configuration_of_a_huge_network_takes_no_memory(
    tmp_path: Path, student: Student
) -> None:
    path = tmp_path / 'huge.safetensors'
    # 9.7 GB for each of its convolutions.
    save_checkpoint(path, student, 'student', CONFIG | {'width': 2**14}, {}, {})
    with pytest.raises(CheckpointError, match='size mismatch'):
        load_checkpoint(path)
    for number in (10**9, float('inf'), float('nan')):
        save_checkpoint(path, student, 'student', CONFIG | {'depth': number}, {}, {})
        with pytest.raises(CheckpointError, match='its configuration holds .* at most 16384'):
            load_checkpoint(path)


def test_metadata_of_another_type_are_named(tmp_path: Path, student: Student) -> None:
    path = tmp_path / 'odd.safetensors'
    save_checkpoint(path, student, ['student'], CONFIG, {}, {})
    with pytest.raises(
        CheckpointError, match=r"name in its metadata must be str, got \['student'"
    ):
        load_checkpoint(path)


def test_missing_and_additional_weights_are_refused(tmp_path: Path, student: Student) -> None:
    path = tmp_path / 'deep.safetensors'
    save_checkpoint(path, student, 'student', CONFIG | {'depth': 3}, {}, {})
    with pytest.raises(CheckpointError, match='Missing key'):
        load_checkpoint(path)
    save_checkpoint(path, student, 'student', CONFIG | {'depth': 1}, {}, {})
    with pytest.raises(CheckpointError, match='Unexpected key'):
        load_checkpoint(path)


def test_a_network_that_is_not_known_is_named(tmp_path: Path, student: Student) -> None:
    path = tmp_path / 'future.safetensors'
    save_checkpoint(path, student, 'studant', CONFIG, {}, {})
    with pytest.raises(CheckpointError, match="unknown model 'studant', did you mean 'student'"):
        load_checkpoint(path)


def test_a_shipped_name_means_the_file_beside_the_package() -> None:
    assert resolve('student') in shipped()
    assert resolve('student').name == 'student.safetensors'


def test_a_path_means_itself(path: Path) -> None:
    assert resolve(str(path)) == path


def test_a_name_that_is_not_shipped_is_answered_with_the_nearest() -> None:
    with pytest.raises(CheckpointError, match=r"'studnet' is neither .* did you mean 'student'\?"):
        resolve('studnet')


def test_a_package_path_is_found_in_the_workspaces(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    share = path.parent / 'overlay' / 'share' / 'my_robot' / 'weights'
    share.mkdir(parents=True)
    path.rename(share / path.name)
    prefixes = f'{path.parent / "underlay"}:{path.parent / "overlay"}'
    monkeypatch.setenv('AMENT_PREFIX_PATH', prefixes)
    found = resolve('package://my_robot/weights/small.safetensors')
    assert found == share / 'small.safetensors'
    with pytest.raises(CheckpointError, match='no share/my_robot/weights/none.safetensors in'):
        resolve('package://my_robot/weights/none.safetensors')


def test_a_package_path_without_a_workspace_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv('AMENT_PREFIX_PATH', raising=False)
    with pytest.raises(CheckpointError, match='AMENT_PREFIX_PATH is empty'):
        resolve('package://my_robot/weights/small.safetensors')


@pytest.mark.parametrize(
    'model',
    ['package://', 'package://my_robot', 'package:///x', 'package://a/../../b', 'package://../b'],
)
def test_a_package_path_must_be_complete_and_stay_in_its_package(model: str) -> None:
    with pytest.raises(CheckpointError, match='must be package://PACKAGE/PATH'):
        resolve(model)


def test_listing_the_shipped_checkpoints_does_not_load_torch() -> None:
    code = (
        'import sys; from ir_vis_fusion.checkpoint import resolve, shipped; '
        'print(len(shipped()) > 0, resolve("student").name, "torch" in sys.modules)'
    )
    result = subprocess.run(
        [sys.executable, '-c', code], capture_output=True, text=True, check=True
    )
    assert result.stdout.split() == ['True', 'student.safetensors', 'False']
