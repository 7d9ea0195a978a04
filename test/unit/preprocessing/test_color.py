"""Luma and its exchange."""

from ir_vis_fusion.preprocessing import color
from ir_vis_fusion.preprocessing.color import from_rgb, luma, recombine, swap_colors, to_rgb
from ir_vis_fusion.types import PixelEncoding
import pytest
import torch

RGB = PixelEncoding.RGB8


def image(seed=0, size=(48, 64)):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (*size, 3), dtype=torch.uint8, generator=generator)


def pixel(red, green, blue):
    return torch.tensor([[[red, green, blue]]], dtype=torch.uint8)


def value(number):
    return torch.full((1, 1), number)


@pytest.mark.parametrize(
    ('color', 'expected'),
    [
        ((0, 0, 0), 0.0),
        ((255, 255, 255), 1.0),
        ((255, 0, 0), 0.299),
        ((0, 255, 0), 0.587),
        ((0, 0, 255), 0.114),
        ((200, 100, 50), (59.8 + 58.7 + 5.7) / 255),
    ],
)
def test_luma_is_that_of_bt601_in_either_order(color, expected):
    assert luma(pixel(*color), RGB).item() == pytest.approx(expected, abs=1e-6)
    bgr = luma(pixel(*color[::-1]), PixelEncoding.BGR8)
    assert bgr.item() == pytest.approx(expected, abs=1e-6)


def test_luma_has_the_image_size_and_takes_views_with_alpha_and_padding():
    padded = torch.cat([image(), image(1)[..., :1]], dim=2)[:, :50, :3]
    result = luma(padded, RGB)
    assert (result.shape, result.dtype) == ((48, 50), torch.float32)
    torch.testing.assert_close(result, luma(padded.contiguous(), RGB))


@pytest.mark.parametrize('encoding', [RGB, PixelEncoding.BGR8])
def test_luma_in_bytes_is_the_rounded_one(encoding):
    padded = image(size=(200, 300))[:, :250]
    levels = luma(padded, encoding, torch.uint8)
    assert (levels.shape, levels.dtype) == ((200, 250), torch.uint8)
    # OpenCV's weights are 14-bit integers.
    exact = 255 * luma(padded, encoding)
    torch.testing.assert_close(levels.to(torch.float32), exact, atol=0.51, rtol=0)


@pytest.mark.parametrize('dtype', [torch.float32, torch.uint8])
@pytest.mark.parametrize('encoding', [RGB, PixelEncoding.BGR8])
def test_the_same_luma_gives_the_image_back_to_the_bit(encoding, dtype):
    grays = torch.arange(256).to(torch.uint8).reshape(1, 256, 1).expand(-1, -1, 3)
    for colors in (image(size=(400, 500)), grays):
        y = luma(colors, encoding, dtype)
        assert torch.equal(recombine(colors, y, y), colors)


def test_what_gets_darker_keeps_its_chroma():
    # C' = F + (C - Y): all three fall by 0.2 * 255 = 51.
    source = pixel(90, 100, 110)
    y = luma(source, RGB)
    result = recombine(source, y, y - 0.2)
    assert result.flatten().tolist() == [39, 49, 59]


@pytest.mark.parametrize(('rise', 'share'), [(1 / 24, 4 / 5), (1 / 12, 1 / 2), (1 / 4, 1 / 10)])
def test_chroma_fades_where_light_is_added(rise, share):
    source = pixel(70, 80, 100)
    y = luma(source, RGB)
    result = recombine(source, y, y + rise).to(torch.float32)
    expected = (y + rise)[..., None] * 255 + share * (source - y[..., None] * 255)
    torch.testing.assert_close(result, expected, atol=0.501, rtol=0)


def test_results_are_clamped():
    assert recombine(pixel(255, 0, 0), value(0.299), value(1.0)).max() == 255
    assert recombine(pixel(255, 0, 0), value(0.299), value(0.0)).min() == 0


@pytest.mark.parametrize('fused', [0.0, 0.25, 0.4, 1.0])
def test_grey_stays_grey_and_becomes_the_fused_luma(fused):
    gray = image()[..., :1].expand(-1, -1, 3)
    y = luma(gray, RGB)
    result = recombine(gray, y, torch.full_like(y, fused))
    assert result.is_contiguous()
    assert result.unique().tolist() == [int(fused * 255 + 0.5)]


def test_the_order_of_colours_does_not_matter():
    source = image()
    fused = luma(image(1), RGB)
    y = luma(source, RGB)
    swapped = recombine(source.flip(-1), y, fused)
    assert torch.equal(swapped.flip(-1), recombine(source, y, fused))


def test_the_luma_of_the_result_is_the_fused_luma_where_nothing_is_clamped():
    source = image() // 4 + 96
    y = luma(source, RGB)
    fused = (y + 0.2 * (luma(image(1), RGB) - 0.5)).clamp(0.3, 0.7)
    result = luma(recombine(source, y, fused), RGB)
    torch.testing.assert_close(result, fused, atol=0.51 / 255, rtol=0)


@pytest.mark.parametrize('encoding', [PixelEncoding.RGB8, PixelEncoding.BGR8])
def test_to_rgb_and_back_is_the_same_image_in_either_order(encoding):
    rgb = to_rgb(pixel(51, 102, 255), encoding)
    values = (0.2, 0.4, 1.0) if encoding is RGB else (1.0, 0.4, 0.2)
    torch.testing.assert_close(rgb, torch.tensor(values).view(1, 3, 1, 1))
    assert torch.equal(from_rgb(to_rgb(image(), encoding), encoding), image())


def test_from_rgb_rounds_and_clamps():
    planes = torch.tensor((-0.1, 0.7 / 255, 1.2)).view(1, 3, 1, 1)
    assert from_rgb(planes, RGB).tolist() == [[[0, 1, 255]]]


def test_bytes_are_recombined_like_floats():
    """Exactly where the chroma is kept; there is no fringe anywhere."""
    source, change = image(size=(512, 256)), torch.arange(-256, 256)[:, None]
    y = luma(source, RGB, torch.uint8)
    fused = (y + change).clamp(0, 255).to(torch.uint8)
    levels = recombine(source, y, fused).to(torch.float32)
    floats = recombine(source, y / 255, fused / 255).to(torch.float32)
    kept = fused <= y
    assert torch.equal(levels[kept], floats[kept])
    torch.testing.assert_close(levels, floats, atol=2, rtol=0)
    assert ((levels - floats).abs() > 1).float().mean() < 1e-4


@pytest.mark.parametrize('encoding', [RGB, PixelEncoding.BGR8])
def test_in_bytes_the_luma_of_the_result_is_the_fused_one(encoding):
    """Where nothing is clamped; the colours of a result are rounded, and its luma too."""
    source = image(size=(128, 256)) // 4 + 64
    y = luma(source, encoding, torch.uint8)
    fused = y + torch.arange(64).to(torch.uint8).repeat(4)
    result = recombine(source, y, fused, encoding=encoding)
    found = luma(result, encoding, torch.uint8).to(torch.float32)
    torch.testing.assert_close(found, fused.to(torch.float32), atol=0, rtol=0)


def test_grey_in_bytes_stays_grey():
    gray = image(size=(256, 256))[..., :1].expand(-1, -1, 3)
    fused = torch.arange(256).to(torch.uint8)[:, None].expand(256, 256)
    result = recombine(gray, luma(gray, RGB, torch.uint8), fused)
    assert torch.equal(result, fused[..., None].expand(-1, -1, 3))


def test_swapped_colours_are_those_of_the_other_order():
    padded = image()[:, :50]
    swapped = swap_colors(padded)
    assert torch.equal(swapped, padded.flip(-1))
    assert torch.equal(swap_colors(swapped), padded)


def test_kernels_that_do_not_work_are_told_and_done_without() -> None:
    """Triton has no kernels for a CPU."""
    with pytest.warns(RuntimeWarning, match='do not work here .*torch does the same, slower'):
        assert color._working_kernels.__wrapped__(torch.device('cpu')) is None
