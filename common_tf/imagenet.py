"""ImageNet weights: EfficientNet-Lite0's from its package, those of keras.applications from a prepared file in Keras'
cache, a named file, or Keras' own download.
"""

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path

import tensorflow as tf

from common_tf import lite0
from common_tf.errors import UserError

_STORAGE = "https://storage.googleapis.com/"
# Where keras.applications 2.15 has them, without their classifiers, and their MD5, as it has them too.
_DOWNLOADS = {
    "vgg16": ("tensorflow/keras-applications/vgg16/", "6d6bbae143d832006294945121d1f1fc"),
    "vgg19": ("tensorflow/keras-applications/vgg19/", "253f8cb515780f3b799900260a226db6"),
    "resnet50": ("tensorflow/keras-applications/resnet/", "4d473c1dd8becc155b73f8504c6f6626"),
    "inception_v3": ("tensorflow/keras-applications/inception_v3/", "bcbd6486424b2319ff4ef7d526e38f63"),
    "efficientnetb3": ("keras-applications/", "af6d107764bb5b1abb91932881670226"),
}


def imagenet_origin(name: str) -> str:
    """Where the weights of a network come from, in words."""
    return f"ImageNet weights of {lite0.PACKAGE if name == lite0.NAME else 'keras.applications'}"


def load_imagenet(
    name: str, build: Callable[[str], tf.keras.Model], *, flag: str, way_out: str, file: Path | None = None
) -> tf.keras.Model:
    """Builds a network with its ImageNet weights.

    Args:
        name: ``efficientnetlite0``, or a key of keras.applications in lower case, such as ``vgg16``.
        build: makes the network from a file of weights.
        flag: what the user asked with, for the error.
        way_out: what else the user may do, for the error.
        file: of the weights; ``None`` takes ``models/`` in ``KERAS_HOME`` (``~/.keras``) and downloads into it.

    Raises:
        UserError: no such file, no download, or a file of something else.
    """
    if name == lite0.NAME:
        lite0.lite0_weights()
        return build(str(lite0.lite0_file()))
    stored = f"{name}_notop.h5" if name == "efficientnetb3" else f"{name}_weights_tf_dim_ordering_tf_kernels_notop.h5"
    if file is not None and not file.is_file():
        raise UserError(f"{flag}: no such file; wants {stored}")
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    file = file or home / "models" / stored
    reason = "it is not there and cannot be downloaded"
    try:
        if not file.is_file():
            # Keras announces its download on standard output.
            folder, digest = _DOWNLOADS[name]
            with contextlib.redirect_stdout(io.StringIO()):
                tf.keras.utils.get_file(
                    stored,
                    f"{_STORAGE}{folder}{stored}",
                    cache_subdir="models",
                    cache_dir=str(home),
                    file_hash=digest,
                    hash_algorithm="md5",
                )
        reason = "the file is damaged or of another network"
        return build(str(file))
    except Exception as error:
        # Keras raises a bare Exception where a download fails, and anything at all for a wrong file.
        shown = Path("~") / file.relative_to(Path.home()) if file.is_relative_to(Path.home()) else file
        raise UserError(
            f"{flag}: wants {shown}; {reason} ({str(error).splitlines()[0][:80]}). Put it there (KERAS_HOME names the "
            f"folder above models/), or {way_out}"
        ) from error
