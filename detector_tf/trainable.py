"""A detector in training: network, averaged weights, optimizers, and one update."""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from common_tf.arithmetic import LossScale
from common_tf.averaging import update_average
from common_tf.backbones import HEAD_LAYERS, build_network
from common_tf.files import replace_json
from common_tf.forward import in_batches
from common_tf.lanes import OPTIMIZER_OPTIONS
from common_tf.pictures.intensity import to_signed
from common_tf.replicas import replicas
from common_tf.runs.saved_detector import save_detector
from detector_tf.augmentation import Augmentation
from detector_tf.batches import Squares
from detector_tf.config import DetectorConfig
from detector_tf.weights import Started, fine_tuned_layers

Loss = Callable[[tf.Tensor, Mapping[str, tf.Tensor]], tuple[tf.Tensor, Mapping[str, tf.Tensor]]]
"""From logits and what belongs to the images (``labels`` or ``masks``) to the loss and further figures."""

Predict = Callable[[Squares], np.ndarray]
"""From images to the averaged network's logits."""

_LAST_RATE = 0.05
_LARGEST_BATCH, _PIXELS_AT_ONCE = 32, 2**19


class DetectorTrainable:
    """Two phases: while ``step < head_steps`` only the head learns, then everything from ``fine_tune_from`` on.

    BatchNormalization keeps the statistics it came with wherever weights were trained before; networks that start from
    random weights learn them as usual.

    Attributes:
        inference: the averaged network in float32; what is validated, saved and used.
        state: see `common_tf.runs.session.Trainable`.
    """

    def __init__(
        self,
        config: DetectorConfig,
        started: Started,
        *,
        folder: Path,
        loss: Loss,
        figures: Callable[[Predict], Mapping[str, float]],
        policy: str,
        steps_per_epoch: int,
        total_steps: int,
    ):
        """Builds what a session trains.

        Args:
            config: of the run.
            started: the network to train.
            folder: of the run, or of the fold.
            loss: of the task.
            figures: of a validation; the lowest ``score`` chooses the model that is saved.
            policy: Keras mixed-precision policy of the network.
            steps_per_epoch, total_steps: of the schedule.
        """
        self._network, self._spec, self._folder = started.network, started.spec, folder
        self.inference = build_network(started.spec, policy="float32")
        self.inference.set_weights(self._network.get_weights())
        self._infer = as_function(self.inference)
        self._config, self._loss, self._figures = config, loss, figures
        self._total_steps = total_steps
        self._head_steps = min(config.optimisation.head_epochs * steps_per_epoch, total_steps)
        self._augment = Augmentation(config.augmentation, seed=config.optimisation.seed)
        self._scale = LossScale(policy)
        if config.network.is_started:
            # In both networks alike: the average pairs their trainable variables.
            for layer in (*self._network.layers, *self.inference.layers):
                if isinstance(layer, tf.keras.layers.BatchNormalization):
                    layer.trainable = False
        # Each process normalises by its own images of a step; what is learned of them is the mean.
        shared = replicas().count > 1
        norms = [one for one in self._network.layers if isinstance(one, tf.keras.layers.BatchNormalization)]
        self._statistics = [v for one in norms if one.trainable and shared for v in one.non_trainable_variables]
        head = [layer for layer in self._network.layers if layer.name in HEAD_LAYERS]
        parts = {"head": head if self._head_steps else [], "body": fine_tuned_layers(config, self._network)}
        self._learned = {
            part: [variable for layer in layers for variable in layer.trainable_variables]
            for part, layers in parts.items()
            if layers
        }
        self._optimizers = {part: self._optimizer(variables) for part, variables in self._learned.items()}
        self._updates = {part: tf.function(self._updating(part), autograph=False) for part in self._learned}
        self.state = tf.Module(name="detector")
        self.state.network, self.state.inference = self._network, self.inference
        self.state.optimizers, self.state.scale = self._optimizers, self._scale

    def trained(self) -> Sequence[tf.Variable]:
        """The weights of both networks."""
        return [*self._network.variables, *self.inference.variables]

    def train_step(self, batch: Mapping[str, tf.Tensor], step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """One update.

        Args:
            batch: of `detector_tf.batches.Batches`.
            step: int64 scalar, the number of updates made before.

        Returns:
            The loss and the accuracy (or Dice) on the augmented batch.
        """
        part = "head" if int(step) < self._head_steps else "body"
        return self._updates[part](batch, step, tf.constant(self.rate(int(step)), tf.float32))

    def rate(self, step: int) -> float:
        """The learning rate of the update after ``step`` others: constant while only the head learns, then half a
        cosine down to a twentieth (Loshchilov and Hutter 2017).
        """
        optimisation = self._config.optimisation
        if step < self._head_steps:
            return optimisation.head_learning_rate
        passed = min(1.0, (step - self._head_steps) / max(1, self._total_steps - self._head_steps))
        return optimisation.learning_rate * (_LAST_RATE + (1 - _LAST_RATE) * (1 + math.cos(math.pi * passed)) / 2)

    def validate(self, step: int) -> Mapping[str, float]:
        """The task's figures of the averaged network."""
        return self._figures(self.logits)

    def export(self, kind: str, record: Mapping[str, Any]) -> None:
        """Saves the network as it was at its best, which is how a detector is used; its last state stands in the
        checkpoints.
        """
        if kind != "best":
            return
        save_detector(self._folder, self.inference, self._spec, step=record["step"])
        replace_json(self._folder / "weights" / "best.json", record)

    def logits(self, images: Squares) -> np.ndarray:
        """Logits of the averaged network, without augmentation."""
        return batched_logits(self._infer, images, side=self._spec.side)

    def _optimizer(self, variables: Sequence[tf.Variable]) -> tf.keras.optimizers.Optimizer:
        # The rate is assigned at each step, so that it follows from the training's step alone.
        optimizer = tf.keras.optimizers.AdamW(
            learning_rate=0.0, weight_decay=self._config.optimisation.weight_decay, **OPTIMIZER_OPTIONS
        )
        optimizer.exclude_from_weight_decay(var_list=[variable for variable in variables if len(variable.shape) < 2])
        optimizer.build(variables)
        return optimizer

    def _updating(self, part: str) -> Callable:
        variables, optimizer, network = self._learned[part], self._optimizers[part], self._network

        def update(batch: Mapping[str, tf.Tensor], step: tf.Tensor, rate: tf.Tensor) -> Mapping[str, tf.Tensor]:
            truth = dict(batch)
            images = tf.cast(truth.pop("images"), tf.float32) / 255.0
            masks = tf.cast(truth["masks"], tf.float32) if "masks" in truth else None
            images, masks = self._augment(images, step, masks)
            if masks is not None:
                truth["masks"] = masks
            mine = {name: replicas().part(value) for name, value in truth.items()}
            with tf.GradientTape() as tape:
                loss, figures = self._loss(network(to_signed(replicas().part(images)), training=True), mine)
                scaled = self._scale.up(loss)
            gradients = self._scale.down(tape.gradient(scaled, variables))
            figures = {"loss": loss, **figures}
            found = [*figures.values(), *gradients, *map(tf.convert_to_tensor, self._statistics)]
            means = iter(replicas().mean(found))
            figures = {name: next(means) for name in figures}
            gradients = [next(means) for _ in gradients]
            for one in self._statistics:
                one.assign(next(means))

            def apply() -> None:
                optimizer.learning_rate.assign(rate)
                optimizer.apply_gradients(zip(gradients, variables))

            self._scale.when_finite(gradients, apply)
            update_average(self.inference, network, decay=self._config.optimisation.ema_decay, step=step)
            for old, new in zip(self.inference.non_trainable_variables, network.non_trainable_variables):
                old.assign(tf.cast(new, old.dtype))
            return figures

        return update


def as_function(model: tf.keras.Model) -> Callable[[tf.Tensor], tf.Tensor]:
    """A network at inference as a graph, traced once a device for batches of any length."""
    signature = [tf.TensorSpec(model.input.shape, tf.float32)]
    return tf.function(lambda batch: model(batch, training=False), autograph=False, input_signature=signature)


def batched_logits(function: Callable, images: Squares | np.ndarray, *, side: int) -> np.ndarray:
    """Runs uint8 squares ``(n, side, side, channels)`` through a function of [-1, 1] batches, some at a time."""
    batch_size = max(1, min(_LARGEST_BATCH, _PIXELS_AT_ONCE // side**2))
    return in_batches(lambda some: function(to_signed(tf.cast(some, tf.float32) / 255.0)), images, size=batch_size)
