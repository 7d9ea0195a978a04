"""Every encoding, byte order, padding and size against a decoder of one pixel at a time."""

import struct

from ir_vis_fusion.preprocessing.encodings import decode, SUPPORTED_ENCODINGS
from ir_vis_fusion.types import PixelEncoding, RawImage, Role
import numpy as np
import pytest

hypothesis = pytest.importorskip('hypothesis')
st = hypothesis.strategies
settings = hypothesis.settings(deadline=None, derandomize=True, max_examples=300)

FORMATS = {'mono8': 'B', '8UC1': 'B', 'mono16': 'H', '16UC1': 'H', '32FC1': 'f'}
ORDERS = {'rgb8': 'rgb', 'bgr8': 'bgr', '8UC3': 'bgr', 'rgba8': 'rgba', 'bgra8': 'bgra'}
# Where a pair of pixels has its Y, U, Y, V.
PACKED = {'yuv422': 'uyvy', 'uyvy': 'uyvy', 'yuv422_yuy2': 'yuyv', 'yuyv': 'yuyv'}
BAYER = tuple(name for name in SUPPORTED_ENCODINGS if name.startswith('bayer_'))
WHITE = {'B': 255, 'H': 65535}


def row_bytes(encoding: str, width: int) -> int:
    if encoding in FORMATS:
        return width * struct.calcsize(FORMATS[encoding])
    if encoding in ORDERS:
        return width * len(ORDERS[encoding])
    return width * (2 if encoding in PACKED else 1)


@st.composite
def messages(draw: st.DrawFn, encodings: tuple[str, ...]) -> RawImage:
    """Draw an image whose bytes are chance, the padding too."""
    encoding = draw(st.sampled_from(encodings))
    even = encoding in PACKED or encoding == 'nv12'
    side = st.integers(1, 9).map(lambda n: 2 * n if even or encoding in BAYER else n)
    height, width = draw(side), draw(side)
    step = row_bytes(encoding, width) + draw(st.integers(0, 9))
    rows = height * 3 // 2 if encoding == 'nv12' else height
    # The last row may lack its padding.
    spare = draw(st.integers(0, step - row_bytes(encoding, width)))
    data = np.random.default_rng(draw(st.integers(0, 2**32))).bytes(rows * step - spare)
    return RawImage(height, width, encoding, draw(st.booleans()), step, bytearray(data))


def samples(image: RawImage) -> np.ndarray:
    """Read each sample of a mono image by itself."""
    form = ('>' if image.is_bigendian else '<') + FORMATS[image.encoding]
    size = struct.calcsize(form)
    return np.array(
        [
            [
                struct.unpack_from(form, image.data, y * image.step + x * size)[0]
                for x in span(image)
            ]
            for y in range(image.height)
        ]
    )


def span(image: RawImage) -> range:
    return range(image.width)


def colors(image: RawImage) -> np.ndarray:
    """Read each pixel of a colour image as R, G, B."""
    order = ORDERS[image.encoding]
    starts = [[y * image.step + x * len(order) for x in span(image)] for y in range(image.height)]
    return np.array(
        [[[image.data[at + order.index(c)] for c in 'rgb'] for at in r] for r in starts]
    )


def yuv(image: RawImage) -> np.ndarray:
    """Read each pixel's Y, U and V, which it shares with its neighbours."""
    at, step = image.data, image.step
    found = np.zeros((image.height, image.width, 3))
    for y in range(image.height):
        for x in span(image):
            if image.encoding == 'nv12':
                chroma = (image.height + y // 2) * step + x // 2 * 2
                found[y, x] = at[y * step + x], at[chroma], at[chroma + 1]
            else:
                order, pair = PACKED[image.encoding], y * step + x // 2 * 4
                luma = [i for i, letter in enumerate(order) if letter == 'y'][x % 2]
                found[y, x] = [at[pair + i] for i in (luma, order.index('u'), order.index('v'))]
    return found


def rgb(image: RawImage) -> np.ndarray:
    frame = decode(image, Role.VISIBLE)
    assert (frame.image.dtype, frame.image.shape) == (np.uint8, (image.height, image.width, 3))
    return frame.image[..., ::-1] if frame.encoding is PixelEncoding.BGR8 else frame.image


@settings
@hypothesis.given(image=messages(tuple(FORMATS)))
def test_a_thermal_sample_is_what_its_bytes_say(image: RawImage) -> None:
    frame = decode(image, Role.THERMAL)
    assert frame.image.dtype == np.dtype('=' + FORMATS[image.encoding].replace('B', 'u1'))
    # As bytes: a chance float is NaN now and then.
    expected = samples(image).astype(frame.image.dtype)
    np.testing.assert_array_equal(frame.image, expected)


@settings
@hypothesis.given(image=messages(('mono8', '8UC1', 'mono16', '16UC1')))
def test_a_visible_mono_sample_is_its_share_of_white_three_times(image: RawImage) -> None:
    expected = np.round(samples(image) * (255 / WHITE[FORMATS[image.encoding]]))
    np.testing.assert_array_equal(rgb(image), np.repeat(expected[..., None], 3, axis=2))


@settings
@hypothesis.given(image=messages(tuple(ORDERS)))
def test_a_visible_pixel_is_what_its_bytes_say_and_a_thermal_one_its_luminance(
    image: RawImage,
) -> None:
    expected = colors(image)
    np.testing.assert_array_equal(rgb(image), expected)
    gray = decode(image, Role.THERMAL).image
    np.testing.assert_allclose(gray, expected @ [0.299, 0.587, 0.114], atol=0.51)


@settings
@hypothesis.given(image=messages((*PACKED, 'nv12')))
def test_yuv_pixels_follow_the_formula_of_bt_601(image: RawImage) -> None:
    y, u, v = np.moveaxis(yuv(image) - [16, 128, 128], -1, 0)
    # ITU-R BT.601, studio range; luma below black counts as black in OpenCV.
    y = 1.164 * np.maximum(y, 0)
    expected = np.stack([y + 1.596 * v, y - 0.813 * v - 0.391 * u, y + 2.018 * u], -1)
    np.testing.assert_allclose(rgb(image), np.clip(expected, 0, 255), atol=2)


@settings
@hypothesis.given(image=messages(BAYER))
def test_a_bayer_pixel_keeps_the_colour_that_it_saw(image: RawImage) -> None:
    """Of the inner ones; at the border OpenCV repeats its neighbours."""
    found, pattern = rgb(image), image.encoding[len('bayer_') : -1]
    for y in range(1, image.height - 1):
        for x in range(1, image.width - 1):
            letter = pattern[y % 2 * 2 + x % 2]
            assert found[y, x, 'rgb'.index(letter)] == image.data[y * image.step + x]


def test_no_encoding_is_left_out() -> None:
    assert {*FORMATS, *ORDERS, *PACKED, *BAYER, 'nv12'} == SUPPORTED_ENCODINGS
