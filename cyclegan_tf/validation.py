"""The figures that choose the best checkpoint, and the sample grids."""

from pathlib import Path

import numpy as np

from common_tf.images.grid import SYNTHETIC_NOTICE, save_grid
from common_tf.metrics.distribution import sliced_wasserstein
from common_tf.metrics.similarity import mae
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.data import TrainingData
from cyclegan_tf.inference import UnitTranslator
from cyclegan_tf.translators.base import A_TO_B, B_TO_A, Translator

CYCLE_SHARE = 5.0
FIGURE = (
    "mean over both directions of: sliced Wasserstein distance (7x7 patches, Laplacian pyramid, in standard deviations "
    f"of the real images) between translated and real validation slices + {CYCLE_SHARE:g} x cycle MAE on [0, 1]; "
    "lower is better"
)


class Validation:
    """Fixed validation slices of both domains.

    The figure is computed on the weights that inference uses. Its first part asks whether the output looks like the
    other domain; alone it would reward a translator that ignores its input, so the cycle's error is added.
    """

    def __init__(self, translator: Translator, config: TranslatorConfig, data: TrainingData):
        self._translate = UnitTranslator(translator.inference_networks(), channels=config.channels)
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
        results = {}
        for source, target, there, back in (("a", "b", A_TO_B, B_TO_A), ("b", "a", B_TO_A, A_TO_B)):
            fake = self._translate(self._real[source], there)
            cycled = self._translate(fake, back)
            results[f"distance_{there}"] = sliced_wasserstein(self._real[target], fake)
            results[f"cycle_mae_{source}"] = float(mae(self._real[source], cycled).mean())
        distance = (results[f"distance_{A_TO_B}"] + results[f"distance_{B_TO_A}"]) / 2
        cycle = (results["cycle_mae_a"] + results["cycle_mae_b"]) / 2
        return {"score": distance + CYCLE_SHARE * cycle, **results}

    def references(self) -> dict:
        """What to read the distances against: real training slices of the target domain, and untranslated slices.

        Both against the same real validation slices and at the same number of images as the distances themselves.
        """
        results = {}
        for source, target, there in (("a", "b", A_TO_B), ("b", "a", B_TO_A)):
            results[f"real_{there}"] = sliced_wasserstein(self._real[target], self._training[target])
            results[f"untranslated_{there}"] = sliced_wasserstein(self._real[target], self._real[source])
        return results

    def save_samples(self, path: Path, step: int) -> None:
        """Saves a grid: input, output and cycle of fixed slices, both directions."""
        count = self._config.sample_images
        a, b = self._names
        columns, titles = [], []
        for source, there, back, first, second in (("a", A_TO_B, B_TO_A, a, b), ("b", B_TO_A, A_TO_B, b, a)):
            # Spread over the validation set: neighbours are often slices of one head.
            chosen = np.linspace(0, len(self._real[source]) - 1, min(count, len(self._real[source]))).astype(int)
            real = self._real[source][chosen]
            fake = self._translate(real, there)
            cycled = self._translate(fake, back)
            columns += [real, fake, cycled]
            titles += [f"{first}, real", f"{first} to {second}", f"and back to {first}"]
        save_grid(path, columns, titles=titles, footer=f"step {step}. {SYNTHETIC_NOTICE}")
