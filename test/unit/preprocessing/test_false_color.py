"""Palettes are told from grey images in three channels."""

import cv2
from ir_vis_fusion.preprocessing.encodings import decode
from ir_vis_fusion.types import CompressedImage, RawImage, Role
import numpy as np
import pytest

GREY = np.clip(np.random.default_rng(0).normal(120, 50, (120, 160)), 0, 255).astype(np.uint8)
PALETTES = [cv2.COLORMAP_INFERNO, cv2.COLORMAP_JET, cv2.COLORMAP_HOT, cv2.COLORMAP_PLASMA]


def raw(image, encoding='bgr8', role=Role.THERMAL):
    height, width = image.shape[:2]
    data = bytearray(image.tobytes())
    return decode(RawImage(height, width, encoding, False, image.strides[0], data), role)


@pytest.mark.parametrize('palette', PALETTES)
def test_the_colours_of_a_palette_are_recognised(palette):
    frame = raw(cv2.applyColorMap(GREY, palette))
    assert frame.false_color
    assert frame.image.shape == GREY.shape


def test_grey_in_three_channels_is_no_palette_and_keeps_its_levels():
    frame = raw(np.repeat(GREY[..., None], 3, axis=2))
    assert not frame.false_color
    np.testing.assert_array_equal(frame.image, GREY)


def test_text_burnt_into_a_grey_image_is_no_palette():
    image = np.repeat(GREY[..., None], 3, axis=2)
    cv2.putText(image, '25.3 C', (5, 40), cv2.FONT_HERSHEY_SIMPLEX, 1.0, (0, 255, 0), 3)
    assert not raw(image).false_color


@pytest.mark.parametrize(('palette', 'expected'), [(None, False), (cv2.COLORMAP_JET, True)])
def test_jpeg_hides_neither(palette, expected):
    image = np.repeat(GREY[..., None], 3, axis=2)
    if palette is not None:
        image = cv2.applyColorMap(GREY, palette)
    _, data = cv2.imencode('.jpg', image, (cv2.IMWRITE_JPEG_QUALITY, 60))
    frame = decode(CompressedImage('jpeg', data.tobytes()), Role.THERMAL)
    assert frame.false_color is expected


def test_a_visible_image_is_colourful_and_no_matter():
    assert not raw(cv2.applyColorMap(GREY, cv2.COLORMAP_JET), role=Role.VISIBLE).false_color


def test_one_channel_has_no_palette():
    assert not raw(GREY, 'mono8').false_color
