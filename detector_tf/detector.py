"""A detector in training: network, averaged weights, optimizers, and one update."""

from typing import Mapping, Sequence

import numpy as np
import tensorflow as tf

from common_tf.averaging import update_average
from common_tf.images.intensity import to_signed
from detector_tf.augmentation import Augmentation
from detector_tf.backbones import FINE_TUNE_FROM, HEAD_LAYERS, build_detector
from detector_tf.config import DetectorConfig
from detector_tf.losses import classification_loss, segmentation_loss


class Detector(tf.Module):
    """Two phases: while ``step < head_steps`` only the head learns, then everything from ``fine_tune_from`` on.

    BatchNormalization keeps the statistics it came with wherever weights were trained before; networks that start from
    random weights learn them as usual.

    Attributes:
        inference: the averaged network in float32; what is validated, saved and used.
        best_step: int64 variable, the step of the best validation.
    """

    def __init__(
        self,
        config: DetectorConfig,
        network: tf.keras.Model,
        *,
        classes: int,
        class_weights: Sequence[float],
        policy: str,
        head_steps: int,
        total_steps: int,
    ):
        super().__init__(name="detector")
        self.network = network
        self.inference = build_detector(config, classes=classes, policy="float32")
        self.inference.set_weights(network.get_weights())
        self.best_step = tf.Variable(0, dtype=tf.int64, trainable=False, name="best_step")
        self._config = config
        self._classes = classes
        self._class_weights = tf.constant(class_weights, tf.float32)
        self._policy = policy
        self._head_steps = head_steps
        self._augment = Augmentation(config)
        pretrained = config.weights != "none"
        # In both networks alike: the average pairs their trainable variables.
        for layer in (*network.layers, *self.inference.layers):
            if pretrained and isinstance(layer, tf.keras.layers.BatchNormalization):
                layer.trainable = False
        names = [layer.name for layer in network.layers]
        first = config.fine_tune_from or (FINE_TUNE_FROM.get(config.backbone, "") if pretrained else "")
        tuned = network.layers[names.index(first) if first else 0 :]
        self._parts = {
            "head": [v for layer in network.layers if layer.name in HEAD_LAYERS for v in layer.trainable_variables],
            "body": [v for layer in tuned for v in layer.trainable_variables],
        }
        decay = tf.keras.optimizers.schedules.CosineDecay(
            config.learning_rate, max(1, total_steps), alpha=0.05, name="rate"
        )
        self.optimizers = {}
        for part, rate in (("head", config.head_learning_rate), ("body", decay)):
            if part == "head" and not head_steps:
                continue
            optimizer = tf.keras.optimizers.AdamW(rate, weight_decay=config.weight_decay, jit_compile=False)
            optimizer.exclude_from_weight_decay(var_list=[v for v in self._parts[part] if len(v.shape) < 2])
            if policy == "mixed_float16":
                optimizer = tf.keras.mixed_precision.LossScaleOptimizer(optimizer)
            optimizer.build(self._parts[part])
            self.optimizers[part] = optimizer

    def train_step(self, batch: Mapping[str, tf.Tensor], step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """One update.

        Args:
            batch: ``images`` ``(batch, size, size, channels)`` uint8 and ``labels`` ``(batch,)`` int32, or ``masks``
                ``(batch, size, size, 1)`` uint8 in {0, 1}.
            step: int64 scalar, the number of updates made before.

        Returns:
            The loss and the accuracy (or Dice) on the augmented batch.
        """
        return self._head_step(batch, step) if int(step) < self._head_steps else self._body_step(batch, step)

    @tf.function(autograph=False)
    def _head_step(self, batch, step):
        return self._update(batch, step, "head")

    @tf.function(autograph=False)
    def _body_step(self, batch, step):
        return self._update(batch, step, "body")

    def _update(self, batch, step, part: str):
        variables, optimizer = self._parts[part], self.optimizers[part]
        images = tf.cast(batch["images"], tf.float32) / 255.0
        masks = tf.cast(batch["masks"], tf.float32) if "masks" in batch else None
        if masks is None:
            images = self._augment(images, step)
        else:
            images, masks = self._augment(images, step, masks)
        with tf.GradientTape() as tape:
            # A frozen backbone behaves as at inference; only what learns may use batch statistics.
            logits = self.network(to_signed(images), training=part == "body")
            if masks is None:
                loss, figure = classification_loss(
                    logits,
                    batch["labels"],
                    classes=self._classes,
                    class_weights=self._class_weights,
                    label_smoothing=self._config.label_smoothing,
                )
                figures = {"accuracy": figure}
            else:
                loss, figure = segmentation_loss(logits, masks)
                figures = {"dice": figure}
            scaled = optimizer.get_scaled_loss(loss) if self._policy == "mixed_float16" else loss
        gradients = tape.gradient(scaled, variables)
        if self._policy == "mixed_float16":
            gradients = optimizer.get_unscaled_gradients(gradients)
        optimizer.apply_gradients(zip(gradients, variables))
        update_average(self.inference, self.network, decay=self._config.ema_decay, step=step)
        for old, new in zip(self.inference.non_trainable_variables, self.network.non_trainable_variables):
            old.assign(tf.cast(new, old.dtype))
        return {"loss": loss, **figures}

    def logits(self, images: np.ndarray, *, batch_size: int = 32) -> np.ndarray:
        """Logits of uint8 squares ``(n, size, size, channels)`` from the averaged network, without augmentation."""
        return batched_logits(self._infer, images, batch_size=batch_size)

    @tf.function(autograph=False, reduce_retracing=True)
    def _infer(self, images):
        return self.inference(images, training=False)


def batched_logits(function, images: np.ndarray, *, batch_size: int = 32) -> np.ndarray:
    """Runs uint8 squares through a function of [-1, 1] batches."""
    parts = []
    for start in range(0, len(images), batch_size):
        batch = to_signed(tf.cast(images[start : start + batch_size], tf.float32) / 255.0)
        parts.append(np.asarray(function(batch)))
    return np.concatenate(parts)
