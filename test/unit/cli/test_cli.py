"""What the commands print."""

from pathlib import Path

from ir_vis_fusion.checkpoint import load_checkpoint, resolve, save_checkpoint
from ir_vis_fusion.cli import doctor
from ir_vis_fusion.cli.main import build_parser, main
from ir_vis_fusion.cli.table import format_table
from ir_vis_fusion.guidance.prompts import EmbeddingBank
from ir_vis_fusion.models.registry import build
from ir_vis_fusion.preprocessing.encodings import read_image, write_image
from ir_vis_fusion.types import Role
import numpy as np
import pytest
import torch


def test_columns_of_a_table_are_as_wide_as_their_widest_cell() -> None:
    rows = [('a', 'bb'), ('ccc', 'd')]
    assert format_table(rows) == 'a    bb\n---  --\nccc  d'


def test_models_lists_the_shipped_student_with_its_hash(capsys: pytest.CaptureFixture) -> None:
    assert main(['models']) == 0
    row = next(x for x in capsys.readouterr().out.splitlines() if x.startswith('student'))
    assert load_checkpoint(resolve('student')).sha256[:12] in row
    assert 'Apache-2.0' in row


def test_models_tells_what_clip_the_named_checkpoints_need(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    files = [str(tmp_path / f'{name}.safetensors') for name in ('one', 'two')]
    for file, config, facts in (
        (files[0], {'guidance_features': 4}, {'clip': {'name': 'ViT-B-32'}}),
        (files[1], {'guidance_features': 4, 'guided_by': 'text_features'}, {}),
    ):
        save_checkpoint(file, build('student', config), 'student', config, facts, {})
    assert main(['models', *files, 'student']) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [row.split()[0] for row in rows] == [*files, 'student']
    assert 'image tower, optional (ViT-B-32)  ' in rows[0]
    assert 'text features, optional  ' in rows[1]
    assert '34,304      0.57          none' in rows[2]


def test_fuse_with_a_prompt_goes_by_the_bank(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    config = {'guidance_features': 4, 'guided_by': 'text_features'}
    model = build('student', config)
    torch.nn.init.ones_(model.film[-1].weight)
    save_checkpoint(tmp_path / 'model.safetensors', model, 'student', config, {}, {})
    EmbeddingBank(('fog', 'car'), torch.eye(2, 4)).save(tmp_path / 'bank.safetensors')
    pixels = np.random.default_rng(0).integers(0, 256, (32, 40), np.uint8)
    write_image(tmp_path / 'image.png', pixels)
    image = str(tmp_path / 'image.png')
    command = ['fuse', '--thermal', image, '--visible', image, '--device', 'cpu']
    command += ['--model', str(tmp_path / 'model.safetensors')]
    guided = [*command, '--bank', str(tmp_path / 'bank.safetensors'), '--prompt']
    assert main([*command, '--out', str(tmp_path / 'plain.png')]) == 0
    assert 'only a prompt guides the network' in capsys.readouterr().err
    assert main([*guided, 'fog', '--out', str(tmp_path / 'fog.png')]) == 0
    plain, fog = (
        read_image(tmp_path / f'{name}.png', Role.VISIBLE).image for name in ('plain', 'fog')
    )
    assert (plain != fog).any()
    capsys.readouterr()
    assert main([*guided, 'fogg', '--out', str(tmp_path / 'fogg.png')]) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "'fogg' is not in the embedding bank of 2 names, did you mean 'fog'?" in error
    assert not (tmp_path / 'fogg.png').exists()


def test_doctor_finds_what_is_there(capsys: pytest.CaptureFixture) -> None:
    assert main(['doctor']) == 0
    output = capsys.readouterr().out
    assert load_checkpoint(resolve('student')).sha256 in output
    modules = ('rclpy', 'cv_bridge', 'open_clip', 'rosbags', 'matplotlib')
    for part in ('python', 'torch', 'device', *modules, 'onnxruntime', 'pycocotools'):
        assert any(line.startswith(part) for line in output.splitlines()), part


def test_doctor_tells_missing_from_broken_and_how_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / 'half_installed.py').write_text('import not_there_at_all')
    (tmp_path / 'wrong_numpy.py').write_text(
        'raise AttributeError("_ARRAY_API not found\\nAdvice.")'
    )
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
    [('fuse', '--prompt'), ('demo', '--bag'), ('sample', '--seed'), ('describe', '--bank')],
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
