"""Batches of two domains, unpaired or aligned, as a pure function of (seed, step).

There is no iterator state: which images a step sees, and how they are cropped and flipped, follows from the seed and
the step's number. A resumed run starts the pipeline at its step and sees what an uninterrupted one would have seen.
"""

import math
from dataclasses import dataclass
from typing import Mapping

import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class DomainPipeline:
    """Two domains of cached squares.

    Attributes:
        caches: domain ``a`` and ``b``: ``(count, load_size, load_size)`` uint8 or uint16, full range.
        image_size: side of the crops.
        batch_size: images of each domain in a step.
        channels: 1, or 3 to repeat the gray values.
        flip: random left-right flips.
        epoch_length: ``longest`` or ``shortest`` domain.
        seed: of order and augmentation.
        paired: image ``i`` of one domain belongs to image ``i`` of the other; both are seen, cropped and flipped
            together.
    """

    caches: Mapping[str, np.ndarray]
    image_size: int
    batch_size: int
    channels: int
    flip: bool
    epoch_length: str
    seed: int
    paired: bool = False

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which the domain that sets the epoch's length is seen once; a last partial batch counts."""
        sizes = [len(cache) for cache in self.caches.values()]
        length = max(sizes) if self.epoch_length == "longest" else min(sizes)
        return math.ceil(length / self.batch_size)

    def indices(self, domain: str, step: int) -> np.ndarray:
        """Which images of a domain step ``step`` sees, ``(batch_size,)`` int.

        Each domain is gone through in an order of its own, shuffled anew for every pass.
        """
        count = len(self.caches[domain])
        positions = step * self.batch_size + np.arange(self.batch_size)
        orders = {turn: self._order(domain, int(turn)) for turn in np.unique(positions // count)}
        return np.array([orders[position // count][position % count] for position in positions])

    def _order(self, domain: str, turn: int) -> np.ndarray:
        random = np.random.default_rng([self.seed, ord("a" if self.paired else domain), turn])
        return random.permutation(len(self.caches[domain]))

    def batches(self, start_step: int) -> tf.data.Dataset:
        """Batches from a step on, without end: ``{"a", "b"}``, each ``(batch, size, size, channels)`` in [-1, 1]."""
        dataset = tf.data.Dataset.range(start_step, np.iinfo(np.int64).max)
        return dataset.map(self._batch, num_parallel_calls=1, deterministic=True).prefetch(2)

    def _batch(self, step: tf.Tensor) -> dict:
        return {name: self._domain_batch(name, step) for name in self.caches}

    def _domain_batch(self, name: str, step: tf.Tensor) -> tf.Tensor:
        cache = self.caches[name]
        load_size, top = cache.shape[1], float(np.iinfo(cache.dtype).max)

        # Reading through NumPy lets one path serve arrays and memory maps. Nothing of it needs a checkpoint.
        def read(at: np.ndarray) -> np.ndarray:
            return cache[self.indices(name, int(at))]

        images = tf.numpy_function(read, [step], tf.as_dtype(cache.dtype), stateful=False)
        images.set_shape([self.batch_size, load_size, load_size])
        images = tf.cast(images, tf.float32) * (2.0 / top) - 1.0
        seed = tf.stack([tf.constant(self.seed * 2 + ord("a" if self.paired else name), tf.int64), step])
        draws = tf.random.stateless_uniform([self.batch_size, 3], seed)
        augmented = [self._augment(images[i], draws[i], load_size) for i in range(self.batch_size)]
        batch = tf.stack(augmented)[..., None]
        return tf.repeat(batch, self.channels, axis=-1) if self.channels > 1 else batch

    def _augment(self, image: tf.Tensor, draws: tf.Tensor, load_size: int) -> tf.Tensor:
        room = load_size - self.image_size + 1
        offset = tf.cast(draws[:2] * room, tf.int32)
        crop = tf.slice(image, offset, [self.image_size, self.image_size])
        if self.flip:
            crop = tf.where(draws[2] < 0.5, tf.reverse(crop, [1]), crop)
        return crop
