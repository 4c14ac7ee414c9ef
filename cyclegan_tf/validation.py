"""The figures that choose the best checkpoint, and the sample grids."""

from pathlib import Path

import numpy as np

from common_tf.measurement.measurement import measure
from common_tf.metrics.content import edge_agreement
from common_tf.metrics.distribution import sliced_wasserstein
from common_tf.metrics.similarity.mae import mae
from common_tf.pictures.grid import SYNTHETIC_NOTICE, save_grid
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.data import Domain, TrainingData
from cyclegan_tf.directions import SIDES, back
from cyclegan_tf.inference import ArrayTranslator
from cyclegan_tf.translator import Translator

CYCLE_SHARE, EDGE_SHARE = 5.0, 0.5
_DISTANCE = (
    "sliced Wasserstein distance (7x7 patches, Laplacian pyramid, in standard deviations of the real images) between "
    "translated and real validation slices"
)
_FIGURES = {
    "cycle": f"mean over both directions of: {_DISTANCE} + {CYCLE_SHARE:g} x cycle MAE on [0, 1]; lower is better",
    "paired": "mean absolute error against the aligned truth of the validation slices, on [0, 1]; lower is better",
    "edges": f"{_DISTANCE} + {EDGE_SHARE:g} x (1 - edge agreement of input and output); lower is better",
}


class Validation:
    """Fixed validation slices of both domains.

    The figure is computed on the weights that inference uses. Whether the output looks like the other domain would
    alone reward a translator that ignores its input, so the cycle's error is added, or without a cycle the
    disagreement of edges. A system that learns from pairs is judged by the truth.

    Attributes:
        figure: what ``score`` is, in words.
    """

    def __init__(self, translator: Translator, config: TranslatorConfig, data: TrainingData):
        networks = translator.inference_networks()
        self._translate = ArrayTranslator(networks, channels=config.data.channels)
        self._directions = tuple(networks)
        self._kind = "paired" if data.paired else "cycle" if translator.has_cycle else "edges"
        self.figure = _FIGURES[self._kind]
        self._config = config
        self._real, self._masks, self._training = {}, {}, {}
        for letter, domain in (("a", data.a), ("b", data.b)):
            self._real[letter], self._masks[letter] = self._squares(data, domain, "validation")
            self._training[letter], _ = self._squares(data, domain, "train")

    def _squares(self, data: TrainingData, domain: Domain, split: str) -> tuple[np.ndarray, np.ndarray]:
        """Slices spread evenly over a split, ``(n, size, size)`` in [0, 1], and their heads."""
        chosen = data.chosen(domain, split)
        count = self._config.validation.validation_images
        some = chosen[:: max(1, len(chosen) // count)][:count] if split == "train" else chosen[:count]
        slices = data.slices(domain, some, self._config.data.image_size)
        return slices.scaled(), np.asarray(slices.masks)

    def figures(self) -> dict[str, float]:
        """The figure as ``score``, and its parts by name."""
        results: dict[str, float] = {}
        scores = []
        for there in self._directions:
            source, target = SIDES[there]
            fake = self._translate(self._real[source], there)
            distance = results[f"distance_{there}"] = sliced_wasserstein(self._real[target], fake)
            if self._kind == "paired":
                results[f"mae_{there}"] = measure(mae(self._real[target], fake)).value
                scores.append(results[f"mae_{there}"])
            elif self._kind == "cycle":
                cycled = self._translate(fake, back(there))
                results[f"cycle_mae_{source}"] = measure(mae(self._real[source], cycled)).value
                scores.append(distance + CYCLE_SHARE * results[f"cycle_mae_{source}"])
            else:
                agreement = edge_agreement(self._real[source], fake, mask=self._masks[source])
                results[f"edges_{there}"] = measure(agreement).value
                scores.append(distance + EDGE_SHARE * (1 - results[f"edges_{there}"]))
        return {"score": float(np.mean(scores)), **results}

    def references(self) -> dict[str, float]:
        """What to read the distances against: real training slices of the target domain, and untranslated slices.

        Both against the same real validation slices and at the same number of images as the distances themselves.
        """
        results = {}
        for there in self._directions:
            source, target = SIDES[there]
            results[f"real_{there}"] = sliced_wasserstein(self._real[target], self._training[target])
            results[f"untranslated_{there}"] = sliced_wasserstein(self._real[target], self._real[source])
        return results

    def save_samples(self, path: Path, step: int) -> None:
        """Saves a grid: input, output and cycle (or truth) of fixed slices, every direction."""
        count = self._config.validation.sample_images
        names = dict(zip("ab", self._config.data.domain_names))
        columns, titles = [], []
        for there in self._directions:
            source, target = SIDES[there]
            # Spread over the validation set: neighbours are often slices of one head.
            chosen = np.linspace(0, len(self._real[source]) - 1, min(count, len(self._real[source]))).astype(int)
            real = self._real[source][chosen]
            fake = self._translate(real, there)
            columns += [real, fake]
            titles += [f"{names[source]}, real", f"{names[source]} to {names[target]}"]
            if self._kind == "paired":
                columns.append(self._real[target][chosen])
                titles.append(f"{names[target]}, truth")
            elif len(self._directions) == 2:
                columns.append(self._translate(fake, back(there)))
                titles.append(f"and back to {names[source]}")
        save_grid(path, columns, titles=titles, footer=f"step {step}. {SYNTHETIC_NOTICE}")
