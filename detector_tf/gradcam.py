"""Grad-CAM (Selvaraju et al. 2017): where a class' evidence comes from."""

from pathlib import Path
from typing import Mapping, Optional, Sequence

import matplotlib
import numpy as np
import tensorflow as tf

from common_tf.images.geometry import resize
from common_tf.images.intensity import to_signed
from common_tf.runs.files import replace_file
from detector_tf.backbones import CAM_LAYER
from detector_tf.batches import with_channels
from detector_tf.config import DetectorConfig
from detector_tf.data import DetectorData
from detector_tf.predictions import read_predictions

matplotlib.use("Agg")  # files only; no display is needed
from matplotlib import pyplot as plt  # noqa: E402

_SHOWN = 12


def grad_cam(model: tf.keras.Model, images: np.ndarray, *, target: int, layer: Optional[str] = None) -> np.ndarray:
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
    maps = model.get_layer(layer or CAM_LAYER[model.name]).output
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
    rows = -(-len(images) // columns)
    figure, axes = plt.subplots(
        rows, 2 * columns, figsize=(3.4 * columns, 2.1 * rows), dpi=110, squeeze=False, layout="constrained"
    )
    for axis in axes.flat:
        axis.axis("off")
    for number, (image, warm, title) in enumerate(zip(images, heat, titles)):
        plain, laid = axes[number // columns, 2 * (number % columns) : 2 * (number % columns) + 2]
        for axis in (plain, laid):
            axis.imshow(image, cmap="gray", vmin=0, vmax=255)
        laid.imshow(warm, cmap="inferno", vmin=0, vmax=1, alpha=0.5 * warm)
        plain.set_title(title, fontsize=8, loc="left")
    try:
        replace_file(path, lambda temporary: figure.savefig(temporary))
    finally:
        plt.close(figure)


def explain_worst(
    run: Path,
    model: tf.keras.Model,
    config: DetectorConfig,
    data: DetectorData,
    split: Mapping[str, np.ndarray],
    images: np.ndarray,
) -> None:
    """Saves gradcam.png: the test images whose own class got the lowest probability, with the map of that class'
    rival.
    """
    test = read_predictions(run).select(split="test")
    indices = np.flatnonzero(split["test"])
    truth, probabilities = test.truth, test.probabilities
    own = probabilities[np.arange(len(truth)), truth]
    worst = np.argsort(own, kind="stable")[:_SHOWN]
    others = probabilities[worst].copy()
    others[np.arange(len(worst)), truth[worst]] = -1
    rivals = others.argmax(axis=1)
    gray = images[indices[worst]]
    heat = np.concatenate(
        [
            grad_cam(model, with_channels(gray[i : i + 1], config.channels), target=int(rival))
            for i, rival in enumerate(rivals)
        ]
    )
    titles = []
    for i, rival in zip(worst, rivals):
        belief = f"{data.classes[truth[i]]}; p({data.classes[rival]}) = {probabilities[i, rival]:.2f}"
        titles.append(f"{belief}\n{Path(test.rows[i]['path']).name}")
    save_overlays(run / "gradcam.png", gray, heat, titles=titles)
