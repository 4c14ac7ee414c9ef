"""Networks of pCCGAN in this project's declared reading; see `system.py` beside this file."""

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
from tensorflow.keras import layers

from cyclegan_tf.networks.layers import InstanceNormalization, Policy, ReflectionPadding, SeedSequence
from cyclegan_tf.networks.spectral_normalization import spectral_normalization

ATOMS = 128
_RESIDUAL_BLOCKS = 12


class Dictionary(layers.Layer):
    """A dictionary of atoms: each position is softly assigned, rebuilt, and mixed with itself.

    ``a = softmax(-|h - d_k|^2 / (tau C))``, ``r = sum_k a_k d_k``, output ``h + gamma (r - h)``.

    Args:
        atoms: how many.
        temperature: tau, in mean squared difference a channel.
        mixing: gamma.
        seed: of the atoms.

    Call: ``(batch, height, width, channels)``; returns the output and the assignment ``(batch, height, width, atoms)``.
    """

    def __init__(
        self, atoms: int = ATOMS, *, temperature: float = 0.1, mixing: float = 0.5, seed: int = 0, **kwargs: Any
    ):
        super().__init__(**kwargs)
        self.atoms, self.temperature, self.mixing, self.seed_number = atoms, temperature, mixing, seed

    def build(self, input_shape: Sequence[int]) -> None:
        initializer = tf.keras.initializers.RandomNormal(0.0, 1.0, seed=self.seed_number)
        self.table = self.add_weight(name="atoms", shape=(self.atoms, int(input_shape[-1])), initializer=initializer)
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tuple:
        hidden, atoms = tf.cast(inputs, tf.float32), tf.cast(self.table, tf.float32)
        squares = tf.reduce_sum(tf.square(hidden), axis=-1, keepdims=True) + tf.reduce_sum(tf.square(atoms), axis=-1)
        distance = squares - 2.0 * tf.einsum("bhwc,kc->bhwk", hidden, atoms)
        assignment = tf.nn.softmax(-distance / (self.temperature * hidden.shape[-1]), axis=-1)
        rebuilt = tf.einsum("bhwk,kc->bhwc", assignment, atoms)
        mixed = hidden + self.mixing * (rebuilt - hidden)
        return tf.cast(mixed, inputs.dtype), assignment, tf.reduce_mean(tf.square(hidden - rebuilt), axis=-1)

    def get_config(self) -> dict:
        own = {name: getattr(self, name) for name in ("atoms", "temperature", "mixing")}
        return {**super().get_config(), **own, "seed": self.seed_number}


class Reference(layers.Layer):
    """A picture that is a weight: what inference is conditioned on. It is set by training, not learned."""

    def build(self, input_shape: Sequence[int]) -> None:
        self.picture = self.add_weight(
            name="picture", shape=(1, *input_shape[1:]), initializer="zeros", trainable=False
        )
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.zeros_like(inputs) + tf.cast(self.picture, inputs.dtype)


def conditional_generator(
    *, size: int, channels: int, filters: int, seed: int, policy: str, name: str
) -> tf.keras.Model:
    """32 convolutions: c7, c3, two down, twelve residual blocks, two up, c3, c7; a dictionary after the encoder.

    The last convolution is spectrally normalised and its output bounded by tanh.

    Args:
        size: side of the images; a multiple of 4.
        channels: image channels.
        filters: of the first layer; four times as many in the blocks.
        seed: of the weights.
        policy: Keras mixed-precision policy.
        name: the model's name.

    Returns:
        A model from ``[source, condition]`` to ``[output, assignment, rebuilding error]``.
    """
    seeds, dtype = SeedSequence(seed), Policy(policy)

    def convolution(x, width, kernel, strides=1):
        if strides == 1:
            x = ReflectionPadding(kernel // 2, dtype=dtype)(x)
        else:
            x = layers.ZeroPadding2D(1, dtype=dtype)(x)
        return layers.Conv2D(width, kernel, strides, kernel_initializer=seeds.initializer(), dtype=dtype)(x)

    def norm_relu(x):
        return layers.ReLU(dtype=dtype)(InstanceNormalization(dtype=dtype)(x))

    # === Functional model ===
    source, condition = tf.keras.Input((size, size, channels)), tf.keras.Input((size, size, channels))
    x = layers.Concatenate(dtype=dtype)([source, condition])
    x = norm_relu(convolution(norm_relu(convolution(x, filters, 7)), filters, 3))
    for width in (2 * filters, 4 * filters):
        # Kernels of even size: those of odd size would move the picture by half a pixel against the enlarging below.
        x = norm_relu(convolution(x, width, 4, strides=2))
    x, assignment, error = Dictionary(seed=seeds.seed(), name="dictionary", dtype=dtype)(x)
    for _ in range(_RESIDUAL_BLOCKS):
        branch = norm_relu(convolution(x, 4 * filters, 3))
        branch = InstanceNormalization(dtype=dtype)(convolution(branch, 4 * filters, 3))
        x = layers.Add(dtype=dtype)([x, branch])
    for width in (2 * filters, filters):
        # Enlarged by repetition and then convolved: no checkerboard.
        x = norm_relu(convolution(layers.UpSampling2D(2, dtype=dtype)(x), width, 3))
    x = norm_relu(convolution(x, filters, 3))
    last = layers.Conv2D(channels, 7, kernel_initializer=seeds.initializer(), dtype=dtype)
    x = spectral_normalization(last)(ReflectionPadding(3, dtype=dtype)(x))
    outputs = layers.Activation("tanh", dtype="float32")(x)
    return tf.keras.Model([source, condition], [outputs, assignment, error], name=name)


def with_reference(generator: tf.keras.Model, *, name: str) -> tf.keras.Model:
    """The generator as inference uses it: from the source alone, conditioned on a stored reference picture."""
    source = tf.keras.Input(generator.inputs[0].shape[1:])
    condition = Reference(name="reference")(source)
    return tf.keras.Model(source, generator([source, condition])[0], name=name)
