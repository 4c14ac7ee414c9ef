import io

import numpy as np
import pytest
from PIL import Image

from common_tf.pictures.masks import mask_notes, read_mask

DISC = np.hypot(*(np.mgrid[-1:1:40j, -1:1:40j])) < 0.6


@pytest.mark.parametrize("value", [1, 2, 255])
def test_a_mask_of_any_one_value_is_the_same(value):
    found = read_mask(DISC.astype(np.uint8) * value)
    np.testing.assert_array_equal(found.inside, DISC)
    assert found.labels == (value,)


def test_every_label_is_inside_and_is_said():
    labels = DISC.astype(np.uint8)
    labels[18:22, 18:22] = 3
    found = read_mask(labels)
    np.testing.assert_array_equal(found.inside, DISC)
    assert mask_notes(found) == ("mask values 1, 3; all but 0 is inside",)
    assert mask_notes(read_mask(DISC.astype(np.uint8))) == mask_notes(read_mask(np.zeros_like(labels))) == ()


@pytest.mark.parametrize("scale", [1, 257])
def test_a_blurred_mask_is_cut_at_half_of_its_largest_value(scale):
    buffer = io.BytesIO()
    Image.fromarray(DISC.astype(np.uint8) * 255).save(buffer, "JPEG", quality=60)
    blurred = np.asarray(Image.open(buffer)).astype(np.uint16) * scale
    assert (blurred[~DISC] > 0).sum() > 20  # what is not zero is not inside here
    found = read_mask(blurred)
    np.testing.assert_array_equal(found.inside, DISC)
    assert found.labels == ()


def test_an_empty_mask_has_nothing_inside():
    found = read_mask(np.zeros((4, 4), np.uint8))
    assert not found.inside.any() and found.labels == ()


def test_a_coloured_mask_counts_by_its_brightest_channel():
    colour = np.stack([np.zeros_like(DISC), DISC, np.zeros_like(DISC)], axis=-1).astype(np.uint8)
    np.testing.assert_array_equal(read_mask(colour).inside, DISC)
