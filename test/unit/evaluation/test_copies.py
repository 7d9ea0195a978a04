"""Mirrored and cropped copies: labels stay on what they are labels of."""

from ir_vis_fusion.evaluation.copies import Copy, draw_copies
import numpy as np
import pytest

HEIGHT, WIDTH = 48, 64
# Class 2 at columns 24-40 and rows 12-36; class 0 at columns 0-8, rows 0-8.
LABELS = np.array([[2, 0.5, 0.5, 0.25, 0.5], [0, 4 / 64, 4 / 48, 8 / 64, 8 / 48]])


@pytest.mark.parametrize('mirrored', [False, True])
@pytest.mark.parametrize('margins', [(0.0,) * 4, (2 / 64, 3 / 48, 5 / 64, 0.0)])
def test_what_is_painted_in_a_label_is_in_the_copys_label(
    margins: tuple[float, ...], mirrored: bool
) -> None:
    copy = Copy(margins, mirrored)
    image = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    image[12:36, 24:40] = 200
    kind, left, top, right, bottom = copy.labels(LABELS, HEIGHT, WIDTH)[0]

    rows, columns = np.nonzero(copy.image(image)[..., 0])

    assert (kind, columns.min(), rows.min()) == (2, left, top)
    assert (columns.max() + 1, rows.max() + 1) == (right, bottom)


def test_objects_end_at_the_border_and_hardly_visible_ones_do_not_count() -> None:
    half = Copy((4 / 64, 0.0, 0.0, 0.0)).labels(LABELS, HEIGHT, WIDTH)
    assert half[1].tolist() == [0, 0, 0, 4, 8]
    quarter = Copy((6 / 64, 0.0, 0.0, 0.0)).labels(LABELS, HEIGHT, WIDTH)
    assert quarter[:, 0].tolist() == [2]


def test_the_picture_itself_comes_first_and_copies_are_the_same_every_time() -> None:
    copies = draw_copies(8)
    assert copies[0] == Copy()
    assert len(set(copies)) == 8
    assert draw_copies(3) == copies[:3]
