"""Blocks translated cube by cube."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import ndimage

from cyclegan_tf.sliding_window import cube_starts, slide


@given(st.integers(4, 40), st.integers(0, 60), st.floats(0, 0.9))
def test_cubes_begin_at_the_beginning_end_at_the_end_and_overlap_enough(side, more, overlap):
    length = side + more
    starts = cube_starts(length, side, overlap)
    assert starts[0] == 0 and starts[-1] == length - side and starts == sorted(set(starts))
    steps = np.diff(starts)
    assert (steps <= max(1, np.ceil(side * (1 - overlap)))).all()
    # No cube more than that needs.
    assert len(starts) <= np.ceil(more / max(1, int(side * (1 - overlap)))) + 1


def test_a_block_that_holds_no_cube_is_an_error():
    with pytest.raises(ValueError, match="holds no cube"):
        cube_starts(7, 8, 0.5)


@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.8])
def test_a_network_that_changes_nothing_gives_the_block_back(overlap, random):
    pixels = random.uniform(size=(19, 12, 14)).astype(np.float32)
    pixels[:9] = 0  # background, which the network is not asked about
    made = slide(pixels, lambda cubes: cubes, side=8, overlap=overlap)
    np.testing.assert_allclose(made, pixels, atol=1e-5)
    assert made.dtype == np.float32


def test_what_lies_wholly_outside_the_head_stays_background():
    pixels = np.zeros((24, 8, 8), np.float32)
    pixels[:4] = 0.5
    made = slide(pixels, lambda cubes: cubes + 1, side=8, overlap=0.0)
    np.testing.assert_array_equal(made[8:], 0)
    np.testing.assert_array_equal(made[:4], 1.5)


def test_where_cubes_lie_hardly_matters_to_a_local_network(random):
    """A filter errs at the borders of cubes, where the weights are least: the more they overlap, the less is left."""
    pixels = ndimage.gaussian_filter(random.uniform(size=(48, 48, 48)), 2).astype(np.float32)
    pixels = (pixels - pixels.min()) / np.ptp(pixels)

    def blurred(cubes):
        return ndimage.gaussian_filter(cubes, (0, 1, 1, 1), mode="nearest")

    whole = blurred(pixels[None])[0]
    errors = [np.abs(slide(pixels, blurred, side=24, overlap=overlap) - whole).mean() for overlap in (0.0, 0.5, 0.75)]
    assert max(errors[1:]) < 0.05 * errors[0]
