"""``ivf evaluate``: rows, files and the table."""

import json
import os
from pathlib import Path

import cv2
from ir_vis_fusion.cli.main import main
from ir_vis_fusion.cli.methods import named
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation.baselines import BASELINES, laplacian
from ir_vis_fusion.evaluation.comparison import SHORT, table_rows
from ir_vis_fusion.evaluation.evaluate import evaluate
from ir_vis_fusion.evaluation.image_sets import list_pairs, Pairs, read_sources
from ir_vis_fusion.evaluation.markdown import markers
from ir_vis_fusion.evaluation.measures import MEASURES
from ir_vis_fusion.evaluation.methods import folder_method, trivial_methods
from ir_vis_fusion.preprocessing.encodings import write_image
import numpy as np
import pytest
import torch
from torch import Tensor

DATA = os.environ.get('IR_VIS_FUSION_DATA', '')
REFERENCE = Path(DATA).parent / 'reference'


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    """Write two pairs of grey pictures, 48x56."""
    random = np.random.default_rng(0)
    for role in ('ir', 'vi'):
        (tmp_path / role).mkdir()
        for stem in ('a', 'b'):
            image = random.integers(0, 255, (48, 56), dtype=np.uint8)
            write_image(tmp_path / role / f'{stem}.png', image)
    return list_pairs(tmp_path / 'ir', tmp_path / 'vi')


def noise(height: int, width: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, (1, 1, height, width), generator=generator).double()


def laplacian_by_opencv(ir: np.ndarray, vis_y: np.ndarray) -> np.ndarray:
    pyramids = []
    for image in (ir, vis_y):
        levels = [image]
        for _ in range(5):
            levels.append(cv2.pyrDown(levels[-1]))
        sizes = [level.shape[::-1] for level in levels]
        larger = [cv2.pyrUp(levels[i + 1], dstsize=sizes[i]) for i in range(5)]
        pyramids.append([levels[i] - larger[i] for i in range(5)] + [levels[5]])
    fused = (pyramids[0][5] + pyramids[1][5]) / 2
    for a, b in zip(pyramids[0][4::-1], pyramids[1][4::-1], strict=True):
        fused = cv2.pyrUp(fused, dstsize=a.shape[::-1]) + np.where(abs(a) > abs(b), a, b)
    return fused


@pytest.mark.parametrize('size', [(64, 96), (101, 67), (33, 34)])
def test_the_laplacian_pyramid_is_that_of_opencv(size: tuple[int, int]) -> None:
    ir, vis_y = noise(*size, 1), noise(*size, 2)
    expected = laplacian_by_opencv(ir[0, 0].numpy(), vis_y[0, 0].numpy())
    np.testing.assert_allclose(laplacian(ir, vis_y)[0, 0], expected, atol=1e-9)


def test_a_laplacian_pyramid_of_equal_images_is_the_image() -> None:
    image = noise(50, 61, 3)
    torch.testing.assert_close(laplacian(image, image), image)


def test_the_trivial_rows_are_what_their_names_say() -> None:
    ir, vis_y = torch.full((1, 1, 40, 40), 10.0), torch.full((1, 1, 40, 40), 25.0)
    values = {name: rule(ir, vis_y).unique().item() for name, rule in BASELINES.items()}
    assert values == {'visible': 25, 'infrared': 10, 'mean': 17.5, 'max': 25, 'laplacian': 17.5}


def test_trivial_rows_are_measured_as_8_bit_files_hold_them() -> None:
    ir, vis_y = torch.full((1, 1, 40, 40), 10.0), torch.full((1, 1, 40, 40), 25.0)
    assert trivial_methods()['mean'].fuse('', ir, vis_y).unique().item() == 18


def test_results_hold_means_of_the_images_and_null_where_undefined(pairs: Pairs) -> None:
    results = evaluate(pairs, trivial_methods())
    assert list(results['methods']) == ['visible', 'infrared', 'mean', 'max', 'laplacian']
    for method in results['methods'].values():
        assert list(method['per_image']) == ['a', 'b']
        values = [method['per_image'][stem]['EN'] for stem in ('a', 'b')]
        assert method['mean']['EN'] == pytest.approx(sum(values) / 2)
        assert method['ci95']['EN'] == pytest.approx(sorted(values))
    visible = results['methods']['visible']
    assert visible['mean']['SCD'] is None
    assert visible['undefined'] == {'SCD': 2, 'MS-SSIM': 2}
    assert visible['per_image']['a']['SCD'] is None
    assert results['methods']['mean']['undefined'] == {'MS-SSIM': 2}
    json.dumps(results, allow_nan=False)


def test_a_copy_of_one_source_has_half_the_error_between_the_sources(pairs: Pairs) -> None:
    results = evaluate(pairs, trivial_methods())
    ir, vis_y = read_sources(*pairs['a'])
    expected = ((ir - vis_y) ** 2).mean().item() / 2
    for name in ('visible', 'infrared', 'max'):
        assert results['methods'][name]['per_image']['a']['MSE'] == pytest.approx(expected)


def test_stretching_is_asked_for_and_recorded(pairs: Pairs, tmp_path: Path) -> None:
    (tmp_path / 'fused').mkdir()
    for stem in pairs:
        image = np.resize(np.array([100, 110], np.uint8), (48, 56))
        write_image(tmp_path / 'fused' / f'{stem}.png', image)
    methods = {'mine': folder_method(tmp_path / 'fused', pairs)}
    plain, stretched = evaluate(pairs, methods), evaluate(pairs, methods, stretch=True)
    assert plain['methods']['mine']['mean']['SD'] == pytest.approx(5.0)
    assert stretched['methods']['mine']['mean']['SD'] == pytest.approx(127.5)
    assert plain['configuration']['stretch'] is False
    assert stretched['configuration']['stretch'] is True


def test_the_infrared_of_another_size_and_depth_is_what_the_network_gets(tmp_path: Path) -> None:
    ramp = np.linspace(29_000, 31_000, 48 * 56).reshape(48, 56).astype(np.uint16)
    write_image(tmp_path / 'ir.png', ramp)
    write_image(tmp_path / 'vi.png', np.zeros((96, 112, 3), np.uint8))
    ir, vis_y = read_sources(tmp_path / 'ir.png', tmp_path / 'vi.png')
    assert ir.shape == vis_y.shape == (1, 1, 96, 112)
    assert (ir.min().item(), ir.max().item()) == (0.0, 255.0)
    assert (ir == ir.round()).all()


def test_a_list_chooses_images_with_or_without_suffix(pairs: Pairs, tmp_path: Path) -> None:
    folders = tmp_path / 'ir', tmp_path / 'vi'
    listing = tmp_path / 'val.txt'
    listing.write_text('b.png\n\nb\n')
    assert list(list_pairs(*folders, listing)) == ['b']
    listing.write_text('b\nFLIR_0.5\n')
    with pytest.raises(EvaluationError, match=r"ir': 1 of 2 images are missing: FLIR_0\.5"):
        list_pairs(*folders, listing)
    listing.write_text('\n')
    with pytest.raises(EvaluationError, match='names no images'):
        list_pairs(*folders, listing)


def test_an_image_without_a_partner_is_named(pairs: Pairs, tmp_path: Path) -> None:
    (tmp_path / 'vi' / 'a.png').unlink()
    with pytest.raises(EvaluationError, match=r"vi': 1 of 2 images are missing: a; "):
        list_pairs(tmp_path / 'ir', tmp_path / 'vi')


def test_fused_images_must_be_complete_and_of_the_size_of_the_visible_ones(
    pairs: Pairs, tmp_path: Path
) -> None:
    folder = tmp_path / 'others'
    with pytest.raises(EvaluationError, match='no such folder'):
        folder_method(folder, pairs)
    folder.mkdir()
    write_image(folder / 'a.png', np.zeros((48, 50), np.uint8))
    with pytest.raises(EvaluationError, match='1 of 2 images are missing: b'):
        folder_method(folder, pairs)
    write_image(folder / 'b.png', np.zeros((48, 50), np.uint8))
    with pytest.raises(EvaluationError, match='is 50x48, the visible image 56x48'):
        evaluate(pairs, {'others': folder_method(folder, pairs)})


def test_images_that_are_too_small_are_refused(tmp_path: Path) -> None:
    for role in ('ir', 'vi'):
        (tmp_path / role).mkdir()
        write_image(tmp_path / role / 'a.png', np.zeros((40, 90), np.uint8))
    with pytest.raises(EvaluationError, match='a side below 41 pixels'):
        evaluate(list_pairs(tmp_path / 'ir', tmp_path / 'vi'), trivial_methods())


def row(kind: str, value: float | None) -> dict:
    values = dict.fromkeys(MEASURES, value)
    return {'kind': kind, 'mean': values, 'median': values}


def test_best_and_second_are_marked_and_so_is_what_beats_it_without_being_one() -> None:
    """Trivial rows are no candidates; lower is better for Nabf, and equal print is equal."""
    methods = {
        'visible': row('trivial', None),
        'max': row('trivial', 3.0),
        'ours': row('model', 2.00001),
        'theirs': row('folder', 2.00002),
        'worst': row('folder', 1.0),
    }
    heading, *rows = table_rows(methods)
    columns = dict(zip(heading, zip(*rows, strict=True), strict=True))
    assert columns['VIF'] == ('-', '3.000!', '2.000*', '2.000*', '1.000+')
    assert columns['Nabf'] == ('-', '3.000', '2.000+', '2.000+', '1.000*')
    assert columns['Qcv median'] == ('-', '3.0', '2.0', '2.0', '1.0')


def test_of_two_methods_none_is_called_the_second() -> None:
    rows = table_rows({'ours': row('model', 2.0), 'theirs': row('folder', 1.0)})
    assert rows[1][1].endswith('*')
    assert not any('+' in cell for line in rows for cell in line)


def test_a_single_method_is_not_called_the_best() -> None:
    rows = table_rows({'max': row('trivial', 1.0), 'ours': row('model', 2.0)})
    assert not any('*' in cell for line in rows for cell in line)


def test_the_command_measures_models_and_folders_and_writes_all_of_it(
    pairs: Pairs, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / 'results' / 'all.json'
    arguments = ['--thermal', str(tmp_path / 'ir'), '--visible', str(tmp_path / 'vi')]
    page = tmp_path / 'page.md'
    begin, end = markers('evaluate')
    page.write_text(f'before\n{begin}\nold\n{end}\nafter\n')
    options = [*arguments, '--device', 'cpu', '--json', str(out), '--markdown', str(page)]
    folder = f'copy={tmp_path / "vi"}'
    assert main(['evaluate', *options, '--fused', folder, '--model', 'student']) == 0
    printed = capsys.readouterr().out
    results = json.loads(out.read_text())
    assert list(results['methods'])[5:] == ['copy', 'student']
    assert results['methods']['copy']['mean'] == results['methods']['visible']['mean']
    student = results['methods']['student']
    assert len(student['sha256']) == 64
    assert (out.parent / 'all_fused' / 'student' / 'a.png').is_file()
    assert f'{student["mean"]["VIF"]:.3f}' in printed
    assert results['configuration']['metrics']['MI']['variant'].startswith('nats')
    lines = page.read_text().splitlines()
    assert lines[:3] == ['before', begin, f'| method | {" | ".join(SHORT)} |']
    assert lines[-2:] == [end, 'after']
    mean = student['mean']
    assert lines[-3].startswith(f'| student | {mean["Qabf"]:.3f} | {mean["VIF"]:.3f} | ')
    with pytest.raises(SystemExit):
        main(['evaluate', *arguments])


def test_a_page_without_markers_is_refused_before_the_work(
    pairs: Pairs, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    page, out = tmp_path / 'page.md', tmp_path / 'x.json'
    page.write_text('nothing')
    options = ['--thermal', str(tmp_path / 'ir'), '--visible', str(tmp_path / 'vi')]
    options += ['--json', str(out), '--markdown']
    for file, told in ((page, 'no <!-- evaluate --> '), (tmp_path / 'none.md', 'cannot be read')):
        assert main(['evaluate', *options, str(file)]) == 1
        assert told in capsys.readouterr().err
    assert not out.exists()
    assert page.read_text() == 'nothing'


def test_names_must_differ(pairs: Pairs, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folders = ['--thermal', str(tmp_path / 'ir'), '--visible', str(tmp_path / 'vi')]
    options = [*folders, '--json', str(tmp_path / 'x.json'), '--fused']
    assert main(['evaluate', *options, f'mean={tmp_path}']) == 1
    assert "the name 'mean' is taken; give another: NAME=" in capsys.readouterr().err
    assert main(['evaluate', *options, str(tmp_path / 'lr=1' / 'mean')]) == 1
    assert f"the name 'mean' is taken; give another: NAME={tmp_path}" in capsys.readouterr().err
    assert not (tmp_path / 'x.json').exists()


@pytest.mark.parametrize(
    ('argument', 'name'),
    [
        ('others/FILM_v1.5', 'FILM_v1.5'),
        ('others/FILM/', 'FILM'),
        ('runs/best.safetensors', 'best'),
        ('student', 'student'),
        ('runs/scale=0.5/last.safetensors', 'last'),
        ('mine=runs/best.safetensors', 'mine'),
    ],
)
def test_a_method_is_named_after_its_folder_or_file(argument: str, name: str) -> None:
    assert list(named([argument], {})) == [(name, argument.removeprefix('mine='))]


@pytest.mark.skipif(not (REFERENCE / 'metrics.json').is_file(), reason='no reference figures')
def test_the_trivial_rows_have_the_reference_figures(tmp_path: Path) -> None:
    (tmp_path / 'list.txt').write_text('00571D')
    folders = (Path(DATA) / 'msrs_val' / role for role in ('ir', 'vi'))
    results = evaluate(list_pairs(*folders, tmp_path / 'list.txt'), trivial_methods())
    reference = json.loads((REFERENCE / 'metrics.json').read_text())['values']
    for name in ('mean', 'max', 'laplacian'):
        mean = results['methods'][name]['mean']
        for metric, expected in reference[f'00571D_{name}'].items():
            assert mean[metric] == pytest.approx(expected, rel=1e-3, abs=0.0), (name, metric)
