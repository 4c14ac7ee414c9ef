"""The history of generated images that a discriminator is trained on (Shrivastava et al. 2017)."""

import tensorflow as tf

from common_tf.randomness import Stream
from common_tf.replicas import replicas

_EXCHANGE = Stream("image_pool")


class ImagePool(tf.Module):
    """Up to ``capacity`` past fakes, kept in variables so that a checkpoint holds them.

    Until the pool is full each new image is stored and returned. Afterwards, with probability one half, a random
    stored image is returned and replaced by the new one; otherwise the new one is returned and not stored. That is the
    policy of Zhu et al. 2017 with 50 images.

    Args:
        capacity: images to keep, 1 or more.
        shape: of one image, ``(height, width, channels)``.
        seed: of the run; what happens at a step follows from seed, name and step alone.
        name: of the pool; two pools of a run have two names.
    """

    def __init__(self, *, capacity: int, shape: tuple, seed: int, name: str):
        super().__init__(name=f"pool_{name}")
        self._key = name
        if capacity < 1:
            raise ValueError("an image pool holds at least one image; leave it out for none")
        self.capacity = capacity
        self.seed = seed
        self.images = tf.Variable(tf.zeros([capacity, *shape]), trainable=False, name="images")
        self.count = tf.Variable(0, dtype=tf.int32, trainable=False, name="count")

    def exchange(self, images: tf.Tensor, step: tf.Tensor) -> tf.Tensor:
        """Gives new fakes to the pool and returns as many for the discriminator.

        Args:
            images: ``(batch, height, width, channels)`` in [-1, 1], float32, static batch size.
            step: int64 scalar, the training step.

        Returns:
            A tensor of the same shape; no gradient passes.
        """
        # The pool is that of the whole step, in every process alike.
        images = replicas().whole(tf.stop_gradient(images))
        returned = []
        draws = tf.random.stateless_uniform([images.shape[0], 2], _EXCHANGE.tensor(self.seed, step, self._key))
        for position in range(images.shape[0]):
            returned.append(self._exchange_one(images[position], draws[position]))
        return replicas().part(tf.stack(returned))

    def _exchange_one(self, image: tf.Tensor, draw: tf.Tensor) -> tf.Tensor:
        filling = self.count < self.capacity
        chosen = tf.minimum(tf.cast(draw[1] * self.capacity, tf.int32), self.capacity - 1)
        slot = tf.where(filling, self.count, chosen)
        swap = tf.logical_and(tf.logical_not(filling), draw[0] < 0.5)
        old = tf.gather(self.images, slot)
        stored = tf.where(tf.logical_or(filling, swap), image, old)
        self.images.scatter_nd_update([[slot]], [stored])
        self.count.assign(tf.minimum(self.count + 1, self.capacity))
        return tf.where(swap, old, image)
