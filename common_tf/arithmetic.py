"""Which arithmetic this machine is good at, and how float16 keeps small gradients."""

from collections.abc import Callable, Sequence
from pathlib import Path

import tensorflow as tf

POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}
"""Keras' mixed-precision policies by the values of ``--precision``."""

# An infinite scale would never be finite again; beyond this one no gradient of float16 would vanish anyway.
_LARGEST_SCALE = 2.0**24


def precision_policy(name: str) -> str:
    """The Keras mixed-precision policy for a ``--precision`` value.

    ``auto`` is bfloat16 where the CPU multiplies bfloat16 in hardware (avx512_bf16 or amx_bf16; elsewhere it is
    emulated and slower than float32) and no GPU is present, else float32.
    """
    if name != "auto":
        return POLICIES[name]
    if tf.config.get_visible_devices("GPU"):
        return POLICIES["float32"]
    return POLICIES["bfloat16" if cpu_has_bfloat16() else "float32"]


def cpu_has_bfloat16() -> bool:
    """Whether Linux reports bfloat16 instructions; False where it cannot be told."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags


class LossScale(tf.Module):
    """One dynamic scale of all losses of a step (Micikevicius et al. 2018), so that float16 gradients do not vanish.

    All gradients of a step come from losses of one scale and are scaled back by it. Where any is not finite, the whole
    step is left out and the scale halved; after ``patience`` steps that were not left out it doubles.

    Args:
        policy: Keras mixed-precision policy; without float16 the scale is 1 for ever and costs nothing.
    """

    def __init__(self, policy: str, *, initial: float = 2.0**15, patience: int = 2000):
        super().__init__(name="loss_scale")
        self.active = policy == "mixed_float16"
        self._patience = patience
        if self.active:
            self.scale = tf.Variable(initial, trainable=False, name="scale")
            self.good_steps = tf.Variable(0, trainable=False, name="good_steps")

    def up(self, loss: tf.Tensor) -> tf.Tensor:
        """The loss as gradients are to be taken of it."""
        return loss * self.scale if self.active else loss

    def down(self, gradients: Sequence[tf.Tensor]) -> list[tf.Tensor]:
        """Gradients of a scaled loss as those of the loss itself."""
        if not self.active:
            return list(gradients)
        return [gradient / tf.cast(self.scale, gradient.dtype) for gradient in gradients]

    def when_finite(self, gradients: Sequence[tf.Tensor], update: Callable[[], None]) -> None:
        """Makes an update unless a gradient is not finite, and adapts the scale.

        Args:
            gradients: of the whole step, from `down`.
            update: applies them.
        """
        if not self.active:
            update()
            return
        finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(gradient)) for gradient in gradients])

        def good() -> tf.Tensor:
            update()
            count = self.good_steps + 1
            self.good_steps.assign(tf.where(count >= self._patience, 0, count))
            doubled = tf.minimum(self.scale * 2.0, _LARGEST_SCALE)
            self.scale.assign(tf.where(count >= self._patience, doubled, self.scale))
            return tf.constant(True)

        def bad() -> tf.Tensor:
            self.good_steps.assign(0)
            self.scale.assign(tf.maximum(1.0, self.scale / 2.0))
            return tf.constant(False)

        tf.cond(finite, good, bad)
