"""From files to batches: enhancement, order and augmentation."""

import numpy as np
import pytest
import tensorflow as tf

from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.pictures.picture import Picture
from common_tf.pictures.preparation import Preparation
from common_tf.sources.cache import PreparedSlices
from detector_tf.augmentation import Augmentation
from detector_tf.batches import Batches, Squares
from detector_tf.config import make_config
from detector_tf.preprocessing import DetectorInput, Enhancement, eight_bits

NOTHING = dict(flip=False, rotation=0.0, shift=0.0, zoom=0.0, contrast=0.0, noise=0.0)


def _squares(count: int, *, channels: int = 1, planes: int = 1) -> Squares:
    random = np.random.default_rng(0)
    prepared = [
        PreparedSlices(random.integers(0, 256, (count, 8, 8), dtype=np.uint8), np.ones((count, 8, 8), bool))
        for _ in range(planes)
    ]
    return Squares(prepared, channels, Enhancement(), np.arange(count))


def test_augmentation_follows_from_seed_and_step():
    settings = make_config({}).augmentation
    images = tf.constant(np.random.default_rng(0).uniform(0.2, 0.8, (4, 32, 32, 1)).astype(np.float32))
    masks, step = tf.cast(images > 0.6, tf.float32), tf.constant(5, tf.int64)
    first, again = (Augmentation(settings, seed=0)(images, step, masks) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert np.abs(Augmentation(settings, seed=0)(images, step + 1)[0] - first[0]).max() > 0.05
    assert np.abs(Augmentation(settings, seed=1)(images, step)[0] - first[0]).max() > 0.05
    assert set(np.unique(first[1])) <= {0.0, 1.0}
    assert float(tf.reduce_min(first[0])) >= 0 and float(tf.reduce_max(first[0])) <= 1
    same, none = Augmentation(make_config(NOTHING).augmentation, seed=0)(images, step)
    np.testing.assert_array_equal(same, images)
    assert none is None


class _Draws:
    """Numbers that follow from how many were drawn before."""

    def __init__(self):
        self._count = 0

    def uniform(self, shape, minval=0.0, maxval=1.0, dtype=None):
        self._count += 1
        return tf.random.stateless_uniform(shape, (3, self._count), minval, maxval, dtype or tf.float32)


@pytest.mark.parametrize("what", [{"flip": True}, {"rotation": 30.0}, {"shift": 0.2}, {"zoom": 0.3}, {"contrast": 0.4}])
def test_our_layers_do_what_those_of_keras_cv_do(what):
    pytest.importorskip("keras_cv", reason="no keras-cv in this lane")
    from detector_tf import augmentation_layers, keras_cv_layers

    settings = make_config({**NOTHING, **what}).augmentation
    images = tf.constant(np.random.default_rng(0).uniform(0, 1, (8, 32, 24, 2)).astype(np.float32))
    results = []
    for module in (augmentation_layers, keras_cv_layers):
        random, changed = _Draws(), images
        for change in (*module.geometric(settings, random), *module.photometric(settings, random)):
            changed = change(changed)
        results.append(changed.numpy())
    assert np.abs(results[0] - images).max() > 0.05
    np.testing.assert_allclose(*results, atol=2e-5)


def test_masks_move_as_the_images_do():
    image = np.zeros((2, 64, 64, 1), np.float32)
    image[:, 20:30, 12:24] = 1
    settings = make_config({**NOTHING, "flip": True, "rotation": 30.0, "shift": 0.2}).augmentation
    augment, given = Augmentation(settings, seed=0), tf.constant(image)
    for step in range(3):
        moved, mask = augment(given, tf.constant(step, tf.int64), given)
        np.testing.assert_array_equal(mask, tf.cast(moved > 0.5, tf.float32))
        assert np.abs(mask - image).max() == 1


def test_batches_see_every_image_once_an_epoch():
    images = _squares(20)
    batches = Batches(images, {"labels": np.arange(20)}, np.arange(3, 17), batch_size=4, seed=0)
    assert batches.steps_per_epoch == 4
    seen = np.concatenate([batches.indices(step) for step in range(7)])
    assert sorted(seen[:14]) == list(range(3, 17)) and sorted(seen[14:28]) == list(range(3, 17))
    assert list(seen[:14]) != list(seen[14:28])
    later = next(batches.from_step(5))
    np.testing.assert_array_equal(later["labels"], batches.indices(5))
    np.testing.assert_array_equal(later["images"], images[batches.indices(5)])


def test_squares_are_read_as_they_are_wanted():
    gray, colour = _squares(6, channels=3), _squares(6, channels=3, planes=3)
    assert gray[2:4].shape == colour[[1, 5]].shape == (2, 8, 8, 3)
    np.testing.assert_array_equal(gray[1:2][..., 0], gray[1:2][..., 2])
    np.testing.assert_array_equal(colour[:][..., 2], colour.planes[2].pixels)
    some = colour.only(np.array([False, True, False, True, True, False]))
    assert len(some) == 3
    np.testing.assert_array_equal(some[[2, 0]], colour[[4, 1]])


def test_enhancement_is_off_by_default_and_changes_only_the_head():
    data = make_config({}).data
    assert (data.median, data.clahe) == (0, False)
    phantom = draw_phantom(3, size=64)
    square = quantise(np.where(phantom.head, np.maximum(phantom.mri, 0.01), 0))
    np.testing.assert_array_equal(Enhancement()(square, phantom.head), square)
    enhanced = Enhancement(clahe=True)(square, phantom.head)
    assert np.abs(enhanced.astype(int) - square).max() > 12
    np.testing.assert_array_equal(enhanced[~phantom.head], square[~phantom.head])
    speck = np.zeros((9, 9), np.uint8)
    speck[4, 4] = 255
    assert not Enhancement(median=3)(speck, speck > 0).any()


def test_a_deep_picture_becomes_the_square_of_its_8_bit_copy():
    mri = draw_phantom(3, size=64).mri
    eight = Preparation("whole", 1.0)
    deep = Preparation("whole", 1.0, depth=16, low=0.0, high=4095.0)
    picture = Picture(np.round(mri * 4095).astype(np.uint16), high=65535.0)
    shallow = DetectorInput(eight, 32).square(Picture(quantise(mri)))
    assert np.abs(DetectorInput(deep, 32).square(picture).astype(int) - shallow).max() <= 1
    with pytest.raises(ValueError, match="for_files"):
        DetectorInput(eight, 32).square(picture)
    np.testing.assert_array_equal(eight_bits(np.array([0, 128, 129, 65535], np.uint16)), [0, 0, 1, 255])
