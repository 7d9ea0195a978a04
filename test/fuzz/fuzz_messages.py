"""
Send mutated image messages through the decoder, the synchronizer and the predictor.

``python test/fuzz/fuzz_messages.py --messages 200000`` or ``--seconds 600``. Nothing but an
EncodingError may come out of decoding, and nothing at all out of the rest; memory and file
descriptors must not grow after the first tenth, and no picture may be larger than its message can
hold. Message N depends on the seed and N alone, so that a failure comes back:
``--first N --messages 1``. The number of the message under way stands in the file of
``--progress``, for one that kills the process. Prints one line of JSON.
"""

import argparse
from collections import Counter
import faulthandler
import gc
import json
import os
from pathlib import Path
import random
import resource
import sys
import tempfile
import time

import cv2
from ir_vis_fusion.checkpoint import save_checkpoint
from ir_vis_fusion.config import PredictorSettings, SynchronizerSettings
from ir_vis_fusion.errors import EncodingError
from ir_vis_fusion.models.registry import build
from ir_vis_fusion.predictor import FusionPredictor
from ir_vis_fusion.preprocessing.encodings import decode
from ir_vis_fusion.preprocessing.headers import MAX_DEFLATE_RATIO, MAX_JPEG_PIXELS_A_BYTE
from ir_vis_fusion.synchronization import PairSynchronizer
from ir_vis_fusion.types import Frame, FramePair, RawImage, Role
from mutations import corpus, Message, mutated
import numpy as np
import torch

MIB = 2**20
# Every so many-th pair that decodes is fused.
FUSE_EVERY = 40
PAGE = os.sysconf('SC_PAGE_SIZE')
# What decoders and malloc keep: steps of some megabytes early on, then none in 400,000 messages.
GROWTH = 16 * MIB
PEAK = 96 * MIB
KINDS = {'empty', 'truncated', 'too_large', 'unknown_encoding', 'undecodable', 'channels'}


class MessagePath:
    """What a message goes through in the node, without the middleware."""

    def __init__(self, model: Path) -> None:
        settings = PredictorSettings(model=str(model), device='cpu', cpu_threads=1)
        self.predictor = FusionPredictor(settings)
        self.synchronizer = PairSynchronizer(SynchronizerSettings())
        self.outcomes: Counter[str] = Counter()
        self.fused = 0
        self._decoded = 0
        self._latest: dict[Role, Frame] = {}

    def send(self, message: Message, role: Role) -> None:
        """Decode a message, hand its stamp on, and fuse it now and then."""
        thermal = role is Role.THERMAL
        add = self.synchronizer.add_thermal if thermal else self.synchronizer.add_visible
        add(message.stamp_ns, None)
        try:
            frame = decode(message, role)
        except EncodingError as error:
            if error.kind not in KINDS or len(str(error)) > 1000:
                raise AssertionError(f'{error.kind}: {error}') from error
            self.outcomes[error.kind] += 1
            return
        self.outcomes['decoded'] += 1
        check_frame(frame, message, role)
        self._latest[role] = frame
        self._decoded += 1
        if len(self._latest) == 2 and not self._decoded % FUSE_EVERY:
            self._fuse(FramePair(self._latest[Role.THERMAL], self._latest[Role.VISIBLE]))

    def _fuse(self, pair: FramePair) -> None:
        fused = self.predictor.predict(pair)
        assert fused.image.shape == pair.visible.image.shape
        assert fused.image.dtype == np.uint8
        self.fused += 1


def check_frame(frame: Frame, message: Message, role: Role) -> None:
    """Hold a frame against what its role and the size of its message allow."""
    image, size = frame.image, len(message.data)
    channels = 3 if role is Role.VISIBLE else 1
    assert image.shape[2:] == ((3,) if channels == 3 else ())
    assert image.dtype in ((np.uint8,) if channels == 3 else (np.uint8, np.uint16, np.float32))
    pixels = image.shape[0] * image.shape[1]
    # A pixel takes a bit of a PNG at least.
    ratio = (
        1 if isinstance(message, RawImage) else max(8 * MAX_DEFLATE_RATIO, MAX_JPEG_PIXELS_A_BYTE)
    )
    assert 0 < pixels <= size * ratio, f'{pixels} pixels of {size} bytes'


def resident() -> int:
    """Return the bytes of this process in memory."""
    gc.collect()
    return int(Path('/proc/self/statm').read_text().split()[1]) * PAGE


def descriptors() -> int:
    """Count the open file descriptors."""
    return len(os.listdir('/proc/self/fd'))


def fuzz(options: argparse.Namespace) -> dict:
    """Send the messages; return what came of them and what was used."""
    good = corpus()
    progress = os.open(options.progress, os.O_CREAT | os.O_WRONLY) if options.progress else None
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / 'tiny.safetensors'
        config = {'width': 8, 'factor': 2, 'depth': 1}
        torch.manual_seed(0)
        save_checkpoint(model, build('student', config), 'student', config, {}, {})
        path = MessagePath(model)
    started, number, before = time.monotonic(), options.first, None
    warm = options.first + options.messages // 10
    while True:
        passed = time.monotonic() - started
        if (
            passed > options.seconds
            if options.seconds
            else number >= options.first + options.messages
        ):
            break
        if before is None and (
            passed > options.seconds / 10 if options.seconds else number >= warm
        ):
            before = resident(), descriptors(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        if progress is not None:
            os.pwrite(progress, b'%12d' % number, 0)
        chance = random.Random(f'{options.seed}:{number}')
        message = mutated(chance.choice(good), good, chance)
        try:
            path.send(message, chance.choice(tuple(Role)))
        except Exception as error:
            error.add_note(f'message {number} of seed {options.seed}: {shortened(message)}')
            raise
        number += 1
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        'messages': number - options.first,
        'seconds': round(time.monotonic() - started, 1),
        'outcomes': dict(path.outcomes),
        'fused': path.fused,
        'jumps': path.synchronizer.counters.jumps,
        'growth_bytes': resident() - before[0],
        'descriptors_growth': descriptors() - before[1],
        'peak_growth_bytes': (peak - before[2]) * 1024,
    }


def silence_decoders() -> None:
    """Keep the lines that OpenCV's decoders write of what they refuse away; ours are shown."""
    sys.stderr = os.fdopen(os.dup(2), 'w', buffering=1)
    faulthandler.enable(sys.stderr)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)


def shortened(message: Message) -> str:
    """Describe a message in a few lines."""
    return f'{str(message)[:300]} ... with {len(message.data)} bytes'


def main() -> int:
    """Fuzz as the command line says; 1 where something grew."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--messages', type=int, default=200_000)
    parser.add_argument('--seconds', type=float, default=0.0, help='instead of a number')
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--first', type=int, default=0)
    parser.add_argument('--progress', type=Path)
    options = parser.parse_args()
    silence_decoders()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    told = fuzz(options)
    print(json.dumps(told))  # noqa: T201
    fine = told['growth_bytes'] < GROWTH and told['peak_growth_bytes'] < PEAK
    return 0 if fine and told['descriptors_growth'] <= 0 else 1


if __name__ == '__main__':
    sys.exit(main())
