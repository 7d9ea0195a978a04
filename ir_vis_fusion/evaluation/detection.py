"""How well a detector finds labelled objects in each method's images: ``ivf detect-eval``."""

from collections.abc import Iterable, Mapping, Sequence
import contextlib
import io
import itertools
from pathlib import Path
from typing import Any

from ir_vis_fusion import __version__
from ir_vis_fusion.config import read_yaml
from ir_vis_fusion.errors import ConfigError, EvaluationError
from ir_vis_fusion.evaluation.comparison import ranks
from ir_vis_fusion.evaluation.copies import Copy, draw_copies
from ir_vis_fusion.evaluation.detectors import Detections, Detector
from ir_vis_fusion.evaluation.image_sets import Pairs, require
from ir_vis_fusion.evaluation.methods import Method
import numpy as np
from tqdm import tqdm

# Of a detector trained on COCO; config/detection.yaml holds the same.
CLASSES = {'person': [0], 'bicycle': [1], 'car': [2]}
MEASURES = ('AP50', 'mAP')


def require_pycocotools() -> None:
    """Raise EvaluationError with the remedy where pycocotools is missing."""
    try:
        import pycocotools  # noqa: F401
    except ModuleNotFoundError:
        raise EvaluationError(
            "pycocotools is missing: pip install 'ir_vis_fusion[detect]'"
        ) from None


def read_classes(path: Path | None) -> dict[str, list[int]]:
    """Read a class map: names of the labels' classes, in order, with the detector's numbers."""
    if path is None:
        return CLASSES
    classes = read_yaml(path)
    for name, numbers in classes.items():
        if not isinstance(numbers, list) or not all(type(n) is int for n in numbers):
            raise ConfigError(
                f'{path}: {name} must be a list of class numbers of the detector, got {numbers!r}'
            )
    numbers = [number for group in classes.values() for number in group]
    if twice := sorted({number for number in numbers if numbers.count(number) > 1}):
        raise ConfigError(f'{path}: {twice} stand for more than one class')
    return {str(name): numbers for name, numbers in classes.items()}


def read_labels(folder: Path, stems: Iterable[str], count: int) -> dict[str, np.ndarray]:
    """
    Read YOLO labels: {stem: (N, 5)} with class, centre x, y, width and height of 0-1.

    Raises
    ------
    EvaluationError
        Where a file is missing (one without objects is empty), all are empty, or a line is none
        of ``CLASS X Y WIDTH HEIGHT`` with one of ``count`` classes.

    """
    if not folder.is_dir():
        raise EvaluationError(f'{str(folder)!r}: no such folder')
    files = {file.stem: file for file in folder.glob('*.txt')}
    require(files, stems, folder)
    labels = {stem: _read_boxes(files[stem], count) for stem in stems}
    if not any(map(len, labels.values())):
        raise EvaluationError(f'{str(folder)!r}: no objects in any file, nothing can be measured')
    return labels


def evaluate_detection(
    pairs: Pairs,
    methods: Mapping[str, Method],
    detector: Detector,
    labels: Mapping[str, np.ndarray],
    classes: Sequence[str],
    count: int = 1,
) -> tuple[dict[str, Any], dict[str, dict[str, Detections]]]:
    """
    Run the detector over every method's images, ``count`` mirrored and cropped copies of each.

    Returns
    -------
    tuple
        What goes into the JSON file: ``configuration``, and ``methods`` with ``AP50`` and
        ``mAP`` (COCO's, IoU 0.5 to 0.95) by class and their mean over the classes that have
        labels, each the mean over the copies, with their standard deviations in ``spread``; and
        the detections in the images themselves, by method and stem.

    """
    copies = draw_copies(count)
    found = [{name: {} for name in methods} for _ in copies]
    sizes: dict[str, tuple[int, int]] = {}
    total = len(pairs) * len(methods)
    with tqdm(total=total, unit='image', desc='detecting', disable=None) as bar:
        for stem, files in pairs.items():
            for name, method in methods.items():
                image = method.picture(stem, *files)
                if sizes.setdefault(stem, image.shape[:2]) != image.shape[:2]:
                    raise EvaluationError(f"{name}: {stem!r} is not of the visible image's size")
                for copy, detections in zip(copies, found, strict=True):
                    detections[name][stem] = detector.detect(copy.image(image))
                bar.update()
    truths = [_Truth(copy, labels, sizes, classes) for copy in copies]
    configuration = {
        'ir_vis_fusion': __version__,
        **detector.about(),
        'classes': list(classes),
        'labels': {name: truths[0].counts[i] for i, name in enumerate(classes)},
        'copies': count,
        'precision': 'COCO (pycocotools), 101 points, at most 100 boxes an image',
        'pairs': len(pairs),
    }
    results = {
        name: {
            'kind': method.kind,
            **method.about,
            'detections': sum(len(one.scores) for one in found[0][name].values()),
            **_over_copies([t.score(f[name]) for t, f in zip(truths, found, strict=True)]),
        }
        for name, method in methods.items()
    }
    return {'configuration': configuration, 'methods': results}, found[0]


def table_rows(results: Mapping[str, Any]) -> list[list[str]]:
    """Return a heading and one row a method; best and second of a column marked."""
    methods = results['methods']
    names = [*results['configuration']['classes'], 'mean']
    columns = [['method', *methods]]
    for measure, name in itertools.product(MEASURES, names):
        columns.append([f'{measure} {name}', *map(''.join, column(methods, measure, name))])
    return [list(row) for row in zip(*columns, strict=True)]


def column(
    methods: Mapping[str, Mapping[str, Any]], measure: str, name: str
) -> list[tuple[str, str]]:
    """Return each method's figure as printed, with its spread where there is one, and its mark."""
    values = [method[measure][name] for method in methods.values()]
    texts = ['-' if value is None else f'{value:.3f}' for value in values]
    found = [method.get('spread', {}).get(measure, {}).get(name) for method in methods.values()]
    spreads = ['' if spread is None else f' ± {spread:.3f}' for spread in found]
    printed = map(str.__add__, texts, spreads)
    return list(zip(printed, ranks(texts), strict=True))


def _over_copies(scores: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return means over the copies and, where there are some, standard deviations."""
    means, spread = {}, {}
    for measure in MEASURES:
        means[measure], spread[measure] = {}, {}
        for name in scores[0][measure]:
            # Without labels in one of the copies, it has none to count.
            values = [one[measure][name] for one in scores if one[measure][name] is not None]
            means[measure][name] = float(np.mean(values)) if values else None
            spread[measure][name] = float(np.std(values, ddof=1)) if len(values) > 1 else None
    return {**means, 'spread': spread} if len(scores) > 1 else means


class _Truth:
    """The labels as pycocotools takes them."""

    def __init__(
        self,
        copy: Copy,
        labels: Mapping[str, np.ndarray],
        sizes: Mapping[str, tuple[int, int]],
        classes: Sequence[str],
    ) -> None:
        from pycocotools import coco, cocoeval

        self._evaluation, self._classes = cocoeval.COCOeval, classes
        self._numbers = {stem: number for number, stem in enumerate(sizes)}
        boxes = []
        for stem, size in sizes.items():
            for kind, left, top, right, bottom in copy.labels(labels[stem], *size):
                boxes.append(self._box(stem, kind, [left, top, right - left, bottom - top]))
        for number, box in enumerate(boxes, 1):
            box |= {'id': number, 'iscrowd': 0, 'area': box['bbox'][2] * box['bbox'][3]}
        self.counts = [sum(box['category_id'] == i for box in boxes) for i in range(len(classes))]
        self._coco = coco.COCO()
        self._coco.dataset = {
            'info': {},
            'images': [{'id': number} for number in self._numbers.values()],
            'categories': [{'id': number, 'name': name} for number, name in enumerate(classes)],
            'annotations': boxes,
        }
        with _silence():
            self._coco.createIndex()

    def score(self, found: Mapping[str, Detections]) -> dict[str, Any]:
        """Return AP50 and mAP by class, None for classes without labels, and their means."""
        boxes = [
            {**self._box(stem, kind, [*box[:2], *(box[2:] - box[:2])]), 'score': float(score)}
            for stem, one in found.items()
            for box, score, kind in zip(one.boxes, one.scores, one.classes, strict=True)
        ]
        if not boxes:
            precision = np.where(np.array(self.counts) > 0, 0.0, -1.0)[None, None].repeat(10, 0)
        else:
            with _silence():
                evaluation = self._evaluation(self._coco, self._coco.loadRes(boxes), 'bbox')
                evaluation.evaluate()
                evaluation.accumulate()
            # IoU, recall, class, all areas, at most 100 boxes; -1 where there are no labels.
            precision = evaluation.eval['precision'][:, :, :, 0, -1]
        return {
            'AP50': self._by_class(precision[0].mean(0)),
            'mAP': self._by_class(precision.mean((0, 1))),
        }

    def _by_class(self, values: np.ndarray) -> dict[str, float | None]:
        by_class = {
            name: float(value) if value >= 0 else None
            for name, value in zip(self._classes, values, strict=True)
        }
        known = [value for value in by_class.values() if value is not None]
        return by_class | {'mean': sum(known) / len(known)}

    def _box(self, stem: str, kind: float, box: Sequence[float]) -> dict[str, Any]:
        return {
            'image_id': self._numbers[stem],
            'category_id': int(kind),
            'bbox': [float(side) for side in box],
        }


def _read_boxes(file: Path, count: int) -> np.ndarray:
    rows = []
    for at, line in enumerate(file.read_text().splitlines(), 1):
        if not line.strip():
            continue
        try:
            kind, *box = (float(word) for word in line.split())
            bad = len(box) != 4 or kind not in range(count) or not 0 <= min(box) <= max(box) <= 1.5
        except ValueError:
            bad = True
        if bad:
            raise EvaluationError(
                f'{str(file)!r}, line {at}: got {line!r}, expected CLASS X Y WIDTH HEIGHT with a '
                f'class below {count} and shares of the image'
            )
        rows.append([kind, *box])
    return np.array(rows).reshape(-1, 5)


def _silence() -> contextlib.AbstractContextManager:
    # pycocotools reports its progress on standard output.
    return contextlib.redirect_stdout(io.StringIO())
