"""Which arithmetic this machine is good at."""

from pathlib import Path

import tensorflow as tf

_POLICIES = {"float32": "float32", "bfloat16": "mixed_bfloat16", "float16": "mixed_float16"}


def precision_policy(name: str) -> str:
    """The Keras mixed-precision policy for a ``--precision`` value.

    ``auto`` is bfloat16 where the CPU multiplies bfloat16 in hardware (avx512_bf16 or amx_bf16; elsewhere it is
    emulated and slower than float32) and no GPU is present, else float32.
    """
    if name != "auto":
        return _POLICIES[name]
    if tf.config.list_physical_devices("GPU"):
        return _POLICIES["float32"]
    return _POLICIES["bfloat16" if cpu_has_bfloat16() else "float32"]


def cpu_has_bfloat16() -> bool:
    """Whether Linux reports bfloat16 instructions; False where it cannot be told."""
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        return False
    return "avx512_bf16" in flags or "amx_bf16" in flags
