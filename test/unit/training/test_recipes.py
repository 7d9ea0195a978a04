"""Recipes: every configuration loads, a dry run works, a stopped run goes on exactly."""

from pathlib import Path

from ir_vis_fusion.checkpoint import load_checkpoint
from ir_vis_fusion.errors import CheckpointError, ConfigError
import pytest
from safetensors.torch import load_file
import torch
from training.__main__ import CONFIGS, main, read_settings, RECIPES
from training.recipes import student

TINY = (
    'steps=4',
    'epoch_steps=2',
    'batch=2',
    'video_stride=3',
    'model.width=4',
    'augmentation.crop=32',
    'device=cpu',
)


def tiny(folder: Path) -> student.RecipeSettings:
    return read_settings('student', None, [*TINY, f'run_dir={folder}'])


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.yaml')), ids=lambda path: path.stem)
def test_every_configuration_is_one_of_a_recipe(path: Path) -> None:
    settings = read_settings(path.stem, path, [])
    assert isinstance(settings, RECIPES[path.stem].RecipeSettings)
    header = path.read_text().split('\nrun_dir', 1)[0]
    for word in ('Data:', 'Command:', 'Time:', 'Figures:'):
        assert word in header


def test_every_recipe_has_a_configuration() -> None:
    assert {path.stem for path in CONFIGS.glob('*.yaml')} == set(RECIPES)


def test_an_override_changes_one_setting() -> None:
    settings = read_settings('student', None, ['loss.ssim=0.25', 'steps=7'])
    assert settings.loss.ssim == 0.25
    assert settings.steps == 7
    assert settings.batch == read_settings('student', None, []).batch


def test_a_mistyped_override_is_named_with_the_nearest_setting() -> None:
    with pytest.raises(ConfigError, match=r"'loss.sim', did you mean 'loss.ssim'\?"):
        read_settings('student', None, ['loss.sim=1'])


def test_an_override_without_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="override 'steps' must have the form key=value"):
        read_settings('student', None, ['steps'])


def test_a_dry_run_succeeds_and_leaves_nothing(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = [text for text in TINY if not text.startswith(('steps', 'epoch'))]
    assert main(['student', *overrides, '--dry-run']) == 0
    assert not list(tmp_path.iterdir())


def test_without_data_the_command_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv('IR_VIS_FUSION_DATA', raising=False)
    assert main(['student', '--dry-run']) == 1
    assert 'IR_VIS_FUSION_DATA is not set' in capsys.readouterr().err


@pytest.fixture(scope='module')
def finished(image_sets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train without a stop; return the folder of the run."""
    folder = tmp_path_factory.mktemp('run')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('IR_VIS_FUSION_DATA', str(image_sets))
        student.train(tiny(folder), 'python3 -m training student')
    return folder


def test_a_run_leaves_checkpoints_strips_and_logs(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert {'student.safetensors', 'best.safetensors', 'state.safetensors'} <= names
    assert {'strip_000002.png', 'strip_000004.png'} <= names
    assert any(name.startswith('events.out.tfevents') for name in names)


def test_the_finished_checkpoint_says_how_it_was_made(finished: Path) -> None:
    checkpoint = load_checkpoint(finished / 'student.safetensors')
    assert checkpoint.config == {'width': 4, 'factor': 4, 'depth': 4}
    assert checkpoint.preprocessing['luma'] == 'BT.601 full range'
    assert checkpoint.provenance['command'] == 'python3 -m training student'
    assert checkpoint.provenance['settings']['steps'] == 4
    assert set(checkpoint.provenance['metrics']) == {'roadscene', 'msrs_val'}
    assert set(checkpoint.provenance['metrics']['msrs_val']) == {
        'qabf',
        'vif',
        'ssim',
        'scd',
        'nabf',
    }


def test_a_stopped_run_goes_on_to_the_very_same_weights(
    finished: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish_epoch = student.finish_epoch

    def stop_after_one_epoch(run: student.Run, *arguments: object) -> None:
        finish_epoch(run, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as stopping:
        stopping.setattr(student, 'finish_epoch', stop_after_one_epoch)
        with pytest.raises(KeyboardInterrupt):
            student.train(tiny(tmp_path), '')
    half = load_file(tmp_path / 'state.safetensors')
    student.train(tiny(tmp_path), '')
    whole, resumed = (load_file(run / 'state.safetensors') for run in (finished, tmp_path))
    assert whole.keys() == resumed.keys()
    assert all(torch.equal(value, resumed[key]) for key, value in whole.items())
    assert not torch.equal(half['network/body.0.weight'], whole['network/body.0.weight'])


def test_a_run_is_not_taken_up_with_other_settings(finished: Path, data: Path) -> None:
    settings = read_settings('student', None, [*TINY, f'run_dir={finished}', 'seed=1'])
    with pytest.raises(ConfigError, match=r'holds a run with other settings \(seed\)'):
        student.train(settings, '')


def test_a_damaged_state_is_named(data: Path, tmp_path: Path) -> None:
    (tmp_path / 'state.safetensors').write_bytes(b'nothing')
    with pytest.raises(CheckpointError, match='cannot be taken up again .* remove it'):
        student.train(tiny(tmp_path), '')
