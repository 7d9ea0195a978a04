"""What the commands print."""

from pathlib import Path

from ir_vis_fusion.checkpoint import load_checkpoint, resolve
from ir_vis_fusion.cli import doctor
from ir_vis_fusion.cli.main import build_parser, main
from ir_vis_fusion.cli.table import format_table
import pytest


def test_columns_of_a_table_are_as_wide_as_their_widest_cell() -> None:
    rows = [('a', 'bb'), ('ccc', 'd')]
    assert format_table(rows) == 'a    bb\n---  --\nccc  d'


def test_models_lists_the_shipped_student_with_its_hash(capsys: pytest.CaptureFixture) -> None:
    assert main(['models']) == 0
    row = next(x for x in capsys.readouterr().out.splitlines() if x.startswith('student'))
    assert load_checkpoint(resolve('student')).sha256[:12] in row
    assert 'Apache-2.0' in row


def test_doctor_finds_what_is_there(capsys: pytest.CaptureFixture) -> None:
    assert main(['doctor']) == 0
    output = capsys.readouterr().out
    assert load_checkpoint(resolve('student')).sha256 in output
    for part in ('python', 'torch', 'device', 'rclpy', 'cv_bridge', 'open_clip', 'rosbags'):
        assert any(line.startswith(part) for line in output.splitlines()), part


def test_doctor_tells_missing_from_broken_and_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'half_installed.py').write_text('import not_there_at_all')
    (tmp_path / 'wrong_numpy.py').write_text('raise AttributeError("_ARRAY_API not found")')
    monkeypatch.syspath_prepend(tmp_path)
    assert doctor.probe_module('nowhere_to_be_found', 'get it') == (
        'nowhere_to_be_found',
        'missing',
        'get it',
    )
    (tmp_path / 'ancient.py').write_text('__version__ = "1.13.1+cpu"')
    assert doctor.probe_module('ancient', 'x', 'ancient>=2.3')[1] == (
        'broken: 1.13.1+cpu is too old, ancient>=2.3 is needed'
    )
    assert doctor.probe_module('ancient', 'x', 'ancient>=1.13') == ('ancient', '1.13.1+cpu', '')
    assert doctor.probe_module('half_installed', 'x')[1].startswith('broken: No module named')
    assert doctor.probe_module('wrong_numpy', 'x')[1] == 'broken: _ARRAY_API not found'


def test_doctor_names_damaged_weights_and_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / 'student.safetensors').write_bytes(resolve('student').read_bytes()[:-100])
    monkeypatch.setattr('ir_vis_fusion.checkpoint.WEIGHTS_FOLDER', tmp_path)
    assert main(['doctor']) == 1
    assert 'install the package again' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('command', 'option'),
    [('fuse', '--thermal'), ('demo', '--bag'), ('sample', '--seed'), ('describe', '--bank')],
)
def test_the_help_of_a_command_names_its_options(
    command: str, option: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit) as ended:
        build_parser().parse_args([command, '--help'])
    assert ended.value.code == 0
    assert option in capsys.readouterr().out


def test_a_demo_of_a_missing_bag_is_one_clear_line(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    pytest.importorskip('rclpy')
    assert main(['demo', '--out', str(tmp_path), '--bag', str(tmp_path / 'none.mcap')]) == 1
    error = capsys.readouterr().err
    assert error.startswith('ivf: ')
    assert 'none.mcap' in error
    assert len(error.splitlines()) == 1
