"""Which devices TensorFlow computes on, and which it could not use."""

import ctypes
import platform
from collections.abc import Mapping
from pathlib import Path

import tensorflow as tf

from common_tf.threads import available_cores

_NVIDIA = Path("/proc/driver/nvidia")


def device_words() -> str:
    """The devices that TensorFlow computes on, for people."""
    gpus = tf.config.get_visible_devices("GPU")
    if gpus:
        return ", ".join(
            str(tf.config.experimental.get_device_details(gpu).get("device_name", gpu.name)) for gpu in gpus
        )
    return f"CPU ({platform.machine()}, {available_cores()} cores)"


def unused_gpu_words(*, driver: Path = _NVIDIA, build: Mapping | None = None) -> str | None:
    """One line on NVIDIA GPUs that the driver knows and TensorFlow cannot use, with the reason and the way out.

    Args:
        driver: where the driver describes itself.
        build: what TensorFlow was built with; ``None`` asks it.

    Returns:
        ``None`` where there is no such GPU.
    """
    if tf.config.get_visible_devices("GPU"):
        return None
    names = sorted(filter(None, (_model(file) for file in driver.glob("gpus/*/information"))))
    if not names:
        return None
    build = tf.sysconfig.get_build_info() if build is None else build
    version = build.get("cuda_version")
    if not build.get("is_cuda_build"):
        reason = "this TensorFlow was built without CUDA"
    elif not _loads(f"libcudart.so.{str(version).split('.')[0]}"):
        reason = f"the libraries of CUDA {version} are not found"
    else:
        reason = f"the driver does not serve CUDA {version}, or CUDA_VISIBLE_DEVICES hides it"
    return (
        f"{', '.join(names)}: there, but TensorFlow {tf.__version__} cannot use it ({reason}); "
        f"pip install 'tensorflow[and-cuda]=={tf.__version__}'"
    )


def ask_for_determinism(wanted: bool) -> None:
    """Lets TensorFlow take only operations that give the same bits again; call it before the first one.

    What a CPU computes here is the same to the bit without it (`docs/training.md`); on a GPU it is not, and there
    this is the way. Its cost on a GPU has not been measured.
    """
    if wanted:
        tf.config.experimental.enable_op_determinism()


def _model(file: Path) -> str | None:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return None
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("Model:")), None)


def _loads(library: str) -> bool:
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True
