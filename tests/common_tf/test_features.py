"""Frozen networks as measures of likeness."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from common_tf.backbones import NetworkSpec, build_network
from common_tf.errors import UserError
from common_tf.features import load_feature_maps
from common_tf.imagenet import load_imagenet
from common_tf.runs.saved_detector import save_detector

SPEC = NetworkSpec("small", side=64, channels=3, classes=2, filters=6, dropout=0.0, seed=0)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs") / "detector"
    (folder / "weights").mkdir(parents=True)
    save_detector(folder, build_network(SPEC, policy="float32"), SPEC, step=1)
    return folder


def test_a_detector_gives_its_last_map_of_each_resolution(run, random):
    maps = load_feature_maps(str(run))
    images = tf.constant(random.uniform(-1, 1, (2, 64, 64, 1)).astype(np.float32))
    sizes = [one.shape[1] for one in maps(images)]
    assert sizes == [16, 8, 4, 2] and all(one.dtype == tf.float32 for one in maps(images))
    assert "detector" in maps.description and not maps.network.trainable_variables
    # What it gives last is what its own head pools.
    network = build_network(SPEC, policy="float32")
    last = tf.keras.Model(network.input, network.get_layer("last_convolution").output)
    np.testing.assert_allclose(maps(images)[-1], last(tf.repeat(images, 3, axis=-1)), atol=1e-6)


def test_images_of_another_size_are_resized_and_gradients_pass(run):
    maps = load_feature_maps(str(run))
    images = tf.Variable(tf.random.stateless_uniform([1, 96, 96, 1], [0, 1]))
    with tf.GradientTape() as tape:
        loss = tf.add_n([tf.reduce_mean(tf.square(one)) for one in maps(images)])
    assert maps(images)[0].shape[1] == 16 and float(tf.reduce_max(tf.abs(tape.gradient(loss, images)))) > 0


@pytest.mark.parametrize(
    "extractor, reason",
    [
        (
            "nonsense",
            "wants efficientnetlite0, vgg16, vgg19, a file of VGG's weights, or the folder of a detector's run",
        ),
        ("", "wants efficientnetlite0|no weights/detector.json in it"),
        ("vgg16_absent.h5", "wants efficientnetlite0"),
    ],
)
def test_what_is_no_extractor_is_refused_by_name(extractor, reason):
    with pytest.raises(UserError, match=f"--set extractor={extractor}.*({reason})"):
        load_feature_maps(extractor)


def test_a_folder_without_a_detector_says_what_it_has(tmp_path, run):
    with pytest.raises(UserError, match="no weights/detector.json in it; give the folder of a detector's run"):
        load_feature_maps(str(tmp_path))
    with pytest.raises(UserError, match=f"give the folder of one of its folds, such as {run}"):
        load_feature_maps(str(run.parent))


def test_a_network_of_one_convolution_has_two_maps(tmp_path):
    spec = replace(SPEC, backbone="original", side=50, channels=1)
    (tmp_path / "weights").mkdir()
    save_detector(tmp_path, build_network(spec, policy="float32"), spec, step=1)
    maps = load_feature_maps(str(tmp_path))
    assert [one.shape[1] for one in maps(tf.zeros([1, 50, 50, 1]))] == [46, 23]


def test_weights_that_cannot_be_had_are_said_and_never_drawn(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))

    def no_net(*_, **__):
        raise Exception("URL fetch failure")

    monkeypatch.setattr(tf.keras.utils, "get_file", no_net)
    with pytest.raises(
        UserError, match="--set extractor=vgg19: wants .*vgg19_weights.*cannot be downloaded .*URL fetch"
    ):
        load_feature_maps("vgg19")
    (tmp_path / "vgg16.h5").write_text("hello")
    with pytest.raises(UserError, match="vgg16.h5; the file is damaged or of another network"):
        load_feature_maps(str(tmp_path / "vgg16.h5"))
    with pytest.raises(UserError, match="--flag: no such file; wants vgg16"):
        load_imagenet("vgg16", lambda weights: None, flag="--flag", way_out="no", file=tmp_path / "absent.h5")


def test_vgg_maps_are_taken_before_their_relu_and_go_on_behind_it(tmp_path, random, save_as_keras_2):
    network = tf.keras.applications.VGG16(include_top=False, weights=None, input_shape=(None, None, 3))
    file = tmp_path / "vgg16_drawn.h5"
    save_as_keras_2(network, file)
    maps = load_feature_maps(str(file))
    images = tf.constant(random.uniform(-1, 1, (1, 32, 32, 1)).astype(np.float32))
    found = maps(images)
    bgr = tf.repeat((images + 1) * 127.5, 3, axis=-1)[..., ::-1] - [103.939, 116.779, 123.68]
    names = ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3")
    taps = tf.keras.Model(network.input, [network.get_layer(name).output for name in names])
    for before, after in zip(found, taps(bgr), strict=True):
        assert float(tf.reduce_min(before)) < 0
        np.testing.assert_allclose(tf.nn.relu(before), after, rtol=1e-3, atol=1e-3)


def test_the_usual_extractor_needs_no_download_and_passes_gradients(random):
    maps = load_feature_maps("efficientnetlite0")
    images = tf.Variable(random.uniform(-1, 1, (1, 64, 64, 1)).astype(np.float32))
    with tf.GradientTape() as tape:
        found = maps(images)
        loss = tf.add_n([tf.reduce_mean(tf.square(one)) for one in found])
    assert [one.shape[1:] for one in found] == [(16, 16, 24), (8, 8, 40), (4, 4, 112), (2, 2, 320)]
    assert float(tf.reduce_max(tf.abs(tape.gradient(loss, images)))) > 0 and not maps.network.trainable_variables
    colours = maps(tf.repeat(images, 3, axis=-1))
    for mine, theirs in zip(found, colours):
        np.testing.assert_allclose(mine, theirs, atol=1e-4)
