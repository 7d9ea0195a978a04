"""
Detectors as ONNX files: an image in, boxes out.

Two families with what their own code does around the network:

- YOLO (Ultralytics' exports): RGB, letterboxed on grey 114; output (1, 4 + C, N) or its
  transpose with centre and size in input pixels and C class scores (v8, v11), or with an
  objectness before the classes, score = objectness times class score (v5). Boxes end at the
  image's border.
- FastestDet: BGR, squashed by pixel areas; output (1, 5 + C, H, W), a box a cell with centre
  (cell + tanh) and sigmoid size, score = objectness^0.6 times class score^0.4.
"""

import ast
from collections.abc import Callable, Sequence
from dataclasses import dataclass
import hashlib
from pathlib import Path
from typing import Any

from ir_vis_fusion.backends.onnx_backend import has_cuda, open_session
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.files import checked_file, MAX_WEIGHTS_BYTES
import numpy as np
import torch
from torch.nn import functional

FORMATS = ('auto', 'yolov5', 'yolov8', 'fastestdet')
GREY = 114
COCO = 80  # classes
TYPES = {'tensor(float)': np.float32, 'tensor(float16)': np.float16}
# Of a network that takes any size.
DEFAULT_SIDE = 640
# More boxes than that are noise that only costs time.
CANDIDATES = 3000


@dataclass(frozen=True)
class Detections:
    """Boxes (N, 4) as left, top, right, bottom in pixels, scores (N,), classes (N,) int."""

    boxes: np.ndarray
    scores: np.ndarray
    classes: np.ndarray

    def __getitem__(self, chosen: Any) -> 'Detections':
        return Detections(self.boxes[chosen], self.scores[chosen], self.classes[chosen])


class Detector:
    """
    A network in a file, with everything around it.

    Parameters
    ----------
    path
        ONNX file with one image input (1, 3, H, W) and the output described above.
    form
        One of ``FORMATS``; auto tells by the output's shape.
    classes
        For each class that is wanted the network's numbers that count as it; its own number
        is its place. What the network finds of other classes is dropped.
    score, overlap
        Least score of a detection; most overlap (IoU) of two of the same class.

    Raises
    ------
    EvaluationError
        Where the file is no such network.
    BackendError
        Where ONNX Runtime is missing.

    """

    def __init__(
        self,
        path: Path,
        form: str = 'auto',
        classes: Sequence[Sequence[int]] = ((0,), (1,), (2,)),
        score: float = 0.01,
        overlap: float = 0.45,
    ) -> None:
        self.path, self.score, self.overlap = Path(path), score, overlap
        self._session = _open(self.path)
        source = self._session.get_inputs()[0]
        # Sizes that are not fixed have names.
        shape = [side if isinstance(side, int) else None for side in source.shape]
        if (
            len(shape) != 4
            or shape[0] not in (1, None)
            or shape[1] != 3
            or source.type not in TYPES
        ):
            raise EvaluationError(
                f'{str(path)!r}: input {source.name} is {source.shape}, {source.type}, expected '
                f'(1, 3, H, W), {" or ".join(TYPES)}'
            )
        sides = [side or DEFAULT_SIDE for side in shape[2:]]
        self.height, self.width = sides
        self._input = source.name
        self._type = TYPES[source.type]
        blank = np.full((*sides, 3), GREY, np.uint8)
        shape = self._run(blank).shape
        self.form = form if form != 'auto' else _guess(shape, self._session, self.path)
        self._decode = _decoder(self.form, shape, self.path)
        self._classes = {number: at for at, group in enumerate(classes) for number in group}
        found = self._decode(np.zeros(shape, np.float32), sides)[1].shape[1]
        if beyond := [number for number in self._classes if not 0 <= number < found]:
            raise EvaluationError(
                f'{str(path)!r}: has classes 0 to {found - 1}, the class map names {beyond}; give '
                'a map of this detector by --classes'
            )

    def about(self) -> dict[str, Any]:
        """Return what identifies the detector, for results."""
        return {
            'detector': self.path.name,
            'sha256': hashlib.sha256(self.path.read_bytes()).hexdigest(),
            'format': self.form,
            'input': [self.height, self.width],
            'score': self.score,
            'overlap': self.overlap,
        }

    def detect(self, image: np.ndarray) -> Detections:
        """Find the wanted classes in (H, W, 3) uint8 RGB, best first."""
        height, width = image.shape[:2]
        sides = (self.height, self.width)
        if self.form == 'fastestdet':
            prepared = squash(image, sides)[..., ::-1]
            scale, margin = np.array([self.width / width, self.height / height]), np.zeros(2)
        else:
            prepared, factor, margin = letterbox(image, sides)
            scale = np.full(2, factor)
        boxes, scores = self._decode(self._run(prepared), sides)
        boxes = (boxes - np.tile(margin, 2)) / np.tile(scale, 2)
        if self.form != 'fastestdet':
            boxes = boxes.clip(0, [width, height, width, height])
        best = scores.argmax(1)
        top = scores[np.arange(len(scores)), best]
        kept = [i for i in np.flatnonzero(top >= self.score) if best[i] in self._classes]
        classes = np.array([self._classes[best[i]] for i in kept], int)
        return suppress(Detections(boxes[kept], top[kept], classes), self.overlap)

    def _run(self, image: np.ndarray) -> np.ndarray:
        pixels = np.ascontiguousarray(image.transpose(2, 0, 1)[None]).astype(np.float32) / 255
        output = self._session.run(None, {self._input: pixels.astype(self._type)})[0]
        return np.asarray(output, np.float32)


def squash(image: np.ndarray, sides: Sequence[int]) -> np.ndarray:
    """Resize (H, W, 3) uint8 to sides, each pixel the mean of the area it covers."""
    rows = _area_means(image.astype(np.float64), sides[0])
    columns = _area_means(rows.swapaxes(0, 1), sides[1])
    return columns.swapaxes(0, 1).round().astype(np.uint8)


def letterbox(image: np.ndarray, sides: Sequence[int]) -> tuple[np.ndarray, float, np.ndarray]:
    """
    Fit (H, W, 3) uint8 into sides with its proportions, centred on grey.

    Returns
    -------
    tuple
        The image, by how much it was enlarged, and (left, top) of it in pixels.

    """
    height, width = image.shape[:2]
    factor = min(sides[0] / height, sides[1] / width)
    inner = (round(height * factor), round(width * factor))
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float()
    if inner != (height, width):
        pixels = functional.interpolate(pixels, inner, mode='bilinear', align_corners=False)
    top, left = ((side - part) // 2 for side, part in zip(sides, inner, strict=True))
    boxed = np.full((*sides, 3), GREY, np.uint8)
    fitted = pixels[0].permute(1, 2, 0).round().byte().numpy()
    boxed[top : top + inner[0], left : left + inner[1]] = fitted
    return boxed, factor, np.array([left, top], float)


def suppress(found: Detections, overlap: float) -> Detections:
    """Drop, best first, what overlaps a better box of its class by more; best first."""
    found = found[np.argsort(-found.scores, kind='stable')[:CANDIDATES]]
    area = (found.boxes[:, 2:] - found.boxes[:, :2]).prod(1)
    kept: list[int] = []
    left = np.arange(len(area))
    while len(left):
        first, left = left[0], left[1:]
        kept.append(first)
        start = np.maximum(found.boxes[first, :2], found.boxes[left, :2])
        end = np.minimum(found.boxes[first, 2:], found.boxes[left, 2:])
        common = (end - start).clip(0).prod(1)
        union = area[first] + area[left] - common
        same = found.classes[left] == found.classes[first]
        left = left[~(same & (common > overlap * union))]
    return found[kept]


def _area_means(image: np.ndarray, side: int) -> np.ndarray:
    """Cut the first axis into ``side`` equal parts and return the mean of each."""
    count = len(image)
    edges = np.linspace(0, count, side + 1)
    whole = np.minimum(edges.astype(int), count - 1)
    sums = np.concatenate([np.zeros_like(image[:1]), image.cumsum(0)])
    up_to_edge = sums[whole] + (edges - whole)[:, None, None] * image[whole]
    return np.diff(up_to_edge, axis=0) * side / count


def _open(path: Path) -> Any:
    checked_file(path, MAX_WEIGHTS_BYTES, EvaluationError, ('.onnx',))
    device = torch.device('cuda' if has_cuda() else 'cpu')
    return open_session(path, device, EvaluationError)


def _guess(shape: tuple[int, ...], session: Any, path: Path) -> str:
    """Tell the family by the output and, of YOLO, by the names of classes an export carries."""
    if len(shape) == 4:
        return 'fastestdet'
    if len(shape) != 3:
        raise EvaluationError(
            f'{str(path)!r}: output is {shape}, expected (1, C, N), (1, N, C) or (1, C, H, W)'
        )
    names = session.get_modelmeta().custom_metadata_map.get('names', '')
    extra = min(shape[1:]) - (_count(names, path) if names else COCO)
    if extra in (4, 5):
        return 'yolov8' if extra == 4 else 'yolov5'
    if names:
        raise EvaluationError(
            f'{str(path)!r}: output is {shape}, expected 4 or 5 values a box before the scores of '
            f'{min(shape[1:]) - extra} classes; export it for detection, without NMS inside'
        )
    return 'yolov5' if shape[1] > shape[2] else 'yolov8'


def _count(names: str, path: Path) -> int:
    """Count the classes in what exports write of them: a Python literal."""
    try:
        return len(ast.literal_eval(names))
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        raise EvaluationError(f'{str(path)!r}: names of classes cannot be read') from None


def _decoder(
    form: str, shape: tuple[int, ...], path: Path
) -> Callable[[np.ndarray, Sequence[int]], tuple[np.ndarray, np.ndarray]]:
    """Return what turns an output into boxes (N, 4) in input pixels and scores (N, C)."""
    axes = 4 if form == 'fastestdet' else 3
    extra = 4 if form == 'yolov8' else 5
    if len(shape) != axes or (min(shape[1:]) if axes == 3 else shape[1]) <= extra:
        raise EvaluationError(f'{str(path)!r}: output is {shape}, which is not that of {form}')
    if form == 'fastestdet':
        return _fastestdet

    def decode(output: np.ndarray, sides: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        rows = output[0] if output.shape[1] > output.shape[2] else output[0].T
        scores = rows[:, 4:] if form == 'yolov8' else rows[:, 4:5] * rows[:, 5:]
        return _corners(rows[:, :2], rows[:, 2:4]), scores

    return decode


def _fastestdet(output: np.ndarray, sides: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    channels, height, width = output.shape[1:]
    cells = output[0].reshape(channels, -1).T.astype(np.float64)
    row, column = np.divmod(np.arange(height * width), width)
    step = np.array([sides[1] / width, sides[0] / height])
    centre = (np.stack([column, row], 1) + np.tanh(cells[:, 1:3])) * step
    size = np.array([sides[1], sides[0]]) / (1 + np.exp(-cells[:, 3:5]))
    scores = cells[:, :1].clip(0) ** 0.6 * cells[:, 5:].clip(0) ** 0.4
    return _corners(centre, size), scores


def _corners(centre: np.ndarray, size: np.ndarray) -> np.ndarray:
    return np.hstack([centre - size / 2, centre + size / 2])
