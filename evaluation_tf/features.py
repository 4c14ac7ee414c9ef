"""Networks that turn images into features for distances between sets."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.forward import in_batches
from common_tf.imagenet import load_imagenet
from common_tf.lite0 import SIDE, lite0_embedding
from common_tf.pictures.geometry import resize
from common_tf.runs.saved_detector import weights_digest
from detector_tf.batches import with_channels
from detector_tf.folds import fold_folders
from detector_tf.inference import load_detector
from evaluation_tf.cache import ArrayCache
from evaluation_tf.images import Images, content_hash
from evaluation_tf.parts import Gap

_BATCH = 16


@dataclass(frozen=True)
class Extractor:
    """A frozen network.

    Attributes:
        word: of the network, for the keys of its columns: ``inception``, ``lite0`` or ``detector``.
        name: what a distance in its features is called; FID only for InceptionV3.
        kernel_name: what the kernel distance is called.
        description: network, weights and preparation of the images, for the report.
        key: hash of the weights.
        size: side of its input; images are resized to it with antialiasing.
        channels: of its input.
        function: from ``(n, size, size, channels)`` float32 in [0, 255] to ``(n, dimensions)``.
    """

    word: str
    name: str
    kernel_name: str
    description: str
    key: str
    size: int
    channels: int
    function: Callable[[tf.Tensor], tf.Tensor]

    def features(self, squares: Images, cache: ArrayCache) -> np.ndarray:
        """Features of squares, ``(n, dimensions)`` float32.

        Real and translated images take this one path: 8 bits, one antialiased resize, rounded to 8 bits again.
        """

        def compute() -> dict[str, np.ndarray]:
            def embedded(some: np.ndarray) -> tf.Tensor:
                batch = np.stack([np.round(resize(one, self.size, self.size)) for one in some.astype(np.float32)])
                batch = with_channels(np.clip(batch, 0, 255), self.channels)
                return self.function(tf.constant(batch, tf.float32))

            return {"features": in_batches(embedded, squares.pixels, size=_BATCH)}

        return cache.arrays(content_hash("features", self.key, self.size, squares.digest), compute)["features"]


def _of_gray_levels(network: tf.keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """A network that reads [-1, 1] as a function of gray levels in [0, 255]."""
    return tf.function(
        lambda images: network(images / 127.5 - 1.0, training=False), autograph=False, reduce_retracing=True
    )


def inception(weights: str) -> Extractor:
    """InceptionV3 of keras.applications, its 2,048 pooled features.

    Args:
        weights: ``imagenet``: the prepared file in Keras' cache, or Keras' own download; or a file of weights.

    Raises:
        UserError: weights that cannot be had.
    """
    origin = "ImageNet weights" if weights == "imagenet" else f"weights of the file {Path(weights).name}"
    network = load_imagenet(
        "inception_v3",
        lambda file: tf.keras.applications.InceptionV3(
            include_top=False, weights=file, input_shape=(299, 299, 3), pooling="avg"
        ),
        flag=f"--inception-weights {weights}",
        way_out="name it with --inception-weights FILE",
        file=None if weights == "imagenet" else Path(weights),
    )

    return Extractor(
        word="inception",
        name="FID (Keras-ImageNet InceptionV3)",
        kernel_name="KID x 1000 (Keras-ImageNet InceptionV3)",
        description=f"keras.applications InceptionV3, {origin}, 2,048 pooled features, 299x299; not the "
        "network of 2015 that most published FIDs use, so not comparable with theirs",
        key=content_hash(*network.get_weights()),
        size=299,
        channels=3,
        function=_of_gray_levels(network),
    )


@functools.cache
def lite0() -> Extractor:
    """EfficientNet-Lite0 of ImageNet, its 1,280 pooled features: the default, for its weights are always there.

    Raises:
        UserError: its package is not installed, or its file is damaged.
    """
    network = lite0_embedding().network

    return Extractor(
        word="lite0",
        name="Fréchet distance, EfficientNet-Lite0",
        kernel_name="Kernel distance x 1000, EfficientNet-Lite0",
        description="EfficientNet-Lite0, ImageNet weights, 1,280 pooled features, 224x224; no FID, and no KID of "
        "InceptionV3: comparable only with figures of this network",
        key=content_hash(*network.get_weights()),
        size=SIDE,
        channels=1,
        function=_of_gray_levels(network),
    )


def detector_features(run: Path) -> Extractor:
    """The pooled features of a detector's run (or of fold 0 of a cross-validation).

    Raises:
        UserError: no finished run.
    """
    run = fold_folders(run)[0]
    detector = load_detector(run)
    pooled = tf.keras.Model(detector.model.input, detector.model.get_layer("features").output)
    side, channels = detector.model.input.shape[1], detector.model.input.shape[-1]
    backbone = detector.config.network.backbone

    return Extractor(
        word="detector",
        name="Fréchet distance in the detector's features",
        kernel_name="Kernel distance x 1000 in the detector's features",
        description=f"{pooled.output.shape[-1]} pooled features of the tumour detector {run.name} "
        f"({backbone}, {side}x{side}); no FID: comparable only with other rows of this table",
        key=weights_digest(run),
        size=side,
        channels=channels,
        function=_of_gray_levels(pooled),
    )


def named_extractors(inception_weights: str | None, run: Path | None) -> tuple[list[Extractor], list[Gap]]:
    """Lite0, InceptionV3 and a detector; InceptionV3 may be missing, what was asked for by name may not.

    Args:
        inception_weights: ``imagenet`` or a file; ``None`` for ImageNet's, which then may be missing.
        run: of a detector, or ``None``.

    Returns:
        Those that are there, and why others are not.

    Raises:
        UserError: a file or a run that cannot be used.
    """
    found, gaps = [lite0()], []
    try:
        found.append(inception(inception_weights or "imagenet"))
    except UserError as error:
        if inception_weights is not None:
            raise
        gaps.append(Gap("FID and KID in InceptionV3 features", str(error)))
    return [*found, *([] if run is None else [detector_features(run)])], gaps
