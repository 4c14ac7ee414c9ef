"""One update of a detector: what moves, at which rate, and in which mode."""

import math
from collections import Counter

import numpy as np
import pytest
import tensorflow as tf

from common_tf.backbones import build_network
from common_tf.errors import UserError
from common_tf.files import read_json
from common_tf.runs.saved_detector import load_detector_network
from detector_tf.config import make_config
from detector_tf.losses import classification_loss
from detector_tf.networks import chosen_policy, network_spec
from detector_tf.trainable import DetectorTrainable
from detector_tf.weights import Started

STILL = dict(flip=False, rotation=0.0, shift=0.0, zoom=0.0, contrast=0.0, noise=0.0)


def _trainable(folder, *, policy: str = "float32", total: int = 8, per_epoch: int = 2, **given) -> DetectorTrainable:
    config = make_config({"image_size": 32, "filters": 2, "batch_size": 4, **STILL, **given})
    spec = network_spec(config, classes=2)

    def loss(logits, truth):
        value, accuracy = classification_loss(
            logits, truth["labels"], classes=2, class_weights=tf.ones(2), label_smoothing=0.0
        )
        return value, {"accuracy": accuracy}

    return DetectorTrainable(
        config, Started(build_network(spec, policy=policy), spec, "here"), folder=folder, loss=loss,
        figures=lambda predict: {"score": 1.0}, policy=policy, steps_per_epoch=per_epoch, total_steps=total,
    )  # fmt: skip


def _batch(count: int = 4) -> dict:
    images = np.random.default_rng(0).integers(0, 256, (count, 32, 32, 1), dtype=np.uint8)
    return {"images": tf.constant(images), "labels": tf.constant(np.arange(count) % 2, tf.int32)}


def _step(trainable: DetectorTrainable, step: int) -> dict:
    return {name: float(value) for name, value in trainable.train_step(_batch(), tf.constant(step, tf.int64)).items()}


def test_the_rate_follows_from_the_step_alone(tmp_path):
    trainable = _trainable(tmp_path, total=10, learning_rate=2e-3)
    for step in (0, 4, 9):
        wanted = 2e-3 * (0.05 + 0.95 * (1 + math.cos(math.pi * step / 10)) / 2)
        assert trainable.rate(step) == pytest.approx(wanted)
    _step(trainable, 7)  # the first update of this object, as after a restore
    assert float(trainable.state.optimizers["body"].learning_rate) == pytest.approx(trainable.rate(7), rel=1e-6)
    given = dict(weights="runs/a", learning_rate=2e-3, head_epochs=2, head_learning_rate=0.1)
    started = _trainable(tmp_path, total=10, **given)
    assert [started.rate(step) for step in (0, 3)] == [0.1, 0.1]
    assert started.rate(4) == pytest.approx(2e-3) and started.rate(10) == pytest.approx(1e-4)


def _values(network):
    """By layer and number: names of variables are not unique in Keras 3."""
    return {f"{one.name}/{i}": value for one in network.layers for i, value in enumerate(one.get_weights())}


def _moved(network, before):
    return {name for name, value in _values(network).items() if np.any(value != before[name])}


def test_while_the_head_learns_dropout_is_on_and_frozen_norms_keep_their_statistics(tmp_path):
    losses = {}
    for dropout in (0.0, 0.9):
        trainable = _trainable(tmp_path, weights="runs/a", head_epochs=2, dropout=dropout)
        network = trainable.state.network
        before = _values(network)
        losses[dropout] = _step(trainable, 0)["loss"]
        assert _moved(network, before) == {"logits/0", "logits/1"}
    assert losses[0.0] != losses[0.9]
    # The masks of dropout are counted: another call is another mask.
    counts = [layer._calls.count for layer in network.layers if layer.name == "dropout"]
    assert int(counts[0]) == 1


def test_after_the_head_the_body_learns_and_norms_stay_frozen(tmp_path):
    trainable = _trainable(tmp_path, weights="runs/a", head_epochs=1, learning_rate=1e-2)
    network = trainable.state.network
    before = _values(network)
    _step(trainable, 2)
    moved = _moved(network, before)
    assert any("conv2d" in name for name in moved) and "logits/0" in moved
    assert not any("batch_normalization" in name for name in moved)


def test_fine_tuning_begins_at_a_layer_that_is_there(tmp_path):
    trainable = _trainable(tmp_path, weights="runs/a", head_epochs=0, fine_tune_from="last_convolution")
    before = _values(trainable.state.network)
    _step(trainable, 0)
    assert _moved(trainable.state.network, before) == {"logits/0", "logits/1"}
    with pytest.raises(UserError, match="fine_tune_from=nowhere: no such layer; there are .*last_convolution"):
        _trainable(tmp_path, weights="runs/a", fine_tune_from="nowhere")


def test_no_variable_is_stepped_twice(tmp_path):
    trainable = _trainable(tmp_path, weights="runs/a", head_epochs=1)
    for part, variables in trainable._learned.items():
        known = Counter(id(variable) for variable in variables)
        assert max(known.values()) == 1, part
        kernels = [v for v in trainable.state.optimizers[part].variables if v.shape == variables[-2].shape]
        assert len(kernels) == 2 * sum(v.shape == variables[-2].shape for v in variables)  # two moments each


def test_float16_scales_all_gradients_by_one_scale_and_leaves_overflows_out(tmp_path):
    plain, half = _trainable(tmp_path), _trainable(tmp_path, policy="mixed_float16", precision="float16")
    for step in range(3):
        first, second = _step(plain, step), _step(half, step)
        assert second["loss"] == pytest.approx(first["loss"], rel=0.02)
    for mine, theirs in zip(half.state.network.trainable_variables, plain.state.network.trainable_variables):
        np.testing.assert_allclose(mine, theirs, atol=4e-3)
    half.state.scale.scale.assign(2.0**120)
    before = [variable.numpy() for variable in half.state.network.trainable_variables]
    _step(half, 3)
    for variable, old in zip(half.state.network.trainable_variables, before):
        np.testing.assert_array_equal(variable, old)
    assert float(half.state.scale.scale) == 2.0**119


def test_what_is_saved_is_the_averaged_network(tmp_path):
    (tmp_path / "weights").mkdir()
    trainable = _trainable(tmp_path, ema_decay=0.0, learning_rate=1e-2)
    _step(trainable, 0)
    for mine, theirs in zip(trainable.inference.get_weights(), trainable.state.network.get_weights()):
        np.testing.assert_allclose(mine, theirs, atol=1e-6)
    trainable.export("last", {"step": 1})
    assert not list((tmp_path / "weights").iterdir())
    trainable.export("best", {"step": 1, "score": 0.5})
    loaded, spec = load_detector_network(tmp_path)
    for mine, theirs in zip(loaded.get_weights(), trainable.inference.get_weights()):
        np.testing.assert_array_equal(mine, theirs)
    assert read_json(tmp_path / "weights" / "best.json", way_out="") == {"step": 1, "score": 0.5}
    assert (spec.backbone, spec.side) == ("small", 32)


def test_auto_takes_bfloat16_only_where_backbone_and_cpu_gain(monkeypatch):
    for has, wide in ((True, "mixed_bfloat16"), (False, "float32")):
        monkeypatch.setattr("common_tf.arithmetic.cpu_has_bfloat16", lambda has=has: has)
        assert chosen_policy(make_config({"backbone": "vgg16"})) == wide
        assert chosen_policy(make_config({"backbone": "small"})) == "float32"
    assert chosen_policy(make_config({"backbone": "small", "precision": "bfloat16"})) == "mixed_bfloat16"
