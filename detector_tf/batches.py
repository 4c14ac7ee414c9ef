"""Prepared squares as a detector sees them, and batches of them as a pure function of (seed, step)."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.randomness import Stream
from common_tf.replicas import replicas
from common_tf.sources.cache import PreparedSlices
from detector_tf.preprocessing import Enhancement, eight_bits

_ORDER = Stream("detector.order")


@dataclass(frozen=True)
class Squares:
    """Images of a set, read from the cache as they are wanted: ``squares[2:5]``, ``squares[[7, 1]]``.

    Attributes:
        planes: the cached slices; one, or three of colour images.
        channels: that the network wants; a single plane is repeated.
        enhancement: what is done to them.
        chosen: ``(n,)`` which of the cached ones these are.
    """

    planes: Sequence[PreparedSlices]
    channels: int
    enhancement: Enhancement
    chosen: np.ndarray

    def __len__(self) -> int:
        return len(self.chosen)

    def __getitem__(self, which: slice | np.ndarray | list) -> np.ndarray:
        """``(k, size, size, channels)`` uint8."""
        at = self.chosen[which]
        images = np.stack([self._plane(plane, at) for plane in self.planes], axis=-1)
        return images if images.shape[-1] == self.channels else np.repeat(images, self.channels, axis=-1)

    def only(self, which: np.ndarray) -> "Squares":
        """Those of a mask or of indices."""
        return replace(self, chosen=self.chosen[which])

    def _plane(self, plane: PreparedSlices, at: np.ndarray) -> np.ndarray:
        pixels = eight_bits(plane.pixels[at])
        if not self.enhancement.is_on:
            return pixels
        return np.stack([self.enhancement(image, mask) for image, mask in zip(pixels, plane.masks[at])])


@dataclass(frozen=True)
class Batches:
    """A training set.

    Attributes:
        images: all of it.
        truth: what belongs to each image: ``labels`` ``(n,)`` class numbers, or ``masks`` ``(n, size, size)`` bool.
        chosen: indices of the images that train; one that stands there twice is seen twice as often.
        batch_size: images in a step.
        seed: of the order.
    """

    images: Squares
    truth: Mapping[str, np.ndarray]
    chosen: np.ndarray
    batch_size: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which every training image is seen once."""
        return math.ceil(len(self.chosen) / self.batch_size)

    def indices(self, step: int) -> np.ndarray:
        """Which images step ``step`` sees: the set is gone through again and again, in a new order each time."""
        count = len(self.chosen)
        positions = step * self.batch_size + np.arange(self.batch_size)
        turns = positions // count
        orders = {turn: _ORDER.numpy(self.seed, turn).permutation(count) for turn in set(turns.tolist())}
        return self.chosen[[orders[turn][position % count] for turn, position in zip(turns.tolist(), positions)]]

    def from_step(self, step: int) -> Iterator[dict[str, tf.Tensor]]:
        """Batches from a step on, without end: ``images`` ``(batch, size, size, channels)`` uint8; ``labels``
        ``(batch,)`` int32 or ``masks`` ``(batch, size, size, 1)`` uint8 in {0, 1}.
        """
        while True:
            at = self.indices(step)
            batch = {"images": tf.constant(self.images[at])}
            if "labels" in self.truth:
                batch["labels"] = tf.constant(self.truth["labels"][at], tf.int32)
            if "masks" in self.truth:
                batch["masks"] = tf.constant(self.truth["masks"][at][..., None], tf.uint8)
            yield batch
            step += 1


def images_in_a_step(wanted: int, *, training: int) -> int:
    """How many images a step has: no more than there are, and as many for each of the devices that share it.

    Args:
        wanted: ``--batch-size``.
        training: images to learn from.

    Raises:
        UserError: fewer images than devices.
    """
    devices = replicas().count
    images = min(wanted, training) // devices * devices
    if not images:
        raise UserError(f"{training} training images cannot be shared among {devices} devices; take fewer --devices")
    return images


def with_channels(images: np.ndarray, channels: int) -> np.ndarray:
    """``(n, size, size)`` gray images, repeated: ``(n, size, size, channels)``."""
    return np.repeat(images[..., None], channels, axis=-1)
