"""Files of engines are told from others before TensorRT, or its GPU, is asked for."""

import importlib.util
from pathlib import Path

from ir_vis_fusion.backends.chooser import load_backend
from ir_vis_fusion.backends.description import to_metadata
from ir_vis_fusion.backends.interface import describe
from ir_vis_fusion.backends.tensorrt_backend import MAGIC, read_engine, write_engine
from ir_vis_fusion.checkpoint import load_checkpoint, resolve
from ir_vis_fusion.cli.main import main
from ir_vis_fusion.errors import BackendError, CheckpointError, DeviceError
import pytest
import torch

CPU = torch.device('cpu')
PLAN = bytes(range(256)) * 5
missing = pytest.mark.skipif(
    importlib.util.find_spec('tensorrt') is not None, reason='TensorRT is installed'
)


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    """Return a file with all that belongs to an engine but one that runs."""
    checkpoint = load_checkpoint(resolve('mgfusion'))
    facts = to_metadata(describe(checkpoint), checkpoint, 'fp16') | {'built_with': 'TensorRT 0'}
    path = tmp_path / 'mgfusion.engine'
    write_engine(path, facts, PLAN)
    return path


def test_what_is_written_is_read(engine: Path) -> None:
    facts, plan = read_engine(engine)
    assert plan == PLAN
    assert facts['name'] == '"mgfusion"'
    assert facts['built_with'] == 'TensorRT 0'


def test_an_engine_is_for_a_gpu(engine: Path) -> None:
    with pytest.raises(DeviceError, match=r'mgfusion\.engine.*runs on CUDA, not on cpu'):
        load_backend(engine, CPU)


@missing
def test_a_missing_library_is_named_with_the_ways_out(engine: Path) -> None:
    with pytest.raises(BackendError, match='pip install tensorrt'):
        load_backend(engine, torch.device('cuda'))


@pytest.mark.parametrize(
    ('content', 'told'),
    [
        (b'', 'not an engine'),
        (b'ONNX' * 50, 'not an engine'),
        (MAGIC + b'\xff\xff\xff\x7f' + b'{}', 'cut off'),
        (MAGIC + b'\x02\x00\x00\x00' + b'{x' + PLAN, 'not JSON'),
        (MAGIC + b'\x02\x00\x00\x00' + b'[]' + PLAN, 'not those of'),
        (MAGIC + b'\x02\x00\x00\x00' + b'{}' + PLAN, 'not those of'),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: bytes, told: str) -> None:
    path = tmp_path / 'x.engine'
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=told):
        load_backend(path, CPU)


def test_a_changed_byte_is_found(engine: Path) -> None:
    content = bytearray(engine.read_bytes())
    content[-1] ^= 1
    engine.write_bytes(content)
    with pytest.raises(CheckpointError, match='damaged'):
        read_engine(engine)


@missing
def test_the_command_says_what_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = tmp_path / 'student.engine'
    assert main(['export', 'student', '--format', 'tensorrt', '--out', str(out)]) == 1
    assert 'tensorrt is missing: pip install tensorrt' in capsys.readouterr().err
    assert not out.exists()


def test_the_ending_must_be_that_of_the_format(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert main(['export', 'student', '--out', str(tmp_path / 'student.pb')]) == 1
    assert 'must end in .onnx' in capsys.readouterr().err
