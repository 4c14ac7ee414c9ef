"""A translator as a session trains it: validated on fixed slices, exported as its generators."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tensorflow as tf

from common_tf.runs.weights import save_weights
from common_tf.sources.pipeline import Pipeline
from cyclegan_tf.translator import Translator
from cyclegan_tf.validation import Validation


class TrainableTranslator:
    """See `common_tf.runs.session.Trainable`.

    Args:
        folder: of the run.
        translator: the system.
        validation: of its slices; ``None`` for a process that only helps to train.
        pipeline: of its batches, for what is measured on one of them.

    Attributes:
        state: the system.
        references: what the distances of a validation are to be read against.
    """

    def __init__(
        self,
        folder: Path,
        translator: Translator,
        validation: Validation | None,
        pipeline: Pipeline,
    ):
        self.state: tf.Module = translator
        self.references: Mapping[str, float] = {}
        self._folder, self._translator, self._validation, self._pipeline = folder, translator, validation, pipeline
        if validation is not None:
            self.references = validation.references()
            (folder / "samples").mkdir(exist_ok=True)

    def trained(self) -> Sequence[tf.Variable]:
        """The weights that are learned."""
        return self._translator.trained()

    def train_step(self, batch: Mapping[str, tf.Tensor], step: tf.Tensor) -> Mapping[str, tf.Tensor]:
        """One update."""
        return self._translator.train_step(batch, step)

    def validate(self, step: int) -> Mapping[str, float]:
        """Figures, a sample grid, and what is too dear for every step."""
        assert self._validation is not None, "only the first process validates"
        figures = self._validation.figures()
        self._validation.save_samples(self._folder / "samples" / f"step_{step:07d}.png", step)
        batch = next(iter(self._pipeline.batches(step)))
        for name, value in self._translator.diagnostics(batch, tf.constant(step, tf.int64)).items():
            figures[name] = float(value)
        return figures

    def export(self, kind: str, record: Mapping[str, Any]) -> None:
        """Saves the generators that inference uses."""
        further = {"references": self.references} if kind == "best" else {}
        save_weights(self._folder, kind, self._translator.inference_networks(), {**record, **further})
