"""Video files in and out; the only module that knows PyAV."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
from ir_vis_fusion.errors import EvaluationError
from ir_vis_fusion.preprocessing.headers import check_size
import numpy as np

VIDEO_SUFFIXES = frozenset(('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.mpeg', '.mpg', '.webm'))
NANOSECONDS = 1_000_000_000


class VideoReader:
    """
    The frames of a video with their times; each iteration starts at the first frame.

    Yields (stamp_ns, image): nanoseconds since the first frame and (H, W, 3) uint8 RGB.
    ``frame_count`` is what the file says, or an estimate from its length where it says
    nothing (0 where that is unknown too).
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        with self._open() as container:
            stream = container.streams.video[0]
            self.fps = float(stream.average_rate or stream.guessed_rate or 0)
            if self.fps <= 0:
                raise EvaluationError(f'{str(path)!r}: frame rate is unknown, remux the video')
            length = (container.duration or 0) / av.time_base
            self.frame_count = stream.frames or round(length * self.fps)
            self.height, self.width = stream.height, stream.width
            check_size(self.height, self.width, f'{str(path)!r}: video')

    def __iter__(self) -> Iterator[tuple[int, np.ndarray]]:
        """Decode from the start; a frame without a time is taken as one period later."""
        period_ns = round(NANOSECONDS / self.fps)
        start_ns, stamp_ns = None, -period_ns
        with self._open() as container:
            container.streams.video[0].thread_type = 'AUTO'
            try:
                for frame in container.decode(video=0):
                    if frame.pts is None:
                        stamp_ns += period_ns
                    else:
                        at_ns = round(frame.pts * frame.time_base * NANOSECONDS)
                        start_ns = at_ns if start_ns is None else start_ns
                        stamp_ns = at_ns - start_ns
                    yield stamp_ns, frame.to_ndarray(format='rgb24')
            except av.FFmpegError as error:
                raise EvaluationError(f'{str(self.path)!r}: damaged video: {error}') from None

    def _open(self) -> av.container.InputContainer:
        try:
            container = av.open(str(self.path))
        except (av.FFmpegError, OSError) as error:
            raise EvaluationError(f'{str(self.path)!r}: not a readable video: {error}') from None
        if not container.streams.video:
            container.close()
            raise EvaluationError(f'{str(self.path)!r}: holds no video stream')
        return container


class VideoWriter:
    """
    Write RGB frames at a constant rate as H.264 (yuv420p, plays everywhere).

    The first frame sets the size; an odd height or width is made even by repeating the last
    row or column. Without a frame no file is left.
    """

    def __init__(self, path: str | Path, fps: float, crf: int = 18) -> None:
        self.path = Path(path)
        self.rate = Fraction(fps).limit_denominator(1001)
        self.crf = crf
        self.frame_count = 0
        self._container = None
        self._stream = None
        self._size = None

    def __enter__(self) -> 'VideoWriter':
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._container is not None:
            if kind is None:
                self._container.mux(self._stream.encode(None))
            self._container.close()

    def write(self, image: np.ndarray) -> None:
        """Append one (H, W, 3) uint8 RGB frame; raise EvaluationError where the size changes."""
        if self._container is None:
            self._open(image.shape)
        if image.shape != self._size:
            raise EvaluationError(
                f'{str(self.path)!r}: frame {self.frame_count} is {image.shape}, '
                f'the video began with {self._size}'
            )
        height, width = image.shape[:2]
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode='edge')
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format='rgb24')
        frame.pts = self.frame_count
        self._container.mux(self._stream.encode(frame))
        self.frame_count += 1

    def _open(self, shape: tuple[int, ...]) -> None:
        self._size = shape
        try:
            self._container = av.open(str(self.path), 'w')
        except (av.FFmpegError, OSError, ValueError) as error:
            raise EvaluationError(f'{str(self.path)!r}: cannot be written: {error}') from None
        options = {'crf': str(self.crf), 'preset': 'veryfast'}
        self._stream = self._container.add_stream('libx264', rate=self.rate, options=options)
        self._stream.height = shape[0] + shape[0] % 2
        self._stream.width = shape[1] + shape[1] % 2
        self._stream.pix_fmt = 'yuv420p'
        self._stream.codec_context.time_base = 1 / self.rate
