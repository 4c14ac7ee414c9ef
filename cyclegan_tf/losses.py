"""The losses of unpaired translation, as functions of tensors.

Logits come from a discriminator without a sigmoid; images are in [-1, 1]. Every function returns a float32 scalar,
whose mean over the processes that share a step (`common_tf.replicas`) is its value for the whole step.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import tensorflow as tf

from common_tf.replicas import replicas


class AdversarialLoss(NamedTuple):
    """One adversarial game.

    Attributes:
        generator: loss of the generator, from the logits of its fakes.
        discriminator: loss of the discriminator, from the logits of real images and of fakes; the mean of both parts,
            which is the factor 1/2 of Zhu et al. 2017, section 7.1.
    """

    generator: Callable[[tf.Tensor], tf.Tensor]
    discriminator: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def lsgan_generator(fake: tf.Tensor) -> tf.Tensor:
    """E (D(fake) - 1)^2 (Mao et al. 2017)."""
    return tf.reduce_mean(tf.square(fake - 1.0))


def lsgan_discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """1/2 [E (D(real) - 1)^2 + E D(fake)^2] (Mao et al. 2017)."""
    return 0.5 * (tf.reduce_mean(tf.square(real - 1.0)) + tf.reduce_mean(tf.square(fake)))


def bce_generator(fake: tf.Tensor) -> tf.Tensor:
    """-E log sigmoid(D(fake)), the non-saturating loss of Goodfellow et al. 2014."""
    return tf.reduce_mean(tf.nn.softplus(-fake))


def bce_discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """-1/2 [E log sigmoid(D(real)) + E log(1 - sigmoid(D(fake)))] (Goodfellow et al. 2014)."""
    return 0.5 * (tf.reduce_mean(tf.nn.softplus(-real)) + tf.reduce_mean(tf.nn.softplus(fake)))


def hinge_generator(fake: tf.Tensor) -> tf.Tensor:
    """-E D(fake) (Lim and Ye 2017)."""
    return -tf.reduce_mean(fake)


def hinge_discriminator(real: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """1/2 [E max(0, 1 - D(real)) + E max(0, 1 + D(fake))] (Lim and Ye 2017)."""
    return 0.5 * (tf.reduce_mean(tf.nn.relu(1.0 - real)) + tf.reduce_mean(tf.nn.relu(1.0 + fake)))


ADVERSARIAL = {
    "lsgan": AdversarialLoss(lsgan_generator, lsgan_discriminator),
    "bce": AdversarialLoss(bce_generator, bce_discriminator),
    "hinge": AdversarialLoss(hinge_generator, hinge_discriminator),
}


def l1(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference; the cycle and identity distance of Zhu et al. 2017, equation 2 and section 5.2."""
    return tf.reduce_mean(tf.abs(first - second))


def outside_head(head: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """Mean brightness that a translation adds where its source is outside the head: 0 if the outline is kept.

    Air is black in CT and MRI, so this holds for any right translation. A cycle does not see a generator that draws
    every head a little larger when the other draws it smaller again; this does. The idea of shape consistency is
    MaskGAN's (Phan et al. 2023).

    Args:
        head: ``(batch, size, size, 1)`` float32, 1 inside the source's head and 0 outside; of slabs one for each slice.
        fake: ``(batch, size, size, channels)`` in [-1, 1].
    """
    return tf.reduce_mean((1.0 - head) * (tf.cast(fake, tf.float32) + 1.0))


def edge_consistency(source: tf.Tensor, fake: tf.Tensor) -> tf.Tensor:
    """1 - agreement of the edges of an image and its translation, the mean over the batch; in [0, 1].

    Normalised gradient fields (Haber and Modersitzki 2006): edges must lie in the same places and directions, whichever
    side is the brighter; 0 where they do. A constant image counts 1 and has a finite gradient. (The gradient
    consistency of Hiasa et al. 2018 correlates magnitudes, which between aligned CT and MRI hardly correlate.)

    Args:
        source, fake: ``(batch, size, size, channels)`` in [-1, 1].
    """
    u, v = _normalised_gradient(source), _normalised_gradient(fake)
    both, one, other = (
        tf.reduce_sum(tf.square(tf.reduce_sum(product, axis=-1)), axis=(1, 2, 3)) for product in (u * v, u * u, v * v)
    )
    return 1.0 - tf.reduce_mean(both / (tf.sqrt(one * other) + 1e-3))


def best_shift(output: tf.Tensor, truth: tf.Tensor, mask: tf.Tensor, *, most: int) -> tf.Tensor:
    """The truth of each image, moved by up to ``most`` pixels either way to where it is nearest to the output.

    The sides of a registered pair lie some pixels apart here and there; without this a generator is taught the blur of
    it. No gradient passes: which shift is best is looked up. Nothing says then where the output belongs within those
    pixels, and one was seen to stay beside the truth: 0 is right for pairs that lie on each other.

    Args:
        output, truth: ``(batch, size, size, channels)`` in [-1, 1].
        mask: of the head, ``(batch, size, size, 1)``; nearest inside it, by mean absolute difference.
        most: pixels; 0 for none.

    Returns:
        The moved truth.
    """
    if not most:
        return truth
    size = tf.shape(truth)
    padded = tf.pad(truth, [[0, 0], [most, most], [most, most], [0, 0]], mode="SYMMETRIC")
    places = [(down, right) for down in range(2 * most + 1) for right in range(2 * most + 1)]
    # The truth where it is comes first, so that it wins where all are alike.
    places.sort(key=lambda place: abs(place[0] - most) + abs(place[1] - most))
    moved = tf.stack([tf.slice(padded, [0, down, right, 0], size) for down, right in places])
    errors = tf.reduce_mean(tf.abs(moved - tf.stop_gradient(output)[None]) * mask[None], axis=(2, 3, 4))
    best = tf.argmin(errors, axis=0)
    return tf.gather(tf.transpose(moved, [1, 0, 2, 3, 4]), best, batch_dims=1)


def masked_l1(first: tf.Tensor, second: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
    """Mean absolute difference inside a mask ``(batch, size, size, 1)``; 0 where the mask is empty."""
    channels = tf.cast(tf.shape(first)[-1], tf.float32)
    inside = replicas().step_mean(tf.reduce_sum(mask)) * channels
    return tf.reduce_sum(tf.abs(first - second) * mask) / tf.maximum(1.0 / replicas().count, inside)


def ssim_loss(first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """1 - SSIM of images in [-1, 1], the mean over the batch; 0 for equal images.

    `tf.image.ssim` with its 11x11 Gaussian window, on the images mapped to [0, 1] with a range of 1. Constant images
    have a finite gradient, for the constants of SSIM are in both of its fractions.
    """
    unit = ((tf.cast(images, tf.float32) + 1.0) / 2.0 for images in (first, second))
    return 1.0 - tf.reduce_mean(tf.image.ssim(*unit, max_val=1.0))


def feature_distance(wanted: Sequence[tf.Tensor], found: Sequence[tf.Tensor]) -> tf.Tensor:
    """Cycle-perceptual loss (Armanious et al. 2019): mean over the maps of ``|F(x) - F(x')|_1 / mean |F(x)|``.

    The division makes layers of unlike scale count alike.

    Args:
        wanted: feature maps of the image; no gradient passes.
        found: those of what came back.
    """
    total = 0.0
    for x, y in zip(wanted, found):
        x = tf.stop_gradient(x)
        total += tf.reduce_mean(tf.abs(x - y)) / (replicas().step_mean(tf.reduce_mean(tf.abs(x))) + 1e-6)
    return total / len(wanted)


def gram_matrix(maps: tf.Tensor) -> tf.Tensor:
    """``F F^T / (H W C)`` of ``(batch, height, width, channels)``: which channels fire together, wherever they do."""
    batch, channels = tf.shape(maps)[0], maps.shape[-1]
    flat = tf.reshape(maps, [batch, -1, channels])
    size = tf.cast(tf.shape(flat)[1] * channels, tf.float32)
    return tf.linalg.matmul(flat, flat, transpose_a=True) / size


def style_distance(wanted: Sequence[tf.Tensor], found: Sequence[tf.Tensor]) -> tf.Tensor:
    """Cycle-style loss (Armanious et al. 2019): mean over the maps of the relative squared difference of Gram matrices.

    ``|Gr(x) - Gr(x')|_F^2 / |Gr(x)|_F^2`` in place of the paper's division by 4 C^2, so that it has a scale.
    """
    total = 0.0
    for x, y in zip(wanted, found):
        gram = tf.stop_gradient(gram_matrix(x))
        size = replicas().step_mean(tf.reduce_sum(tf.square(gram)))
        total += tf.reduce_sum(tf.square(gram - gram_matrix(y))) / (size + 1e-12)
    return total / len(wanted)


def patch_nce(queries: tf.Tensor, keys: tf.Tensor, *, temperature: float = 0.07) -> tf.Tensor:
    """PatchNCE (Park et al. 2020): cross-entropy of telling a patch's own input patch from the image's other patches.

    Args:
        queries: ``(batch, patches, dimensions)`` features of the output, of length 1.
        keys: of the input at the same places; no gradient passes.
        temperature: of the softmax.
    """
    logits = tf.linalg.matmul(queries, tf.stop_gradient(keys), transpose_b=True) / temperature
    labels = tf.range(tf.shape(logits)[1])[None] + tf.zeros(tf.shape(logits)[:2], tf.int32)
    return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits))


def _normalised_gradient(images: tf.Tensor) -> tf.Tensor:
    """``(batch, size, size, channels, 2)``; Sobel after 2x2 smoothing, shortened to at most 1."""
    smooth = tf.nn.avg_pool2d(tf.cast(images, tf.float32), 2, 1, "SAME")
    gradient = tf.image.sobel_edges(smooth) / 8.0
    return gradient / tf.sqrt(tf.reduce_sum(tf.square(gradient), axis=-1, keepdims=True) + 0.1**2)
