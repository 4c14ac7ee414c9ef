"""A critic that looks through a frozen network: several scales, mixed at random (Sauer et al., NeurIPS 2021)."""

import tensorflow as tf
from tensorflow.keras import layers

from common_tf.lite0 import TAPS, lite0_features
from cyclegan_tf.networks.layers import Policy, SeedSequence
from cyclegan_tf.networks.spectral_normalization import spectral_normalization

_COLOURS = 3
_CELL = 16
"""Pixels of the image to a logit's side."""

# Root mean square of the taps over head slices (CT and MRI alike), so that all scales come to the heads at one size.
_RMS = (8.0, 8.0, 6.0, 2.5)


class ProjectedCritic(tf.Module):
    """Judges an image by its maps in EfficientNet-Lite0 of ImageNet, which stays as it is.

    The maps at strides 4, 8, 16 and 32 go through fixed random 1x1 convolutions to ``filters`` channels each and,
    from the coarsest up, through fixed random 3x3 ones, enlarged and added to the next finer; so each scale carries
    something of all coarser ones, and a generator cannot please one layer alone. What learns is a small head a scale,
    with spectral norm.

    Of a slab every three successive slices are seen as the three colours that the network knows, which takes a pass
    each.

    Maps at stride 4 and coarser do not show the finest texture. With ``pixels`` one more head looks at the image
    itself, through four convolutions of stride 2; a logit of it sees 110 pixels.

    No variable of the frozen part is of this module, so checkpoints do not hold it; it follows from the package's file
    and the seed.

    Args:
        size: side of the images, a multiple of 32.
        channels: image channels.
        filters: of projections and heads.
        pixels: whether a head looks at the pixels too.
        seed: of the projections and the heads.
        policy: Keras mixed-precision policy of the heads; the frozen part is float32, for the gradients of its
            depthwise convolutions take twice as long in bfloat16.
        name: the critic's name.

    Raises:
        UserError: the network's weights cannot be had.
    """

    def __init__(
        self, *, size: int, channels: int, filters: int, pixels: bool = False, seed: int, policy: str, name: str
    ):
        super().__init__(name=name)
        seeds = SeedSequence(seed)
        frozen = _projections(size=size, channels=channels, filters=filters, seeds=seeds)
        # Closed over and not assigned: a tf.Module would save its variables.
        self._projected = lambda images: frozen(images, training=False) + [images] * pixels
        shapes = [tuple(one.shape[1:]) for one in frozen.outputs] + [(size, size, channels)] * pixels
        self.heads = _heads(shapes, size // _CELL, filters, seeds, policy, name)

    @property
    def trainable_variables(self) -> list[tf.Variable]:
        return self.heads.trainable_variables

    def __call__(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Logits of ``(batch, size, size, channels)`` in [-1, 1]: ``(batch, size / 16, size / 16, heads)`` float32."""
        return self.heads(self._projected(images), training=training)


def _projections(*, size: int, channels: int, filters: int, seeds: SeedSequence) -> tf.keras.Model:
    """From images to mixed maps, from fine to coarse."""

    def random(width: int, kernel: int):
        initializer = tf.keras.initializers.HeNormal(seed=seeds.seed())
        return layers.Conv2D(width, kernel, padding="same", use_bias=False, kernel_initializer=initializer)

    seen = min(channels, _COLOURS)
    backbone = lite0_features(TAPS, channels=seen, side=size)
    if channels > seen:
        images = tf.keras.Input((size, size, channels))
        parts = [backbone(images[..., start : start + seen]) for start in range(channels - seen + 1)]
        taps = [layers.Concatenate()(maps) for maps in zip(*parts)]
    else:
        images, taps = backbone.input, backbone.outputs
    lateral = [random(filters, 1)(layers.Rescaling(1.0 / rms)(tap)) for tap, rms in zip(taps, _RMS)]
    mixed = [random(filters, 3)(lateral[-1])]
    for finer in reversed(lateral[:-1]):
        enlarged = layers.UpSampling2D(2, interpolation="bilinear")(mixed[0])
        mixed.insert(0, random(filters, 3)(layers.Add()([finer, enlarged])))
    network = tf.keras.Model(images, mixed)
    network.trainable = False
    return network


def _heads(shapes: list[tuple], grid: int, filters: int, seeds: SeedSequence, policy: str, name: str) -> tf.keras.Model:
    """A head for maps of each shape, from their sides down or up to ``grid``."""
    dtype = Policy(policy)

    def convolution(x, width: int, kernel: int, strides: int = 1):
        initializer = tf.keras.initializers.HeNormal(seed=seeds.seed())
        layer = layers.Conv2D(width, kernel, strides, "same", kernel_initializer=initializer, dtype=dtype)
        return spectral_normalization(layer)(x)

    inputs = [tf.keras.Input(shape) for shape in shapes]
    logits = []
    for x in inputs:
        while x.shape[1] > grid:
            x = layers.LeakyReLU(0.2, dtype=dtype)(convolution(x, filters, 4, 2))
        x = layers.LeakyReLU(0.2, dtype=dtype)(convolution(x, filters, 3))
        x = layers.Activation("linear", dtype="float32")(convolution(x, 1, 3))
        logits.append(layers.UpSampling2D(grid // x.shape[1])(x) if x.shape[1] < grid else x)
    return tf.keras.Model(inputs, layers.Concatenate()(logits), name=name)
