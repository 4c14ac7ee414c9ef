"""Batches of a cached training set as a pure function of (seed, step)."""

import math
from dataclasses import dataclass
from typing import Iterator, Mapping, Optional

import numpy as np
import tensorflow as tf


@dataclass(frozen=True)
class Batches:
    """A training set in memory.

    Attributes:
        images: ``(n, size, size)`` or ``(n, size, size, channels)`` uint8.
        chosen: indices of the training images.
        channels: of the batches; gray images are repeated.
        batch_size: images in a step.
        seed: of the order.
        labels: ``(n,)`` class numbers, or
        masks: ``(n, size, size)`` bool.
    """

    images: np.ndarray
    chosen: np.ndarray
    channels: int
    batch_size: int
    seed: int
    labels: Optional[np.ndarray] = None
    masks: Optional[np.ndarray] = None

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every training image is seen once."""
        return math.ceil(len(self.chosen) / self.batch_size)

    def indices(self, step: int) -> np.ndarray:
        """Which images step ``step`` sees: the set is gone through again and again, in a new order each time."""
        count = len(self.chosen)
        positions = step * self.batch_size + np.arange(self.batch_size)
        turns = positions // count
        orders = {turn: np.random.default_rng([self.seed, int(turn)]).permutation(count) for turn in np.unique(turns)}
        return self.chosen[[orders[turn][position % count] for turn, position in zip(turns, positions)]]

    def from_step(self, step: int) -> Iterator[Mapping[str, tf.Tensor]]:
        """Batches from a step on, without end."""
        while True:
            at = self.indices(step)
            batch = {"images": tf.constant(with_channels(self.images[at], self.channels))}
            if self.labels is not None:
                batch["labels"] = tf.constant(self.labels[at], tf.int32)
            if self.masks is not None:
                batch["masks"] = tf.constant(self.masks[at][..., None], tf.uint8)
            yield batch
            step += 1


def with_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """``(n, size, size, channels)``: gray images repeated, colour ones as they are."""
    if images.ndim == 4:
        return images
    return np.repeat(images[..., None], channels, axis=-1)
