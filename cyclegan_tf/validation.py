"""The figures that choose the best checkpoint, and the sample grids."""

from pathlib import Path

import numpy as np

from common_tf.images.grid import SYNTHETIC_NOTICE, save_grid
from common_tf.metrics.content import edge_agreement
from common_tf.metrics.distribution import sliced_wasserstein
from common_tf.metrics.similarity import mae
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.data import TrainingData
from cyclegan_tf.inference import UnitTranslator
from cyclegan_tf.translators.base import A_TO_B, B_TO_A, SIDES, Translator

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
        self._translate = UnitTranslator(networks, channels=config.channels)
        self._directions = tuple(networks)
        self._kind = "paired" if data.paired else "cycle" if translator.has_cycle else "edges"
        self.figure = _FIGURES[self._kind]
        self._config = config
        self._names = config.domain_names
        count, size = config.validation_images, config.image_size
        self._real, self._training = {}, {}
        for letter, domain in (("a", data.a), ("b", data.b)):
            self._real[letter] = domain.squares(domain.validation[:count], size)
            step = max(1, len(domain.training) // count)
            self._training[letter] = domain.squares(domain.training[::step][:count], size)

    def figures(self) -> dict:
        """The figure as ``score``, and its parts by name."""
        results, scores = {}, []
        for there in self._directions:
            source, target = SIDES[there]
            fake = self._translate(self._real[source], there)
            distance = results[f"distance_{there}"] = sliced_wasserstein(self._real[target], fake)
            if self._kind == "paired":
                results[f"mae_{there}"] = float(mae(self._real[target], fake).mean())
                scores.append(results[f"mae_{there}"])
            elif self._kind == "cycle":
                cycled = self._translate(fake, B_TO_A if there == A_TO_B else A_TO_B)
                results[f"cycle_mae_{source}"] = float(mae(self._real[source], cycled).mean())
                scores.append(distance + CYCLE_SHARE * results[f"cycle_mae_{source}"])
            else:
                agreement = edge_agreement(self._real[source], fake, mask=self._real[source] > 0)
                results[f"edges_{there}"] = float(np.nanmean(agreement))
                scores.append(distance + EDGE_SHARE * (1 - results[f"edges_{there}"]))
        return {"score": float(np.mean(scores)), **results}

    def references(self) -> dict:
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
        count = self._config.sample_images
        names = dict(zip("ab", self._names))
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
                columns.append(self._translate(fake, B_TO_A if there == A_TO_B else A_TO_B))
                titles.append(f"and back to {names[source]}")
        save_grid(path, columns, titles=titles, footer=f"step {step}. {SYNTHETIC_NOTICE}")
