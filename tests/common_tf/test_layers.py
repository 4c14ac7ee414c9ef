import numpy as np
import tensorflow as tf

from common_tf.averaging import update_average
from common_tf.layers import CountedDropout, ReverseChannels, global_policy


def test_dropout_follows_from_seed_and_count():
    inputs = tf.ones([4, 200])
    first, second, other = CountedDropout(0.25, seed=3), CountedDropout(0.25, seed=3), CountedDropout(0.25, seed=4)
    a = [first(inputs, training=True).numpy() for _ in range(3)]
    b = [second(inputs, training=True).numpy() for _ in range(3)]
    np.testing.assert_array_equal(a, b)
    assert not np.array_equal(a[0], a[1]) and not np.array_equal(a[0], other(inputs, training=True))
    assert set(np.unique(a[0])) == {np.float32(0), np.float32(1 / 0.75)}
    assert abs(np.mean(a) - 1) < 0.05
    np.testing.assert_array_equal(first(inputs), inputs)


def test_the_count_is_saved_with_training_and_is_no_weight(tmp_path):
    layer, again = CountedDropout(0.5, seed=1), CountedDropout(0.5, seed=1)
    inputs = tf.ones([8, 8])
    layer(inputs, training=True)
    path = tf.train.Checkpoint(layer=layer).save(str(tmp_path / "c"))
    again(inputs)
    tf.train.Checkpoint(layer=again).restore(path).assert_existing_objects_matched()
    np.testing.assert_array_equal(layer(inputs, training=True), again(inputs, training=True))
    assert not layer.weights


def test_channels_are_reversed():
    np.testing.assert_array_equal(ReverseChannels()(tf.constant([[[[1.0, 2.0, 3.0]]]])), [[[[3, 2, 1]]]])


def test_the_global_policy_comes_back_also_after_an_error():
    before = tf.keras.mixed_precision.global_policy().name
    try:
        with global_policy("mixed_bfloat16"):
            assert tf.keras.mixed_precision.global_policy().name == "mixed_bfloat16"
            raise ValueError
    except ValueError:
        pass
    assert tf.keras.mixed_precision.global_policy().name == before


def test_averages_forget_the_untrained_weights_soon():
    average, model = (
        tf.keras.Sequential([tf.keras.Input((1,)), tf.keras.layers.Dense(1, use_bias=False)]) for _ in range(2)
    )
    average.set_weights([np.array([[0.0]])])
    model.set_weights([np.array([[1.0]])])
    update_average(average, model, decay=0.998, step=tf.constant(0, tf.int64))
    assert average.get_weights()[0].item() == np.float32(0.9)  # 1 - (1 + 0) / (10 + 0)
    update_average(average, model, decay=0.5, step=tf.constant(10**6, tf.int64))
    assert abs(average.get_weights()[0].item() - 0.95) < 1e-6
