"""``ivf detect-eval``: labels, class maps, precision and the files it leaves."""

import json
import os
from pathlib import Path
from typing import Any

from ir_vis_fusion.cli.main import main
from ir_vis_fusion.config import read_yaml
from ir_vis_fusion.errors import ConfigError, EvaluationError
from ir_vis_fusion.evaluation import detection, detectors
from ir_vis_fusion.evaluation.comparison import BEST, without_marks
from ir_vis_fusion.evaluation.detection import CLASSES, read_classes, read_labels, table_rows
from ir_vis_fusion.evaluation.detectors import Detections
from ir_vis_fusion.evaluation.methods import trivial_methods
from ir_vis_fusion.preprocessing.encodings import write_image
import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[3]
DATA = Path(os.environ.get('IR_VIS_FUSION_DATA', ''))
DETECTOR = DATA.parent / 'models' / 'fastestdet.onnx'
REAL = DETECTOR.is_file() and (DATA / 'msrs_val' / 'labels').is_dir()


class FakeDetector:
    """Finds what is bright: one box a class for the images it is told of."""

    def __init__(self, found: list[Detections]) -> None:
        self.found = iter(found)

    def about(self) -> dict[str, Any]:
        return {'detector': 'fake'}

    def detect(self, image: np.ndarray) -> Detections:
        return next(self.found)


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """Write two pairs of 64x48: a person in a, a person and a car in b."""
    for name in ('ir', 'vi', 'labels'):
        (tmp_path / name).mkdir()
    for stem in ('a', 'b'):
        write_image(tmp_path / 'ir' / f'{stem}.png', np.full((48, 64), 50, np.uint8))
        write_image(tmp_path / 'vi' / f'{stem}.png', np.full((48, 64, 3), 90, np.uint8))
    (tmp_path / 'labels' / 'a.txt').write_text('0 0.5 0.5 0.25 0.5\n')
    (tmp_path / 'labels' / 'b.txt').write_text('0  0.25 0.5 0.25 0.5 \n\n2 0.75 0.5 0.25 0.5\n')
    return tmp_path


def boxes(*found: tuple[float, ...]) -> Detections:
    """Return detections of (left, top, right, bottom, score, class)."""
    rows = np.array(found, float).reshape(-1, 6)
    return Detections(rows[:, :4], rows[:, 4], rows[:, 5].astype(int))


# The labelled boxes in pixels.
A = (24, 12, 40, 36)
B = (8, 12, 24, 36)
CAR = (40, 12, 56, 36)


def run(folders: Path, found: list[Detections], copies: int = 1) -> dict[str, Any]:
    pytest.importorskip('pycocotools', reason='pycocotools is not installed')
    pairs = {
        stem: (folders / 'ir' / f'{stem}.png', folders / 'vi' / f'{stem}.png') for stem in 'ab'
    }
    labels = read_labels(folders / 'labels', pairs, 3)
    methods = {'visible': trivial_methods()['visible']}
    results, _ = detection.evaluate_detection(
        pairs, methods, FakeDetector(found), labels, list(CLASSES), copies
    )
    return results


def test_precision_is_that_of_coco_and_its_mean_is_over_labelled_classes(folders: Path) -> None:
    """
    Persons: found, then a false one, then found: precision 1 to recall 1/2, then 2/3.

    51 of COCO's 101 recall points are at most 1/2. The car is found with an IoU of 3/4, which
    six of the ten thresholds from 0.5 accept.
    """
    found = [
        boxes((*A, 0.9, 0), (0, 0, 9, 9, 0.8, 0)),
        boxes((*B, 0.7, 0), (40, 12, 56, 30, 0.6, 2)),
    ]
    results = run(folders, found)

    visible = results['methods']['visible']
    person = (51 + 50 * 2 / 3) / 101
    assert visible['AP50'] == pytest.approx(
        {'person': person, 'bicycle': None, 'car': 1.0, 'mean': (person + 1) / 2}
    )
    assert visible['mAP']['car'] == pytest.approx(0.6)
    assert visible['mAP']['person'] == pytest.approx(person)
    assert visible['detections'] == 4
    assert results['configuration']['labels'] == {'person': 2, 'bicycle': 0, 'car': 1}


def test_copies_give_mean_and_standard_deviation(folders: Path) -> None:
    """Both persons are found in the pictures, in mirrored ones one of two; the car in both."""
    found = [
        boxes((*A, 0.9, 0)),
        # In the middle: mirrored it stays where it is.
        boxes((*A, 0.9, 0)),
        boxes((*B, 0.7, 0), (*CAR, 0.6, 2)),
        # The car's place and the person's are exchanged.
        boxes((*B, 0.6, 2), (*A, 0.1, 0)),
    ]
    results = run(folders, found, copies=2)

    visible, mirrored = results['methods']['visible'], 51 / 101
    assert visible['AP50']['person'] == pytest.approx((1 + mirrored) / 2)
    assert visible['spread']['AP50']['person'] == pytest.approx((1 - mirrored) / 2**0.5)
    assert visible['AP50']['car'] == pytest.approx(1.0)
    assert visible['spread']['AP50']['car'] == pytest.approx(0.0)
    assert visible['spread']['AP50']['bicycle'] is None
    assert visible['detections'] == 3
    assert results['configuration']['copies'] == 2
    printed = f'{(1 + mirrored) / 2:.3f} ± 0.350'
    assert table_rows(results)[1][1] == printed
    results['methods']['worse'] = visible | {'AP50': dict.fromkeys(visible['AP50'], 0.1)}
    assert table_rows(results)[1][1] == printed + BEST
    assert without_marks(table_rows(results))[1][1] == printed


def test_nothing_found_is_a_precision_of_zero(folders: Path) -> None:
    visible = run(folders, [boxes(), boxes()])['methods']['visible']
    assert visible['AP50'] == {'person': 0.0, 'bicycle': None, 'car': 0.0, 'mean': 0.0}


def test_best_and_second_are_marked_in_the_table() -> None:
    values = {'a': 0.5, 'b': 0.7, 'c': 0.6, 'd': None}
    results = {
        'configuration': {'classes': ['person']},
        'methods': {
            name: {measure: {'person': x, 'mean': x} for measure in ('AP50', 'mAP')}
            for name, x in values.items()
        },
    }
    heading, *rows = table_rows(results)
    assert heading == ['method', 'AP50 person', 'AP50 mean', 'mAP person', 'mAP mean']
    assert [row[1] for row in rows] == ['0.500', '0.700*', '0.600+', '-']


@pytest.mark.parametrize(
    'line', ['0 0.5 0.5 0.2', '3 0.5 0.5 0.2 0.2', '0.5 0.5 0.5 0.2 0.2', '0 320 0.5 9 9', 'car']
)
def test_a_bad_line_of_labels_is_named(folders: Path, line: str) -> None:
    (folders / 'labels' / 'b.txt').write_text(f'0 0.5 0.5 0.1 0.1\n{line}\n')
    with pytest.raises(EvaluationError, match=r'b\.txt., line 2: got .*, expected CLASS X Y'):
        read_labels(folders / 'labels', ['a', 'b'], 3)


def test_each_pair_needs_a_label_file_which_may_be_empty(folders: Path) -> None:
    (folders / 'labels' / 'a.txt').write_text('')
    assert read_labels(folders / 'labels', ['a', 'b'], 3)['a'].shape == (0, 5)
    with pytest.raises(EvaluationError, match='no objects in any file'):
        read_labels(folders / 'labels', ['a'], 3)
    with pytest.raises(EvaluationError, match='1 of 2 images are missing: c'):
        read_labels(folders / 'labels', ['a', 'c'], 3)


def test_the_class_map_that_is_shipped_holds_the_defaults(tmp_path: Path) -> None:
    assert read_yaml(ROOT / 'config' / 'detection.yaml') == CLASSES
    assert read_classes(None) == read_classes(ROOT / 'config' / 'detection.yaml')
    file = tmp_path / 'classes.yaml'
    file.write_text('person: [0]\ncar: [2, 7]\n')
    assert read_classes(file) == {'person': [0], 'car': [2, 7]}
    file.write_text('person: 0\n')
    with pytest.raises(ConfigError, match='person must be a list of class numbers'):
        read_classes(file)
    file.write_text('person: [0]\ncar: [0]\n')
    with pytest.raises(ConfigError, match=r'\[0\] stand for more than one class'):
        read_classes(file)


def test_the_command_writes_figures_and_a_page_with_boxes(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    pytest.importorskip('pycocotools', reason='pycocotools is not installed')
    pytest.importorskip('matplotlib', reason='matplotlib is not installed')
    found = [boxes((*A, 0.9, 0)), boxes((*CAR, 0.8, 2))]
    fake = FakeDetector([one for one in found for _ in range(6)])
    monkeypatch.setattr(detectors, 'Detector', lambda *arguments: fake)
    out = folders / 'out'

    code = main(
        ['detect-eval', '--detector', 'x.onnx', '--labels', str(folders / 'labels')]
        + ['--thermal', str(folders / 'ir'), '--visible', str(folders / 'vi')]
        + ['--model', 'student', '--device', 'cpu']
        + ['--json', str(out / 'd.json'), '--html', str(out / 'd.html')]
    )

    assert code == 0
    results = json.loads((out / 'd.json').read_text())
    assert list(results['methods']) == [*trivial_methods(), 'student']
    assert results['methods']['student']['AP50']['car'] == pytest.approx(1.0)
    assert len(results['methods']['student']['sha256']) == 64
    assert '1.000' in capsys.readouterr().out
    page = (out / 'd.html').read_text()
    data = json.loads(page.partition('id="data">')[2].partition('</script>')[0])
    assert data['boxes']['a']['student'] == [[0, 24.0, 12.0, 16.0, 24.0, 0.9]]
    assert data['truth']['b'] == [[0, 8.0, 12.0, 16.0, 24.0], [2, 40.0, 12.0, 16.0, 24.0]]


def test_models_need_a_place_for_their_images(
    folders: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(detectors, 'Detector', lambda *arguments: None)
    monkeypatch.setattr(detection, 'require_pycocotools', lambda: None)
    arguments = ['--thermal', str(folders / 'ir'), '--visible', str(folders / 'vi')]
    arguments += ['--detector', 'x.onnx', '--labels', str(folders / 'labels')]
    assert main(['detect-eval', *arguments, '--model', 'student']) == 1
    assert '--model needs --out, --json or --html' in capsys.readouterr().err


@pytest.mark.skipif(not REAL, reason='no detector and labelled pairs beside IR_VIS_FUSION_DATA')
def test_the_visible_images_have_the_figures_that_others_counted(tmp_path: Path) -> None:
    """AP50 0.257, 0.050 and 0.396, by a count of FastestDet's boxes with other code."""
    pytest.importorskip('pycocotools', reason='pycocotools is not installed')
    pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
    from ir_vis_fusion.evaluation.image_sets import list_pairs

    pairs = list_pairs(DATA / 'msrs_val' / 'ir', DATA / 'msrs_val' / 'vi')
    labels = read_labels(DATA / 'msrs_val' / 'labels', pairs, 3)
    detector = detectors.Detector(DETECTOR, classes=list(CLASSES.values()))
    methods = {'visible': trivial_methods()['visible']}
    results, _ = detection.evaluate_detection(pairs, methods, detector, labels, list(CLASSES))
    expected = {'person': 0.257, 'bicycle': 0.050, 'car': 0.396, 'mean': 0.234}
    assert results['methods']['visible']['AP50'] == pytest.approx(expected, abs=0.005)
