"""Batches of two domains, unpaired or aligned, as a pure function of (seed, step).

There is no iterator state: which images a step sees, and how they are cropped and flipped, follows from the seed and
the step's number. A resumed run starts the pipeline at its step and sees what an uninterrupted one would have seen.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import tensorflow as tf

from common_tf.randomness import Stream
from common_tf.sources.cache import PreparedSlices

MASK = "mask_"
"""A batch has ``a`` and ``b``, and under this prefix the head of each."""

_ALONE = 3
"""Axes of slices without neighbours."""
_ORDER, _AUGMENTATION = Stream("pipeline.order"), Stream("pipeline.augmentation")


class Pipeline(Protocol):
    """What a training takes its batches from."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which the domain that sets the epoch's length is seen once."""

    def batches(self, start_step: int) -> tf.data.Dataset:
        """Batches from a step on, without end."""


@dataclass(frozen=True)
class DomainPipeline:
    """Two domains of prepared squares.

    Attributes:
        slices: domain ``a`` and ``b``.
        image_size: side of the crops.
        batch_size: images of each domain in a step.
        channels: of the images: those of the slices' slabs, or gray values are repeated.
        flip: random left-right flips.
        epoch_length: ``longest`` or ``shortest`` domain.
        seed: of order and augmentation.
        paired: image ``i`` of one domain belongs to image ``i`` of the other; both are seen, cropped and flipped
            together.
    """

    slices: Mapping[str, PreparedSlices]
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
        sizes = [len(one) for one in self.slices.values()]
        length = max(sizes) if self.epoch_length == "longest" else min(sizes)
        return math.ceil(length / self.batch_size)

    def indices(self, domain: str, step: int) -> np.ndarray:
        """Which images of a domain step ``step`` sees, ``(batch_size,)`` int.

        Each domain is gone through in an order of its own, shuffled anew for every pass.
        """
        count = len(self.slices[domain])
        positions = step * self.batch_size + np.arange(self.batch_size)
        orders = {int(turn): self._order(domain, int(turn)) for turn in np.unique(positions // count)}
        return np.array([orders[position // count][position % count] for position in positions])

    def batches(self, start_step: int) -> tf.data.Dataset:
        """Batches from a step on, without end.

        ``a`` and ``b``: ``(batch, size, size, channels)`` float32 in [-1, 1]; ``mask_a`` and ``mask_b``: the head,
        ``(batch, size, size, 1)`` float32, 1 inside; of slabs as many as slices.
        """
        dataset = tf.data.Dataset.range(start_step, np.iinfo(np.int64).max)
        return dataset.map(self._batch, num_parallel_calls=1, deterministic=True).prefetch(2)

    def _who(self, domain: str) -> str:
        return "both" if self.paired else domain

    def _order(self, domain: str, turn: int) -> np.ndarray:
        return _ORDER.numpy(self.seed, self._who(domain), turn).permutation(len(self.slices[domain]))

    def _batch(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = {}
        for name in self.slices:
            batch[name], batch[MASK + name] = self._domain_batch(name, step)
        return batch

    def _domain_batch(self, name: str, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        slices = self.slices[name]
        load_size, top = slices.pixels.shape[1], float(np.iinfo(slices.pixels.dtype).max)

        # Reading through NumPy lets one path serve arrays and memory maps. Nothing of it needs a checkpoint.
        def read(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            chosen = self.indices(name, int(at))
            return np.asarray(slices.pixels[chosen]), np.asarray(slices.masks[chosen])

        types = tf.as_dtype(slices.pixels.dtype), tf.bool
        images, masks = tf.numpy_function(read, [step], types, stateful=False)
        for one in (images, masks):
            one.set_shape([self.batch_size, *slices.pixels.shape[1:]])
        images, masks = tf.cast(images, tf.float32) * (2.0 / top) - 1.0, tf.cast(masks, tf.float32)
        if len(images.shape) == _ALONE:
            images, masks = images[..., None], masks[..., None]
        both = tf.concat([images, masks], axis=-1)
        draws = tf.random.stateless_uniform(
            [self.batch_size, 3], _AUGMENTATION.tensor(self.seed, step, self._who(name))
        )
        both = tf.stack([self._augment(both[i], draws[i], load_size) for i in range(self.batch_size)])
        images, masks = tf.split(both, 2, axis=-1)
        return images if images.shape[-1] == self.channels else tf.repeat(images, self.channels, axis=-1), masks

    def _augment(self, image: tf.Tensor, draws: tf.Tensor, load_size: int) -> tf.Tensor:
        room = load_size - self.image_size + 1
        offset = tf.concat([tf.cast(draws[:2] * room, tf.int32), [0]], axis=0)
        crop = tf.slice(image, offset, [self.image_size, self.image_size, image.shape[-1]])
        if self.flip:
            crop = tf.where(draws[2] < 0.5, tf.reverse(crop, [1]), crop)
        return crop
