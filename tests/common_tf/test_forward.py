import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from common_tf.forward import in_batches

_TWO = """
import numpy as np, tensorflow as tf

cpu, = tf.config.list_physical_devices("CPU")
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
from common_tf.forward import in_batches, on_devices
from common_tf.layers import CountedDropout
from common_tf.lite0 import lite0_embedding
from cyclegan_tf.inference import ArrayTranslator

images = np.random.default_rng(0).uniform(size=(23, 32, 32)).astype(np.float32)
used = {}

def squared(some):
    made = tf.square(tf.constant(some))
    used.setdefault(made.device[-1], []).append(float(some[0, 0, 0]))
    return made

def translator(*layers, dropout=False):
    first = tf.keras.layers.Conv2D(3, 3, padding="same", input_shape=(32, 32, 1))
    network = tf.keras.Sequential([first, *layers, tf.keras.layers.Conv2D(1, 3, padding="same")])
    return lambda: ArrayTranslator({"a_to_b": network}, channels=1, batch_size=4, dropout=dropout)

dropout = CountedDropout(0.5, seed=1)
plain, dropping = translator(), translator(dropout, dropout=True)
one = plain()(images, "a_to_b"), lite0_embedding()(images[:20]), dropping()(images, "a_to_b")
assert int(dropout._calls.count) == 6
dropout._calls.count.assign(0)
with on_devices(["/CPU:0", "/CPU:1"]):
    assert np.array_equal(in_batches(squared, images, size=2), images**2)
    assert used == {str(n): images[2 * n :: 4, 0, 0].tolist() for n in range(2)}, used  # every second batch, in order
    two = plain()(images, "a_to_b"), lite0_embedding()(images[:20]), dropping()(images, "a_to_b")
assert all(np.allclose(*both, rtol=1e-5, atol=1e-6) for both in zip(one, two))
print("equal")
"""


def test_batches_come_back_in_their_order():
    sizes = []

    def doubled(some):
        sizes.append(len(some))
        return some * 2

    images = np.arange(20.0).reshape(10, 2)
    assert np.array_equal(in_batches(doubled, images, size=4), images * 2) and sizes == [4, 4, 2]
    assert in_batches(doubled, images[:0], size=4, result=(7,)).shape == (0, 7)
    with pytest.raises(ValueError, match="no images"):
        in_batches(doubled, images[:0], size=4)


def test_several_devices_share_the_batches_and_give_the_same():
    root = Path(__file__).resolve().parents[2]
    ended = subprocess.run([sys.executable, "-c", _TWO], cwd=root, capture_output=True, text=True, timeout=300)
    assert ended.stdout.splitlines()[-1:] == ["equal"], ended.stderr[-2000:]
