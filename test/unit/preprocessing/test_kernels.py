"""
The kernels compute what torch does; without a GPU in Triton's interpreter, by another process.

Triton decides when it is imported whether it interprets.
"""

import os
import subprocess
import sys

import pytest
import torch

CHECK = """
import torch
from ir_vis_fusion.preprocessing import kernels
from ir_vis_fusion.preprocessing.color import _FADE, _JUMP, _LEAST_CHROMA, _RGB_WEIGHTS
from ir_vis_fusion.preprocessing.color import luma, recombine
from ir_vis_fusion.types import PixelEncoding

device = 'cuda' if torch.cuda.is_available() else 'cpu'
generator = torch.Generator().manual_seed(4)
image = torch.randint(0, 256, (37, 61, 3), generator=generator, dtype=torch.uint8)
vis_y = luma(image, PixelEncoding.RGB8)
found = kernels.luma(image.to(device), _RGB_WEIGHTS).cpu()
torch.testing.assert_close(found, vis_y, atol=1e-6, rtol=0)
# Also beyond [0, 1] on both sides, and equal to the image's luma in one row.
fused = torch.rand(37, 61, generator=generator) * 1.4 - 0.2
fused[0] = vis_y[0]
expected = recombine(image, vis_y, fused)
given = [one.to(device) for one in (image, vis_y, fused)]
found = kernels.recombine(*given, _JUMP, _FADE, (1 - _LEAST_CHROMA) / _FADE).cpu()
difference = (found.int() - expected.int()).abs()
# Another order of the same sum may fall on the other side of a half.
assert difference.max() <= 1, difference.max()
assert (difference > 0).float().mean() < 0.001
assert torch.equal(found[0], image[0])
print('equal')
"""


def test_the_kernels_compute_what_torch_does() -> None:
    pytest.importorskip('triton', reason='triton is not installed')
    environment = dict(os.environ)
    if not torch.cuda.is_available():
        environment['TRITON_INTERPRET'] = '1'
    done = subprocess.run(
        [sys.executable, '-c', CHECK], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == 'equal'
