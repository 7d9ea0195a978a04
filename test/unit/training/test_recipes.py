"""Recipes: every configuration loads, a dry run works, a stopped run goes on exactly."""

from functools import partial
import json
import os
from pathlib import Path
import shlex
import subprocess
import sys

from accelerate.state import AcceleratorState, GradientState
from ir_vis_fusion.checkpoint import load_checkpoint, resolve
from ir_vis_fusion.config import ClipSettings
from ir_vis_fusion.errors import CheckpointError, ConfigError, FusionError, GuidanceError
from ir_vis_fusion.guidance.prompts import EmbeddingBank
import pytest
from safetensors import safe_open
from safetensors.torch import load_file
import torch
from torch import Tensor
from training import features, loop
from training.__main__ import command_of, CONFIGS, main, parse, read_settings, RECIPES
from training.augmentations import Augmenter, Batch, draw_batch
from training.batches import batches, workers
from training.chance import Chance
from training.datasets import read_pairs
from training.run import prepare, Run

SETS = 'roadscene/train.txt, m3svd_frames, m3svd_video@3'
COMMON = (
    'steps=4',
    'epoch_steps=2',
    'batch=2',
    f'train_sets={SETS}',
    'augmentation.crop=32',
    'device=cpu',
)
STUDENT = ('model.width=4', 'model.depth=2', 'model.dilations=', 'augmentation.crop=48', 'init=')
TINY = {
    'mgfusion': ('model.channels=4', 'model.heads=2', 'model.decoder_blocks=1'),
    'ldfusion': (
        'model.width=2',
        'model.hidden=32',
        'language.every=1',
        'language.crops=1',
        'language.patches=2',
        'language.least_bits=0.5',
    ),
    'clipfusion': (
        'model.width=2',
        'augmentation.crop=40',
        'round_steps=2',
        'loss.content_steps=1',
        'loss.every=1',
        'loss.crops=1',
        'loss.patches=1',
        'loss.least_bits=0.5',
        'prompts.crops=8',
        'prompts.hidden=4',
        'prompts.iterations=3',
        'prompts.tune_iterations=2',
    ),
    'textfusion': ('model.channels=4', 'model.text_hidden=4', 'model.blocks=1'),
    'student': STUDENT,
    'student_distilled': (
        *STUDENT,
        'teacher.model=student',
        'teacher.hold=0.0',
        'teacher.perceptual=0.1',
        'language.scale=1.0',
        'language.every=1',
        'language.crops=1',
        'language.patches=1',
        'language.least_bits=0.5',
    ),
    'student_guided': (*STUDENT, 'guidance_dropout=0.5'),
    'student_told': (*STUDENT, 'guidance_dropout=0.5', 'model.guided_by=text_features'),
}
# Groups of settings that name a CLIP, and settings of the length of its features.
CLIPS = {
    'mgfusion': ('features.clip', 'model.clip_features'),
    'ldfusion': ('language.clip', None),
    'clipfusion': ('clip', None),
    'textfusion': ('features.clip', 'model.text_features'),
    'student_distilled': ('language.clip', None),
    'student_guided': ('features.clip', 'model.guidance_features'),
    'student_told': ('features.clip', 'model.guidance_features'),
}
# Variants without a configuration of their own.
FILES = {'student_told': 'student_guided'}


@pytest.fixture(autouse=True)
def fresh_accelerate() -> None:
    """Let each test begin as a process does."""
    forget_precision()


def forget_precision() -> None:
    """Forget accelerate's precision: a process has one, a test session several."""
    AcceleratorState._reset_state(reset_partial_state=True)
    GradientState._reset_state()


@pytest.fixture(scope='module')
def bank(deep_clip: ClipSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('bank') / 'bank.safetensors'
    names = ('road', 'car', 'tree')
    EmbeddingBank(names, torch.eye(3, 16), deep_clip.name).save(path)
    return path


def tiny(config: str, folder: Path, clip: ClipSettings, bank: Path, *more: str) -> list[str]:
    """Return the overrides that make a configuration small."""
    overrides = [*COMMON, *TINY[config], f'run_dir={folder}']
    if config in CLIPS:
        group, length = CLIPS[config]
        overrides += [
            f'{group}.name={clip.name}',
            f'{group}.pretrained=',
            f'{group}.file={clip.file}',
        ]
        overrides += [f'{length}=16'] if length else []
        overrides += [f'features.file={folder}/features.safetensors'] if length else []
    if config in ('textfusion', 'student_told'):
        overrides.append(f'bank={bank}')
    return [*overrides, *more]


def recipe_name(config: str) -> str:
    return config.partition('_')[0]


def settings_of(config: str, *arguments: object) -> object:
    path = CONFIGS / f'{FILES.get(config, config)}.yaml'
    return read_settings(recipe_name(config), path, tiny(config, *arguments))


def train(config: str, *arguments: object) -> None:
    settings = settings_of(config, *arguments)
    recipe = RECIPES[recipe_name(config)]
    recipe.train(settings, f'python3 -m training {recipe_name(config)}')


@pytest.mark.parametrize('path', sorted(CONFIGS.glob('*.yaml')), ids=lambda path: path.stem)
def test_every_configuration_is_one_of_a_recipe(path: Path) -> None:
    recipe = recipe_name(path.stem)
    settings = read_settings(recipe, path, [])
    assert isinstance(settings, RECIPES[recipe].RecipeSettings)
    header = '\n'.join(line for line in path.read_text().splitlines() if line.startswith('#'))
    for word in ('Data:', 'Command:', 'Time:', 'Figures:'):
        assert word in header
    assert not {'TIME', 'FIGURES', 'TODO'} & set(header.split())


def test_every_recipe_has_a_configuration() -> None:
    assert {path.stem for path in CONFIGS.glob('*.yaml')} >= set(RECIPES)


def test_an_override_changes_one_setting() -> None:
    settings = read_settings('student', None, ['fidelity.ssim=0.25', 'steps=7'])
    assert settings.fidelity.ssim == 0.25
    assert settings.steps == 7
    assert settings.batch == read_settings('student', None, []).batch


def test_an_override_may_be_empty() -> None:
    settings = read_settings('mgfusion', None, ['features.clip.pretrained='])
    assert settings.features.clip.pretrained == ''


@pytest.mark.parametrize(('text', 'rate'), [('1e-3', 0.001), ('0.5', 0.5), ('2', 2.0)])
def test_a_number_may_be_written_as_one_likes(text: str, rate: float) -> None:
    assert read_settings('student', None, [f'learning_rate={text}']).learning_rate == rate


def test_a_run_may_start_with_the_weights_of_a_checkpoint() -> None:
    settings = read_settings('student', None, ['init=student'])
    started = RECIPES['student'].Recipe(settings).network.state_dict()
    shipped = load_checkpoint(resolve('student')).model.state_dict()
    assert all(torch.equal(value, shipped[name]) for name, value in started.items())


def test_a_guided_student_may_start_as_the_plain_one() -> None:
    settings = read_settings('student', CONFIGS / 'student_guided.yaml', ['init=student'])
    started = RECIPES['student'].Recipe(settings).network.state_dict()
    shipped = load_checkpoint(resolve('student')).model.state_dict()
    added = {name for name in started if name not in shipped}
    assert {name.partition('.')[0] for name in added} == {'film'}
    assert all(torch.equal(started[name], value) for name, value in shipped.items())


def test_a_start_from_another_network_is_refused() -> None:
    settings = read_settings('student', None, ['init=student', 'model.width=8'])
    with pytest.raises(ConfigError, match=r"init='student' is a student of .*width.*: 32"):
        RECIPES['student'].Recipe(settings)


def test_a_value_that_is_no_yaml_is_named() -> None:
    with pytest.raises(ConfigError, match=r"override value '\[' is not valid YAML"):
        read_settings('student', None, ['steps=['])


def test_the_command_of_a_run_can_be_typed_again() -> None:
    words = ['student', 'steps=5', '--config', 'x y.yaml', 'train_sets=a, b']
    command = command_of(parse(words))
    assert command == "python3 -m training student --config 'x y.yaml' steps=5 'train_sets=a, b'"
    assert command_of(parse(shlex.split(command)[3:])) == command


def test_rounds_must_end_with_epochs() -> None:
    with pytest.raises(ConfigError, match=r'round_steps \(2100\) must be a multiple'):
        read_settings('clipfusion', None, ['epoch_steps=500'])


def test_a_teacher_wants_the_pairs_as_they_are() -> None:
    with pytest.raises(ConfigError, match='augmentation.gamma_share must be 0'):
        read_settings(
            'student',
            CONFIGS / 'student_distilled.yaml',
            ['teacher.model=student', 'augmentation.gamma_share=0.5'],
        )


def test_consistency_is_one_of_blocks() -> None:
    with pytest.raises(ConfigError, match='consistency needs blocks of pixels'):
        read_settings('student', None, ['consistency=1', 'model.factor=1'])


def test_consistency_is_nothing_where_no_block_matters() -> None:
    """Of a pixel-wise network; of one that gives each block its first pixel it is something."""
    settings = read_settings('student', None, ['init='])
    recipe = RECIPES['student'].Recipe(settings)
    vis = torch.rand(2, 3, 48, 48, generator=torch.Generator().manual_seed(0))
    batch = Batch(vis, vis[:, :1], vis, vis[:, :1], None, ('a', 'b'))

    def first_of_block(vis_y: Tensor, ir: Tensor) -> Tensor:
        small = torch.maximum(vis_y, ir)[..., ::4, ::4]
        blocks = small.repeat_interleave(4, -1).repeat_interleave(4, -2)
        return blocks[..., : ir.shape[-2], : ir.shape[-1]]

    for step in range(3):
        of = partial(recipe.losses, batch=batch, step=step, chance=Chance(step))
        assert of(torch.maximum)['consistency'].item() == 0
        assert of(first_of_block)['consistency'].item() > 1


def test_a_loss_that_is_no_number_ends_the_run(
    data: Path, tmp_path: Path, deep_clip: ClipSettings, bank: Path
) -> None:
    with pytest.raises(FusionError, match='the loss is nan'):
        train('student', tmp_path, deep_clip, bank, 'learning_rate=1e30', 'warmup_steps=1')
    assert not (tmp_path / 'student.safetensors').exists()


def test_a_mistyped_override_is_named_with_the_nearest_setting() -> None:
    with pytest.raises(ConfigError, match=r"'fidelity.sim', did you mean 'fidelity.ssim'\?"):
        read_settings('student', None, ['fidelity.sim=1'])


def test_an_override_without_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="override 'steps' must have the form key=value"):
        read_settings('student', None, ['steps'])


@pytest.mark.parametrize('config', TINY)
def test_a_dry_run_succeeds_and_leaves_nothing(
    config: str,
    data: Path,
    deep_clip: ClipSettings,
    bank: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    overrides = [
        text
        for text in tiny(config, tmp_path / 'run', deep_clip, bank)
        if not text.startswith(('steps', 'epoch', 'round', 'run_dir', 'features.file'))
    ]
    path = str(CONFIGS / f'{FILES.get(config, config)}.yaml')
    assert main([recipe_name(config), '--config', path, *overrides, '--dry-run']) == 0
    assert not list(tmp_path.iterdir())


def test_without_data_the_command_says_what_to_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv('IR_VIS_FUSION_DATA', raising=False)
    assert main(['student', '--dry-run']) == 1
    assert 'IR_VIS_FUSION_DATA is not set' in capsys.readouterr().err


def test_the_network_may_compute_in_bfloat16(
    data: Path, tmp_path: Path, deep_clip: ClipSettings, bank: Path
) -> None:
    train('student', tmp_path, deep_clip, bank, 'mixed_precision=bf16')
    checkpoint = load_checkpoint(tmp_path / 'student.safetensors')
    assert {value.dtype for value in checkpoint.model.state_dict().values()} == {torch.float32}
    assert checkpoint.provenance['settings']['mixed_precision'] == 'bf16'


@pytest.fixture(scope='module')
def finished(
    image_sets: Path,
    deep_clip: ClipSettings,
    bank: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """Train a student without a stop; return the folder of the run."""
    forget_precision()
    folder = tmp_path_factory.mktemp('run')
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv('IR_VIS_FUSION_DATA', str(image_sets))
        train('student', folder, deep_clip, bank)
    return folder


def test_a_run_leaves_checkpoints_strips_and_logs(finished: Path) -> None:
    names = {path.name for path in finished.iterdir()}
    assert {'student.safetensors', 'best.safetensors', 'state.safetensors'} <= names
    assert {'strip_000002.png', 'strip_000004.png'} <= names
    assert any((finished / 'board').glob('events.out.tfevents*'))


def test_the_finished_checkpoint_says_how_it_was_made(finished: Path) -> None:
    checkpoint = load_checkpoint(finished / 'student.safetensors')
    assert checkpoint.config == {
        'width': 4,
        'factor': 4,
        'depth': 2,
        'dilations': [],
        'first_side': 1,
        'last_side': 1,
        'context': 32,
        'guidance_features': 0,
        'guided_by': 'vis_features',
    }
    assert checkpoint.preprocessing['luma'] == 'BT.601 full range'
    assert checkpoint.provenance['command'] == 'python3 -m training student'
    assert checkpoint.provenance['settings']['steps'] == 4
    assert checkpoint.provenance['data'] == SETS
    assert set(checkpoint.provenance['metrics']) == {'roadscene', 'msrs_val'}
    assert set(checkpoint.provenance['metrics']['msrs_val']) == {
        'qabf',
        'vif',
        'ssim',
        'scd',
        'nabf',
    }


@pytest.mark.parametrize('config', TINY)
def test_a_stopped_run_goes_on_to_the_very_same_weights(
    config: str,
    data: Path,
    deep_clip: ClipSettings,
    bank: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, stopped = tmp_path / 'whole', tmp_path / 'stopped'
    train(config, whole, deep_clip, bank)
    finish_epoch = loop.finish_epoch

    def stop_after_one_epoch(run: Run, *arguments: object) -> None:
        finish_epoch(run, *arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as stopping:
        stopping.setattr(loop, 'finish_epoch', stop_after_one_epoch)
        with pytest.raises(KeyboardInterrupt):
            train(config, stopped, deep_clip, bank)
    half = load_file(stopped / 'state.safetensors')
    train(config, stopped, deep_clip, bank)
    one, other = (load_file(run / 'state.safetensors') for run in (whole, stopped))
    assert one.keys() == other.keys()
    assert all(torch.equal(value, other[key]) for key, value in one.items())
    assert any(not torch.equal(value, one[key]) for key, value in half.items())


def test_a_run_is_not_taken_up_with_other_settings(
    finished: Path, data: Path, deep_clip: ClipSettings, bank: Path
) -> None:
    with pytest.raises(ConfigError, match=r'holds a run with other settings \(seed\)'):
        train('student', finished, deep_clip, bank, 'seed=1')


def test_crops_are_the_same_whoever_draws_them(
    data: Path, tmp_path: Path, deep_clip: ClipSettings, bank: Path
) -> None:
    keys = [(3, 0), (4, 0), (5, 1)]
    drawn = []
    for count in (0, 2):
        settings = settings_of('student', tmp_path, deep_clip, bank, f'workers={count}')
        recipe = RECIPES['student'].Recipe(settings)
        run = prepare(recipe, '', *read_pairs(data, settings.train_sets), {})
        drawn.append(list(batches(run, keys)))
    assert len(drawn[0]) == len(drawn[1]) == len(keys)
    for alone, ahead in zip(*drawn, strict=True):
        assert alone.names == ahead.names
        for name in ('vis', 'ir', 'clean_vis', 'clean_ir'):
            assert torch.equal(getattr(alone, name), getattr(ahead, name))
    assert not torch.equal(drawn[0][0].vis, drawn[0][1].vis)


def test_nobody_but_the_loop_draws_on_a_cpu(
    tmp_path: Path, deep_clip: ClipSettings, bank: Path
) -> None:
    settings = settings_of('student', tmp_path, deep_clip, bank)
    assert workers(settings, 'cpu') == 0
    cores = len(os.sched_getaffinity(0))
    assert workers(settings, 'cuda') == max(1, cores - 1)
    assert workers(settings, 'cuda', processes=cores) == 1
    assert workers(settings_of('student', tmp_path, deep_clip, bank, 'workers=3'), 'cpu') == 3


def test_a_damaged_state_is_named(
    data: Path, tmp_path: Path, deep_clip: ClipSettings, bank: Path
) -> None:
    (tmp_path / 'state.safetensors').write_bytes(b'nothing')
    with pytest.raises(CheckpointError, match='cannot be taken up again .* remove it'):
        train('student', tmp_path, deep_clip, bank)


@pytest.mark.parametrize('config', TINY)
def test_gradients_reach_every_weight_of_the_network_and_none_of_clip(
    config: str, data: Path, deep_clip: ClipSettings, bank: Path, tmp_path: Path
) -> None:
    settings = settings_of(config, tmp_path, deep_clip, bank)
    recipe = RECIPES[recipe_name(config)].Recipe(settings)
    cpu = torch.device('cpu')
    pairs, weights = read_pairs(data, settings.train_sets)
    pairs = recipe.start(cpu, pairs)
    augment = Augmenter(settings.augmentation, settings.thermal)
    # Layers that start as zeros pass gradients to those before them from the second step on.
    optimizer = torch.optim.SGD(recipe.network.parameters(), lr=0.1)
    reached = set()
    for step in range(1, 5):
        chance = Chance(step)
        batch = draw_batch(pairs, weights, 4, augment, chance, cpu)
        losses = recipe.losses(recipe.network.train(), batch, step, chance)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        reached |= {
            name
            for name, weight in recipe.network.named_parameters()
            if weight.grad is not None and weight.grad.any()
        }
        optimizer.step()
    assert reached == {name for name, _ in recipe.network.named_parameters()}
    clip = next((value for value in vars(recipe).values() if hasattr(value, '_tower')), None)
    language = getattr(recipe, '_language', None)
    clip = language._clip if language else clip
    if clip is not None and clip._tower is not None:
        assert all(weight.grad is None for weight in clip._tower.parameters())


def test_the_anchor_alone_needs_no_clip(
    data: Path, tmp_path: Path, deep_clip: ClipSettings, bank: Path
) -> None:
    nothing = ('language.clip.file=', 'language.scale=0')
    train('ldfusion', tmp_path, deep_clip, bank, *nothing)
    assert (tmp_path / 'ldfusion.safetensors').is_file()


def test_clipfusion_writes_its_prompts_as_a_bank(
    data: Path, tmp_path: Path, deep_clip: ClipSettings, bank: Path
) -> None:
    train('clipfusion', tmp_path, deep_clip, bank)
    prompts = EmbeddingBank.load(tmp_path / 'prompts.safetensors')
    assert prompts.names == ('ir', 'vi', 'fu')
    assert prompts.clip == deep_clip.name
    assert torch.allclose(prompts.vectors.norm(dim=1), torch.ones(3), atol=1e-5)


def test_textfusion_asks_for_a_bank(
    data: Path, tmp_path: Path, deep_clip: ClipSettings, bank: Path
) -> None:
    with pytest.raises(ConfigError, match='set bank=FILE.*or text_dropout=1'):
        train('textfusion', tmp_path, deep_clip, bank, 'bank=')


def test_guided_networks_train_from_cached_features_without_clip(
    data: Path, tmp_path: Path, deep_clip: ClipSettings, bank: Path
) -> None:
    file = f'{tmp_path}/features.safetensors'
    clip = [f'features.clip.name={deep_clip.name}', 'features.clip.pretrained=']
    sets = [f'train_sets={SETS}', 'validation_sets=roadscene/val.txt, msrs_val', 'device=cpu']
    given = [f'features.clip.file={deep_clip.file}', f'features.file={file}']
    assert main(['cache-features', *sets, *clip, *given]) == 0
    train('mgfusion', tmp_path, deep_clip, bank, 'features.clip.file=')
    checkpoint = load_checkpoint(tmp_path / 'mgfusion.safetensors')
    assert checkpoint.preprocessing['clip'] == {'name': deep_clip.name}


def test_a_missing_feature_is_named_where_there_is_no_clip(
    data: Path, tmp_path: Path, deep_clip: ClipSettings, bank: Path
) -> None:
    with pytest.raises(GuidanceError, match='lacks features of an image.*cache-features'):
        train('mgfusion', tmp_path, deep_clip, bank, 'features.clip.file=')


def test_features_of_another_clip_are_refused(tmp_path: Path, deep_clip: ClipSettings) -> None:
    file = str(tmp_path / 'features.safetensors')
    cache = features.FeatureCache(features.FeatureSettings(file, deep_clip))
    cache(torch.rand(1, 1, 40, 40))
    cache.save()
    with pytest.raises(GuidanceError, match='holds features of tiny-deep, asked for is RN50'):
        features.FeatureCache(features.FeatureSettings(file, ClipSettings('RN50')))
    other = ClipSettings(deep_clip.name, pretrained='other')
    with pytest.raises(GuidanceError, match='weights tiny-deep.safetensors, asked for is other'):
        features.FeatureCache(features.FeatureSettings(file, other))


def test_features_of_another_length_are_named(
    data: Path, tmp_path: Path, deep_clip: ClipSettings, bank: Path
) -> None:
    with pytest.raises(GuidanceError, match='features of 16 numbers, the network takes 24'):
        train('mgfusion', tmp_path, deep_clip, bank, 'model.clip_features=24')


def test_cached_features_are_those_of_the_tower(tmp_path: Path, deep_clip: ClipSettings) -> None:
    file = str(tmp_path / 'features.safetensors')
    image = torch.randint(0, 256, (1, 3, 40, 50)) / 255
    cache = features.FeatureCache(features.FeatureSettings(file, deep_clip))
    seen = cache(image)
    cache.save()
    without = ClipSettings(deep_clip.name)
    again = features.FeatureCache(features.FeatureSettings(file, without))(image)
    assert torch.equal(seen, again)
    assert seen.norm(dim=1).item() == pytest.approx(1.0, abs=1e-5)


def test_finished_weights_may_be_written_in_half_the_bytes(
    data: Path, tmp_path: Path, deep_clip: ClipSettings, bank: Path
) -> None:
    train('student', tmp_path, deep_clip, bank, 'half_weights=true')
    final = load_file(tmp_path / 'student.safetensors')
    assert {value.dtype for value in final.values()} == {torch.float16}
    network = load_checkpoint(tmp_path / 'best.safetensors').model
    network.round_weights()
    best = network.state_dict()
    assert all(torch.equal(value.half(), final[key]) for key, value in best.items())
    model = load_checkpoint(tmp_path / 'student.safetensors').model
    assert {value.dtype for value in model.state_dict().values()} == {torch.float32}


def test_two_processes_train_together(
    image_sets: Path, tmp_path: Path, deep_clip: ClipSettings, bank: Path
) -> None:
    launch = [sys.executable, '-m', 'torch.distributed.run', '--standalone']
    launch += ['--nproc_per_node', '2', '-m', 'training', 'student']
    overrides = tiny('student', tmp_path / 'run', deep_clip, bank)
    environment = os.environ | {
        'IR_VIS_FUSION_DATA': str(image_sets),
        'PYTHONPATH': str(CONFIGS.parents[1]),
        'OMP_NUM_THREADS': '1',
    }
    done = subprocess.run(
        [*launch, *overrides],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=480,
    )
    assert done.returncode == 0, done.stderr
    checkpoint = load_checkpoint(tmp_path / 'run' / 'student.safetensors')
    state = tmp_path / 'run' / 'state.safetensors'
    with safe_open(state, framework='pt') as file:
        facts = json.loads(file.metadata()['facts'])
    assert facts['settings']['processes'] == 2
    assert checkpoint.provenance['steps'] in (2, 4)
    assert done.stdout.count('wrote') + done.stderr.count('wrote') == 1
