"""Which part of a training step this process computes, and what it tells the others.

A training on several devices is several processes of one program, one for each device. Each holds every variable
whole, computes its own part of a step's images, and takes the mean of losses and gradients with the others; so all of
them make the same update and stay alike. What depends on the step as a whole (the pool of past fakes, dropout, a ratio
over the batch) is computed of the whole step, so that a step does not depend on the number of processes. TensorFlow's
MultiWorkerMirroredStrategy carries the numbers: NCCL between GPUs, gRPC elsewhere. A process alone goes the same way,
and nothing is exchanged.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from common_tf.errors import UserError


class Replicas:
    """A process that trains alone; the others are `JoinedReplicas`.

    Attributes:
        count: processes that share a step.
        index: of this one, from 0; the first writes the run folder, the others never touch it.
    """

    count = 1
    index = 0

    @property
    def is_first(self) -> bool:
        """Whether this process writes."""
        return self.index == 0

    def part(self, images: tf.Tensor) -> tf.Tensor:
        """This process's images of a step's, ``(batch, ...)``."""
        return images

    def whole(self, images: tf.Tensor) -> tf.Tensor:
        """The step's images in their order, from this process's; no gradient passes."""
        return images

    def drawn(self, draw: Callable[[tf.Tensor], tf.Tensor], shape: tf.Tensor) -> tf.Tensor:
        """This process's part of what is drawn for the whole step.

        Args:
            draw: makes float32 numbers of a shape.
            shape: of this process's tensor, ``(k * images, ...)``: ``k`` kinds of its images, one after another.
        """
        return draw(shape)

    def barrier(self) -> None:
        """Waits for the others."""

    def mean(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """The mean over the processes of each tensor, float32; to be called once a step."""
        return list(tensors)

    def step_mean(self, value: tf.Tensor) -> tf.Tensor:
        """The mean over the processes of a number (or several) inside a loss.

        Its gradient is that of the own value. So of a loss that is a function of such means, and of one whose own part
        is divided by one that no gradient passes, the mean of the processes' gradients is the gradient of the whole.
        """
        return value

    def any(self, *wanted: bool) -> list[bool]:
        """For each question whether any process says yes; all of them must ask at the same step."""
        return list(wanted)

    def of_first(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The first process's arrays; the others give arrays of the same shapes and types."""
        return list(arrays)

    def are_alike(self, content: bytes) -> bool:
        """Whether all processes have the same bytes."""
        return True


class JoinedReplicas(Replicas):
    """One of several processes.

    Args:
        strategy: of TensorFlow, with one device a process.
        index: of this process.
        batch_size: images of a step, of all processes.

    Raises:
        UserError: the batch cannot be divided.
    """

    def __init__(self, strategy: "tf.distribute.Strategy", *, index: int, batch_size: int):
        self.count, self.index = strategy.num_replicas_in_sync, index
        refuse_undivided(batch_size, self.count)
        self._strategy, self._images = strategy, batch_size // self.count
        self._summed = tf.function(self._sum, autograph=False)

    def part(self, images: tf.Tensor) -> tf.Tensor:
        # Fewer than were asked for where a training set is smaller than a step.
        self._images, rest = divmod(images.shape[0], self.count)
        assert not rest, f"{images.shape[0]} images among {self.count} processes"
        return images[self.index * self._images : (self.index + 1) * self._images]

    def whole(self, images: tf.Tensor) -> tf.Tensor:
        # Everyone adds its images to zeros in the place of the others': exact, and one operation serves for all.
        rest = [[0, 0]] * (len(images.shape) - 1)
        before = self.index * images.shape[0]
        after = (self.count - 1) * images.shape[0] - before
        return self._sum(tf.pad(tf.stop_gradient(images), [[before, after], *rest]))

    def drawn(self, draw: Callable[[tf.Tensor], tf.Tensor], shape: tf.Tensor) -> tf.Tensor:
        kinds = shape[0] // self._images
        numbers = draw(tf.concat([[kinds * self.count * self._images], shape[1:]], axis=0))
        apart = tf.reshape(numbers, tf.concat([[kinds, self.count, self._images], shape[1:]], axis=0))
        return tf.reshape(apart[:, self.index], shape)

    def barrier(self) -> None:
        self.any(False)

    def mean(self, tensors: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        # As one vector: a collective operation for each of hundreds of gradients would cost more than their bytes.
        flat = tf.concat([tf.reshape(tensor, [-1]) for tensor in tensors], axis=0)
        sizes = [tensor.shape.num_elements() for tensor in tensors]
        parts = tf.split(self._sum(flat) / self.count, sizes)
        return [tf.reshape(part, tensor.shape) for part, tensor in zip(parts, tensors)]

    def step_mean(self, value: tf.Tensor) -> tf.Tensor:
        return value + tf.stop_gradient(self._sum(tf.stop_gradient(value)) / self.count - value)

    def any(self, *wanted: bool) -> list[bool]:
        return (self._exchange(np.array(wanted, np.uint16)) > 0).tolist()

    def of_first(self, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        # As bytes, so that every type arrives to the bit.
        content = b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)
        words = np.frombuffer(content + bytes(len(content) % 2), np.uint16)
        received = self._exchange(words if self.is_first else np.zeros_like(words)).tobytes()
        found, start = [], 0
        for array in arrays:
            found.append(np.frombuffer(received, array.dtype, array.size, start).reshape(array.shape))
            start += array.nbytes
        return found

    def are_alike(self, content: bytes) -> bool:
        digests = np.zeros((self.count, 16), np.uint16)
        digests[self.index] = np.frombuffer(hashlib.sha256(content).digest(), np.uint16)
        return bool((self._exchange(digests) == digests[self.index]).all())

    def _sum(self, tensor: tf.Tensor) -> tf.Tensor:
        def of_all(mine: tf.Tensor) -> tf.Tensor:
            # The copy lies on this process's device, which the operation asks for.
            return tf.distribute.get_replica_context().all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(mine))

        return self._strategy.run(of_all, args=(tensor,))

    def _exchange(self, words: np.ndarray) -> np.ndarray:
        """The sum of all processes' uint16, which must fit that type. As float32, which adds such numbers exactly: not
        every device and transport adds integers.
        """
        with others_may_be_gone():
            return self._summed(tf.constant(words, tf.float32)).numpy().astype(np.uint16)


class LostProcess(UserError):
    """Another process of this training is gone."""


_GONE = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError)


@contextlib.contextmanager
def others_may_be_gone() -> Iterator[None]:
    """Says in one line what TensorFlow raises when another process of a training has ended.

    Raises:
        LostProcess: it has.
    """
    try:
        yield
    except tf.errors.OpError as error:
        # NCCL has no kind of its own.
        if replicas().count == 1 or not (isinstance(error, _GONE) or "NCCL" in str(error)):
            raise
        reason = " ".join(str(error.message).split())[-120:]
        raise LostProcess(
            f"another process of this training is gone ({reason}); the same command continues from the last save"
        ) from error


def refuse_undivided(batch_size: int, count: int) -> None:
    """Refuses a batch that several devices cannot share.

    Raises:
        UserError: it cannot be divided among them.
    """
    if batch_size % count:
        raise UserError(
            f"--batch-size {batch_size}: cannot be divided among {count} devices; take a multiple of {count} (it is "
            "that of the whole step)"
        )


_ALONE = Replicas()
_current: list[Replicas] = [_ALONE]


def replicas() -> Replicas:
    """Which of them this process is."""
    return _current[-1]


@contextlib.contextmanager
def as_replica(one: Replicas) -> Iterator[Replicas]:
    """Inside, this process is one of several (or alone)."""
    _current.append(one)
    try:
        yield one
    finally:
        _current.pop()


@contextlib.contextmanager
def first_goes_ahead() -> Iterator[None]:
    """Inside, the first process is done before the others begin, so that they find its caches filled."""
    mine = replicas()
    if not mine.is_first:
        mine.barrier()
    yield
    if mine.is_first:
        mine.barrier()


def alone() -> contextlib.AbstractContextManager[Replicas]:
    """Inside, this process computes for itself; graphs that are built there exchange nothing."""
    return as_replica(_ALONE)
