"""Batches of cubes cut out of whole volumes of two domains, as a pure function of (seed, step)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from common_tf.randomness import Stream
from common_tf.sources.blocks import StoredBlock
from common_tf.sources.pipeline import MASK

_ORDER, _PLACE = Stream("cubes.order"), Stream("cubes.place")


@dataclass(frozen=True)
class CubePipeline:
    """Two unpaired domains of volumes. A pass takes ``cubes_per_volume`` cubes of every volume, in a new order each.

    Attributes:
        blocks: domain ``a`` and ``b``.
        side: of the cubes.
        batch_size: cubes of each domain in a step.
        channels: 1, or 3 to repeat the gray values.
        flip: random left-right flips.
        epoch_length: ``longest`` or ``shortest`` domain.
        cubes_per_volume: that an epoch cuts out of each.
        seed: of order, places and flips.
    """

    blocks: Mapping[str, Sequence[StoredBlock]]
    side: int
    batch_size: int
    channels: int
    flip: bool
    epoch_length: str
    cubes_per_volume: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Steps in which the domain that sets the epoch's length is seen once; a last partial batch counts."""
        sizes = [len(one) * self.cubes_per_volume for one in self.blocks.values()]
        return math.ceil((max(sizes) if self.epoch_length == "longest" else min(sizes)) / self.batch_size)

    def places(self, domain: str, step: int) -> list[tuple[int, tuple[int, ...], bool]]:
        """The cubes of a domain that a step sees: which volume, the corner in it, and whether it is mirrored."""
        blocks = self.blocks[domain]
        chosen = []
        for position in range(step * self.batch_size, (step + 1) * self.batch_size):
            turn, number = divmod(position, len(blocks))
            volume = int(_ORDER.numpy(self.seed, domain, turn).permutation(len(blocks))[number])
            random = _PLACE.numpy(self.seed, domain, position)
            room = [length - self.side for length in blocks[volume].pixels.shape]
            corner = tuple(int(random.integers(0, most + 1)) for most in room)
            chosen.append((volume, corner, bool(self.flip and random.integers(2))))
        return chosen

    def batches(self, start_step: int) -> tf.data.Dataset:
        """Batches from a step on, without end.

        ``a`` and ``b``: ``(batch, side, side, side, channels)`` float32 in [-1, 1]; ``mask_a`` and ``mask_b``: the
        head, ``(batch, side, side, side, 1)`` float32, 1 inside.
        """
        dataset = tf.data.Dataset.range(start_step, np.iinfo(np.int64).max)
        return dataset.map(self._batch, num_parallel_calls=1, deterministic=True).prefetch(2)

    def _batch(self, step: tf.Tensor) -> dict[str, tf.Tensor]:
        batch = {}
        for name in self.blocks:
            batch[name], batch[MASK + name] = self._domain_batch(name, step)
        return batch

    def _domain_batch(self, name: str, step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        def read(at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            cubes, masks = [], []
            for volume, corner, mirrored in self.places(name, int(at)):
                pixels, mask = self.blocks[name][volume].cube(corner, self.side)
                cubes.append(pixels[..., ::-1] if mirrored else pixels)
                masks.append(mask[..., ::-1] if mirrored else mask)
            return np.stack(cubes) * np.float32(2) - np.float32(1), np.stack(masks).astype(np.float32)

        images, masks = tf.numpy_function(read, [step], (tf.float32, tf.float32), stateful=False)
        for one in (images, masks):
            one.set_shape([self.batch_size, *[self.side] * 3])
        return tf.repeat(images[..., None], self.channels, axis=-1), masks[..., None]
