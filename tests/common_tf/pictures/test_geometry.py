import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from common_tf.pictures.geometry import Frame, head_extent, head_frame, put_back, resize, take, whole_frame

SIDES = st.integers(1, 60)


@given(SIDES, SIDES)
@settings(max_examples=50, deadline=None)
def test_whole_frame_pads_and_comes_back_exactly(height, width):
    image = np.random.default_rng(height * 100 + width).uniform(size=(height, width)).astype(np.float32)
    frame = whole_frame(height, width)
    square = take(image, frame, frame.side, fill=0.5)
    assert square.shape == (max(height, width),) * 2
    np.testing.assert_array_equal(put_back(square, frame, fill=0.5), image)


@given(st.integers(-20, 40), st.integers(-20, 40), st.integers(1, 50), SIDES, SIDES)
@settings(max_examples=100, deadline=None)
def test_any_frame_takes_and_puts_back_what_it_covers(top, left, side, height, width):
    image = np.random.default_rng(side).uniform(size=(height, width)).astype(np.float32)
    frame = Frame(height=height, width=width, top=top, left=left, side=side)
    rows = slice(min(max(top, 0), height), min(max(top + side, 0), height))
    columns = slice(min(max(left, 0), width), min(max(left + side, 0), width))
    back = put_back(take(image, frame, side, fill=-1.0), frame, fill=-1.0)
    expected = np.full_like(image, -1)
    expected[rows, columns] = image[rows, columns]
    np.testing.assert_array_equal(back, expected)


def test_aspect_ratio_is_kept():
    image = np.zeros((40, 80), np.float32)
    image[10:30, 30:50] = 1  # a square stays a square
    square = take(image, whole_frame(40, 80), 40) > 0.5
    assert np.ptp(np.flatnonzero(square.any(0))) == np.ptp(np.flatnonzero(square.any(1)))


def test_padding_continues_the_border():
    image = np.full((20, 40), 0.3, np.float32)
    image[10, 20] = 1
    assert take(image, whole_frame(20, 40), 40)[0, 0] == pytest.approx(0.3)


def test_resize_is_antialiased_and_keeps_range_and_mean():
    stripes = np.zeros((64, 64), np.float32)
    stripes[:, ::2] = 1
    small = resize(stripes, 16, 16)
    assert small.min() >= 0 and small.max() <= 1
    # Sampling without antialiasing would give 0 or 1 everywhere.
    np.testing.assert_allclose(small, 0.5, atol=0.05)


def test_resize_up_and_down_is_nearly_identity():
    y, x = np.mgrid[0:48, 0:48] / 48
    smooth = (np.sin(6 * x) * np.cos(5 * y) / 2 + 0.5).astype(np.float32)
    np.testing.assert_allclose(resize(resize(smooth, 96, 96), 48, 48), smooth, atol=0.01)


def test_head_frame_centres_and_keeps_relative_size():
    mask = np.zeros((100, 100), bool)
    mask[20:60, 30:50] = True
    frame = head_frame(mask, reference=0.8, margin=0.0)
    assert frame.side == 80 and head_extent(mask) == 0.4
    assert (frame.top + frame.side / 2, frame.left + frame.side / 2) == (40, 40)
    # A head larger than usual is not cut.
    assert head_frame(np.ones((100, 100), bool), reference=0.5, margin=0.1).side == 120


def test_no_head_is_the_whole_picture():
    assert head_frame(np.zeros((30, 50), bool), reference=0.8) == whole_frame(30, 50)
    assert head_extent(np.zeros((30, 50), bool)) == 0


def test_wrong_frame_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        take(np.zeros((4, 4)), whole_frame(5, 5), 4)
