"""Detectors: what goes in, what their outputs mean, and which boxes are left."""

from pathlib import Path
from types import SimpleNamespace

import cv2
from ir_vis_fusion.cli import detect_eval
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.evaluation import detectors
from ir_vis_fusion.evaluation.detectors import Detections, Detector, letterbox, squash, suppress
import numpy as np
import pytest

CLASSES = ((0,), (1,), (2, 7))


class FakeSession:
    """A network that gives the same output for every input, and keeps the input."""

    def __init__(self, output: np.ndarray, shape: list, names: str = '') -> None:
        self.output, self.shape, self.names = output.astype(np.float32), shape, names

    def get_inputs(self) -> list:
        return [SimpleNamespace(name='images', shape=self.shape, type='tensor(float)')]

    def get_modelmeta(self) -> SimpleNamespace:
        custom = {'names': self.names} if self.names else {}
        return SimpleNamespace(custom_metadata_map=custom)

    def run(self, outputs: None, feed: dict) -> list[np.ndarray]:
        self.input = feed['images']
        return [self.output]


@pytest.fixture
def make(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    def make(output: np.ndarray, form: str = 'auto', side: int = 320, names: str = '') -> Detector:
        shape = [1, 3, side, side]
        session = FakeSession(output, shape, names)
        monkeypatch.setattr(detectors, '_open', lambda path: session)
        return Detector(tmp_path / 'x.onnx', form, CLASSES, score=0.3)

    return make


def rows(extra: int, *found: tuple) -> np.ndarray:
    """Return (100, extra + 80) of (x, y, w, h, objectness, class, score)."""
    output = np.zeros((100, extra + 80))
    for at, (*box, objectness, kind, score) in enumerate(found):
        output[at, :4] = box
        if extra == 5:
            output[at, 4] = objectness
        output[at, extra + kind] = score
    return output


@pytest.mark.parametrize(
    ('form', 'output', 'scores'),
    [
        ('yolov8', lambda: rows(4, *FOUND).T[None], [0.9, 0.8]),
        ('yolov8', lambda: rows(4, *FOUND)[None], [0.9, 0.8]),
        ('yolov5', lambda: rows(5, *FOUND)[None], [0.9, 0.4]),
        ('yolov5', lambda: rows(5, *FOUND).T[None], [0.9, 0.4]),
    ],
)
def test_yolo_boxes_come_back_from_the_letterbox(make, form, output, scores) -> None:
    """640x480 in 320x320: halved, with 40 rows of grey above; boxes end at the border."""
    detector = make(output())

    found = detector.detect(np.zeros((480, 640, 3), np.uint8))

    assert detector.form == form
    assert found.boxes.tolist() == [[80, 40, 120, 80], [600, 80, 640, 160]]
    assert found.classes.tolist() == [0, 2]
    assert found.scores == pytest.approx(scores)


# Centre (50, 70), 20x20, a person; (310, 100), 20 wide, class 7, beyond the right border by none,
# objectness 0.5; a dog, which is not asked for; a faint person.
FOUND = (
    (50, 70, 20, 20, 1.0, 0, 0.9),
    (312, 100, 24, 40, 0.5, 7, 0.8),
    (100, 100, 50, 50, 1.0, 16, 0.9),
    (200, 200, 50, 50, 1.0, 0, 0.2),
)


def test_names_in_the_file_tell_versions_apart_that_shapes_do_not(make) -> None:
    """Three classes: 8 channels are a v5 and 7 a v8, whichever way they lie."""
    names = "{0: 'person', 1: 'bicycle', 2: 'car'}"
    for channels, form in ((8, 'yolov5'), (7, 'yolov8')):
        for shape in ((1, channels, 99), (1, 99, channels)):
            monkey = np.zeros(shape)
            with pytest.raises(
                EvaluationError, match=r'classes 0 to 2, the class map names \[7\]'
            ):
                make(monkey, names=names)
            with pytest.raises(EvaluationError, match='classes 0 to'):
                make(monkey, form=form, names=names)


def test_an_export_that_chose_its_boxes_itself_is_refused(make) -> None:
    names = str(dict.fromkeys(range(80), 'x'))
    with pytest.raises(EvaluationError, match='scores of 80 classes; export it .* without NMS'):
        make(np.zeros((1, 300, 6)), names=names)


def test_fastestdet_boxes_are_cells_with_tanh_and_sigmoid(make) -> None:
    """Cell (row 1, column 2) of 4x4 on 320: centre (160, 80) of the square; half its sides."""
    output = np.full((1, 85, 4, 4), 0.0)
    output[0, 0, 1, 2], output[0, 5, 1, 2] = 0.5, 0.8

    detector = make(output)
    found = detector.detect(np.zeros((480, 640, 3), np.uint8))

    assert detector.form == 'fastestdet'
    np.testing.assert_allclose(found.boxes, [[160, 0, 480, 240]])
    assert found.scores == pytest.approx([0.5**0.6 * 0.8**0.4])


def test_yolo_sees_rgb_on_grey_and_fastestdet_squashed_bgr(make) -> None:
    image = np.full((48, 64, 3), (255, 0, 51), np.uint8)

    yolo = make(rows(4)[None], side=64)
    yolo.detect(image)
    assert yolo._session.input[0, :, 32, 32] == pytest.approx([1, 0, 0.2])
    assert yolo._session.input[0, :, 7, 32] == pytest.approx([114 / 255] * 3)
    assert yolo._session.input[0, :, 8, 32] == pytest.approx([1, 0, 0.2])

    fastestdet = make(np.zeros((1, 85, 2, 2)), side=32)
    fastestdet.detect(image)
    assert fastestdet._session.input[0, :, 0, 0] == pytest.approx([0.2, 0, 1])


@pytest.mark.parametrize('sides', [(35, 35), (48, 20), (24, 32)])
def test_squashing_is_opencvs_area_interpolation(sides: tuple[int, int]) -> None:
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)

    expected = cv2.resize(image, sides[::-1], interpolation=cv2.INTER_AREA)

    np.testing.assert_allclose(squash(image, sides).astype(int), expected.astype(int), atol=1)


def test_letterboxing_is_opencvs_linear_interpolation_with_margins() -> None:
    image = np.random.default_rng(1).integers(0, 256, (30, 64, 3), dtype=np.uint8)

    boxed, factor, (left, top) = letterbox(image, (40, 40))

    assert (factor, left, top) == (0.625, 0, 10)
    expected = cv2.resize(image, (40, 19), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(boxed[10:29].astype(int), expected.astype(int), atol=2)
    assert (boxed[:10] == 114).all()
    assert (boxed[29:] == 114).all()


def test_of_overlapping_boxes_of_a_class_the_best_stays() -> None:
    """10x10 boxes moved by 3 and 6: IoU 70/130 = 0.54 and 40/160 = 0.25 with the first."""
    boxes = np.array([[3, 0, 13, 10], [0, 0, 10, 10], [6, 0, 16, 10], [3, 0, 13, 10]], float)
    found = Detections(boxes, np.array([0.5, 0.9, 0.6, 0.4]), np.array([0, 0, 0, 1]))

    left = suppress(found, 0.5)

    assert left.scores.tolist() == [0.9, 0.6, 0.4]
    assert left.classes.tolist() == [0, 0, 1]


def test_nothing_found_is_no_error(make) -> None:
    found = make(rows(4)[None]).detect(np.zeros((48, 64, 3), np.uint8))
    assert found.boxes.shape == (0, 4)


@pytest.mark.parametrize(
    ('output', 'form', 'message'),
    [
        ((1, 84), 'auto', 'expected'),
        ((1, 84, 8, 8), 'yolov8', 'not that of yolov8'),
        ((1, 84, 100), 'fastestdet', 'not that of fastestdet'),
        ((1, 4, 100), 'yolov8', 'not that of yolov8'),
    ],
)
def test_an_output_of_another_kind_is_refused(make, output, form, message) -> None:
    with pytest.raises(EvaluationError, match=message):
        make(np.zeros(output), form=form)


@pytest.mark.parametrize('shape', [[1, 320, 320, 3], [2, 3, 320, 320], [1, 10]])
def test_an_input_of_another_kind_is_refused(
    shape: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    session = FakeSession(rows(4)[None], shape)
    monkeypatch.setattr(detectors, '_open', lambda path: session)
    with pytest.raises(EvaluationError, match=r'expected \(1, 3, H, W\), tensor\(float\)'):
        Detector(Path('x.onnx'))


def test_an_input_of_any_size_gets_640(monkeypatch: pytest.MonkeyPatch) -> None:
    session = FakeSession(rows(4)[None], ['batch', 3, 'height', 'width'])
    monkeypatch.setattr(detectors, '_open', lambda path: session)
    detector = Detector(Path('x.onnx'))
    assert (detector.height, detector.width) == (640, 640)


def test_a_file_that_is_no_network_is_refused(tmp_path: Path) -> None:
    pytest.importorskip('onnxruntime', reason='onnxruntime is not installed')
    with pytest.raises(EvaluationError, match='no such file'):
        Detector(tmp_path / 'x.onnx')
    (tmp_path / 'x.onnx').write_bytes(b'no')
    with pytest.raises(EvaluationError, match='not a network to run'):
        Detector(tmp_path / 'x.onnx')


def test_the_command_offers_the_formats_there_are() -> None:
    assert detect_eval.FORMATS == detectors.FORMATS
