"""A whole frame at once is what its parts are; without a GPU in Triton's interpreter."""

from interpreted import assert_equal_by_triton

CHECK = """
import torch
from ir_vis_fusion.backends.whole_frame import WholeFrame
from ir_vis_fusion.config import ThermalSettings
from ir_vis_fusion.preprocessing import color, kernels
from ir_vis_fusion.preprocessing.front_end import ThermalImage
from ir_vis_fusion.preprocessing.thermal import Scale, ThermalNormalizer
from ir_vis_fusion.preprocessing.view import View
from ir_vis_fusion.types import PixelEncoding, ThermalState

device = torch.device('cuda' if torch.cuda.is_available() else 'cpu')
if device.type == 'cpu':
    color._kernels = lambda image: kernels
generator = torch.Generator().manual_seed(4)
whole = WholeFrame(lambda vis, ir: 0.2 + 0.5 * vis + 0.4 * ir, device)
apply = ThermalNormalizer(ThermalSettings()).apply
RGB, BGR = PixelEncoding.RGB8, PixelEncoding.BGR8


def expected(image, order, raw, scale, view, strength):
    ir = apply(raw, scale)
    if view is not None:
        ir = view.warp(ir)
    vis = color.luma(image, order[0])
    fused = 0.2 + 0.5 * vis + 0.4 * ir
    color._kernels, before = (lambda image: None), color._kernels
    result = color.recombine(
        image, vis, fused, strength, view and view.mask, order[0] is not order[1]
    )
    color._kernels = before
    return result


def places(shift):
    rows, columns = torch.meshgrid(torch.arange(37.0), torch.arange(61.0), indexing='ij')
    return columns + shift, rows


# Numbers that change from frame to frame, forms that come again, and all that there is.
for turn in range(2):
    for dtype, order, shift, strength in (
        (torch.uint8, (RGB, RGB), None, 1.0),
        (torch.uint16, (BGR, RGB), None, 0.4),
        (torch.float32, (RGB, RGB), 20.25, 1.0),
        (torch.uint16, (BGR, RGB), 9.5, 0.7),
    ):
        image = torch.randint(0, 256, (37, 61, 3), generator=generator, dtype=torch.uint8)
        raw = torch.randint(0, 256, (37, 61), generator=generator).to(dtype)
        # Bytes are normalised already.
        scale = Scale(0, 255) if dtype == torch.uint8 else Scale(3.5 + turn, 240.0 - turn)
        view = None if shift is None else View(*places(shift), (61, 37))
        there = None if shift is None else View(*(p.to(device) for p in places(shift)), (61, 37))
        thermal = ThermalImage(raw.to(device), ThermalState.LIVE, True, scale, None)
        found = whole(image.to(device), order, thermal, there, strength).cpu()
        wanted = expected(image, order, raw, scale, view, strength)
        difference = (found.int() - wanted.int()).abs()
        assert difference.max() <= 1, (turn, dtype, difference.max())
        assert (difference > 0).float().mean() < 0.002

# What is equalised goes another way.
thermal = ThermalImage(raw.to(device), ThermalState.LIVE, True, None, None)
assert whole(image.to(device), order, thermal, there, 1.0) is None
print('equal')
"""


def test_a_whole_frame_is_what_its_parts_are() -> None:
    assert_equal_by_triton(CHECK)
