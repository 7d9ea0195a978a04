"""The kernels compute what torch does; without a GPU, in an interpreter."""

from interpreted import assert_equal_by_triton

CHECK = """
import math
import torch
from ir_vis_fusion.config import ThermalSettings
from ir_vis_fusion.preprocessing import kernels
from ir_vis_fusion.preprocessing.color import _FADING, _RGB_WEIGHTS, luma, recombine
from ir_vis_fusion.preprocessing.thermal import Scale, ThermalNormalizer
from ir_vis_fusion.preprocessing.view import View
from ir_vis_fusion.types import PixelEncoding

device = 'cuda' if torch.cuda.is_available() else 'cpu'
generator = torch.Generator().manual_seed(4)
image = torch.randint(0, 256, (37, 61, 3), generator=generator, dtype=torch.uint8)
vis_y = luma(image, PixelEncoding.RGB8)
counts = torch.randint(0, 256, (37, 61), generator=generator)
for dtype, low, span in ((torch.uint8, 0, 255), (torch.uint16, 9.5, 99), (torch.float32, -3, 250)):
    raw = (counts * (300 if dtype == torch.uint16 else 1)).to(dtype)
    if dtype == torch.float32:
        raw[0, :3] = torch.tensor([math.nan, math.inf, -math.inf])
    expected = ThermalNormalizer(ThermalSettings()).apply(raw, Scale(low, span))
    found, ir = kernels.prepare(image.to(device), _RGB_WEIGHTS, raw.to(device), (low, span))
    torch.testing.assert_close(found.cpu(), vis_y, atol=1e-6, rtol=0)
    torch.testing.assert_close(ir.cpu(), expected, atol=1e-6, rtol=0)
    # Registered: between pixels, on the edge and beyond it.
    places = torch.rand(2, 37, 61, generator=generator)
    places = places * torch.tensor([64.0, 40.0]).view(2, 1, 1) - 2
    places[:, 2, :3] = torch.tensor([[60.0, 0.0, 60.0], [36.0, 0.0, 0.0]])
    view = View(*places, (61, 37))
    columns, rows = view.places
    grid = torch.stack([(columns + 0.5) * (2 / 61) - 1, (rows + 0.5) * (2 / 37) - 1], dim=-1)[None]
    expected = torch.nn.functional.grid_sample(
        expected[None, None], grid, padding_mode='border', align_corners=False
    )[0, 0]
    placed = tuple(one.to(device) for one in view.places)
    given = raw.to(device), (low, span)
    _, ir = kernels.prepare(image.to(device), _RGB_WEIGHTS, *given, placed)
    torch.testing.assert_close(ir.cpu(), expected, atol=2e-5, rtol=0)
# Also beyond [0, 1] on both sides, and equal to the image's luma in one row.
fused = torch.rand(37, 61, generator=generator) * 1.4 - 0.2
fused[0] = vis_y[0]
mask = torch.rand(37, 61, generator=generator)
mask[1] = 0
for how in ((1, None, False), (1.0, mask, False), (0.4, None, True), (0.7, mask, True)):
    expected = recombine(image, vis_y, fused, *how)
    strength, share, swap = how
    share = None if share is None else share.to(device)
    given = [one.to(device) for one in (image, vis_y, fused)]
    found = kernels.recombine(*given, _FADING, strength, share, swap).cpu()
    difference = (found.int() - expected.int()).abs()
    # Another order of the same sum may fall on the other side of a half.
    assert difference.max() <= 1, difference.max()
    assert (difference > 0).float().mean() < 0.001
    for row in (0,) if share is None else (0, 1):
        assert torch.equal(found[row], image[row].flip(-1) if swap else image[row])
kernels.compile_all(torch.device(device))
print('equal')
"""


def test_the_kernels_compute_what_torch_does() -> None:
    assert_equal_by_triton(CHECK)
