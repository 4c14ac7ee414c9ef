"""What a translator makes of squares and pictures, computed once."""

from pathlib import Path
from typing import Callable, Mapping, Sequence

import cv2
import numpy as np

from common_tf.images.intensity import quantise
from common_tf.metrics.similarity import mae
from common_tf.runs.folder import CONFIG_FILE
from cyclegan_tf.inference import PREPARATION_FILE, TrainedTranslator, load_translator
from cyclegan_tf.translators.base import A_TO_B, B_TO_A
from evaluation_tf.cache import ArrayCache, content_hash
from evaluation_tf.slices import stored_picture

_NOISE = 0.02


def _blurred(images: np.ndarray) -> np.ndarray:
    return np.stack([cv2.GaussianBlur(image, (0, 0), 1.0) for image in images])


def _through_jpeg(images: np.ndarray) -> np.ndarray:
    results = []
    for image in images:
        _, code = cv2.imencode(".jpg", quantise(image), [cv2.IMWRITE_JPEG_QUALITY, 75])
        results.append(cv2.imdecode(code, cv2.IMREAD_GRAYSCALE).astype(np.float32) / 255)
    return np.stack(results)


def _noisy(images: np.ndarray) -> np.ndarray:
    noise = np.random.default_rng(0).standard_normal(images.shape).astype(np.float32)
    return np.clip(images + _NOISE * noise, 0, 1)


PERTURBATIONS: Mapping[str, Callable[[np.ndarray], np.ndarray]] = {
    "blurred, sigma 1 px": _blurred,
    "as JPEG, quality 75": _through_jpeg,
    f"with noise, sigma {_NOISE:g}": _noisy,
}
"""What may happen to a translated image before it is translated back."""


class Outputs:
    """A run's translations, kept in a cache by the content of weights and inputs.

    Attributes:
        translator: the loaded run.
        run: its folder.
        cache: where they are kept.
    """

    def __init__(self, run: Path, cache: ArrayCache):
        self.run = Path(run)
        self.translator: TrainedTranslator = load_translator(run)
        self.cache = cache
        parts = [(self.run / name).read_bytes() for name in (CONFIG_FILE, PREPARATION_FILE)]
        files = sorted(self.translator.record["files"].values())
        self.weights_hash = content_hash(*[(self.run / "weights" / file).read_bytes() for file in files])
        self._key = content_hash(*parts, self.weights_hash)

    def networks(self, source: str) -> tuple:
        """Names of the network from a domain and of the one back to it."""
        there = A_TO_B if source == self.translator.config.domain_names[0] else B_TO_A
        return there, (B_TO_A if there == A_TO_B else A_TO_B)

    def target(self, source: str) -> str:
        """The other domain."""
        return next(name for name in self.translator.config.domain_names if name != source)

    @property
    def parameters(self) -> int:
        """Weights of all networks that inference uses."""
        return self.translator.translate.parameters

    @property
    def sources(self) -> tuple:
        """The domains that the run translates from; a one-sided run has one."""
        return tuple(name for name in self.translator.config.domain_names if self.translator.translates(name))

    @property
    def has_cycle(self) -> bool:
        """Whether there is a way back."""
        return len(self.sources) == 2

    def squares(self, squares: np.ndarray, source: str) -> tuple:
        """Translated and cycled squares, each ``(n, size, size)`` uint8 like the input; no cycle where there is no way
        back.

        The cycle is that of training: nothing is rounded between the two passes.
        """
        there, back = self.networks(source)

        def compute() -> dict:
            fake = self.translator.translate(squares.astype(np.float32) / 255, there)
            results = {"fake": quantise(fake)}
            if self.has_cycle:
                results["cycled"] = quantise(self.translator.translate(fake, back))
            return results

        arrays = self.cache.arrays(content_hash("squares", self._key, there, squares), compute)
        return arrays["fake"], arrays.get("cycled")

    def perturbed_cycles(self, squares: np.ndarray, masks: np.ndarray, source: str) -> Mapping[str, np.ndarray]:
        """Cycle error (MAE on [0, 1] in the head) of each square, plain and with the image between perturbed."""
        there, back = self.networks(source)

        def compute() -> dict:
            units = squares.astype(np.float32) / 255
            fake = self.translator.translate(units, there)
            between = {"untouched": fake, **{name: change(fake) for name, change in PERTURBATIONS.items()}}
            return {
                name: mae(units, self.translator.translate(image, back), mask=masks) for name, image in between.items()
            }

        return self.cache.arrays(content_hash("perturbed", self._key, there, squares, masks), compute)

    def pictures(self, pictures: Sequence[np.ndarray], source: str) -> list:
        """Translated pictures of any size, uint8 as translate.py would save them.

        Args:
            pictures: ``(height, width)`` uint8 each.
            source: their domain.
        """
        there, _ = self.networks(source)

        def compute() -> dict:
            results = []
            for start in range(0, len(pictures), 32):
                part = [stored_picture(pixels) for pixels in pictures[start : start + 32]]
                results += self.translator.translate_pictures(part, source=source, network=there)
            return {f"{number:06d}": quantise(result) for number, result in enumerate(results)}

        arrays = self.cache.arrays(content_hash("pictures", self._key, there, *pictures), compute)
        return [arrays[name] for name in sorted(arrays)]
