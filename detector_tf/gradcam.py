"""Grad-CAM (Selvaraju et al. 2017): where a class' evidence comes from."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf

from common_tf.backbones import backbones
from common_tf.pictures.geometry import resize
from common_tf.pictures.intensity import to_signed
from detector_tf.drawing import save_figure, titled_grid


def grad_cam(model: tf.keras.Model, images: np.ndarray, *, target: int, layer: str | None = None) -> np.ndarray:
    """Heat maps: ReLU of the feature maps, each weighted by the mean gradient of the class' logit.

    With one logit, class 1 is the logit and class 0 its negative.

    Args:
        model: a detector; flat, from [-1, 1] to logits.
        images: ``(n, size, size, channels)`` uint8.
        target: class number.
        layer: name of the convolutional map; ``None`` for the backbone's last.

    Returns:
        ``(n, size, size)`` float32 in [0, 1], each scaled to its own maximum; all 0 where nothing speaks for the class.
    """
    maps = model.get_layer(layer or backbones()[model.name].CAM_LAYER).output
    both = tf.keras.Model(model.input, [maps, model.output])
    batch = to_signed(tf.cast(images, tf.float32) / 255.0)
    with tf.GradientTape() as tape:
        tape.watch(batch)  # a frozen backbone has no variables that would make the tape record it
        features, logits = both(batch, training=False)
        score = logits[:, 0] * (1.0 if target else -1.0) if logits.shape[1] == 1 else logits[:, target]
        total = tf.reduce_sum(score)
    gradients = tape.gradient(total, features)
    weights = tf.reduce_mean(gradients, axis=(1, 2), keepdims=True)
    heat = tf.nn.relu(tf.reduce_sum(weights * features, axis=-1)).numpy().astype(np.float32)
    heat = heat / np.maximum(heat.max(axis=(1, 2), keepdims=True), 1e-12)
    size = images.shape[1]
    return np.stack([resize(one, size, size) for one in heat])


def save_overlays(path: Path, images: np.ndarray, heat: np.ndarray, *, titles: Sequence[str], columns: int = 4) -> None:
    """Saves images beside themselves with their heat maps laid over, as one PNG.

    Args:
        path: the PNG.
        images: ``(n, size, size)`` uint8 gray.
        heat: from `grad_cam`.
        titles: one an image.
        columns: pairs in a row.
    """
    figure, axes = titled_grid(titles, columns=columns, panels=2, size=(3.4, 2.1))
    for (plain, laid), image, warm in zip(axes, images, heat):
        for axis in (plain, laid):
            axis.imshow(image, cmap="gray", vmin=0, vmax=255)
        laid.imshow(warm, cmap="inferno", vmin=0, vmax=1, alpha=0.5 * warm)
    save_figure(figure, path)
