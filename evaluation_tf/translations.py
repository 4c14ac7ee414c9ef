"""What a translator makes of squares and pictures, computed once."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from common_tf.errors import UserError
from common_tf.metrics.similarity.mae import mae
from common_tf.pictures.intensity import quantise
from common_tf.pictures.picture import Picture
from common_tf.pictures.preparation import PREPARATION_FILE, Preparation
from common_tf.pictures.readers import FileFacts
from common_tf.runs.folder import CONFIG_FILE
from common_tf.sources.source import Case
from common_tf.volumes.slices import middle_of_slabs
from cyclegan_tf.config import TranslatorConfig
from cyclegan_tf.directions import back
from cyclegan_tf.inference import TrainedTranslator, load_translator
from cyclegan_tf.truth import held_out_heads, training_heads
from evaluation_tf.cache import ArrayCache
from evaluation_tf.images import Images, Pictures, batches, content_hash, file_hash, for_scaled_domains
from evaluation_tf.perturbations import PERTURBATIONS


class Translations:
    """A run's translations, kept by the content of weights and inputs.

    Attributes:
        run: its folder.
        translator: the loaded run.
        cache: where they are kept.
        weights_hash: of all files of weights.
    """

    def __init__(self, run: Path, cache: ArrayCache):
        """Loads a run.

        Raises:
            UserError: no run, no weights, or damaged ones.
        """
        self.run = Path(run)
        self.translator: TrainedTranslator = load_translator(self.run)
        self.cache = cache
        # What is translated here is scaled already.
        self._scaled = replace(self.translator, preparations=for_scaled_domains(self.translator.preparations))
        files = sorted(Path(file).name for file in self.translator.record["files"].values())
        self.weights_hash = content_hash(*(file_hash(self.run / "weights" / file) for file in files))
        self._key = content_hash(
            *(file_hash(self.run / name) for name in (CONFIG_FILE, PREPARATION_FILE)), self.weights_hash
        )

    @property
    def config(self) -> TranslatorConfig:
        """Of the run."""
        return self.translator.config

    @property
    def domains(self) -> tuple[str, str]:
        """Names of domain A and B."""
        return self.config.data.domain_names

    @property
    def parameters(self) -> int:
        """Weights of all networks that inference uses."""
        return self.translator.translate.parameters

    @property
    def sources(self) -> tuple[str, ...]:
        """The domains that the run translates from; a one-sided run has one."""
        return tuple(name for name in self.domains if self.translator.network(name))

    @property
    def has_cycle(self) -> bool:
        """Whether there is a way back."""
        return len(self.sources) == 2

    @cached_property
    def held_out_heads(self) -> list[Case]:
        """Aligned drawn heads that the run has not seen; each is drawn once."""
        return _drawn_once(held_out_heads(self.config))

    @cached_property
    def training_heads(self) -> list[Case]:
        """The aligned heads behind the run's training; only floors and references may use both of their sides."""
        return _drawn_once(training_heads(self.config))

    def target(self, source: str) -> str:
        """The other domain."""
        return next(name for name in self.domains if name != source)

    def preparation(self, facts: Mapping[str, FileFacts], *, source: str, flag: str) -> Preparation:
        """How files of a domain become squares, perhaps of another depth than those of the training.

        Args:
            facts: of all of these files, by name.
            source: their domain.
            flag: what the user named them by, for the error.

        Raises:
            UserError: gray values whose black or white cannot be known.
        """
        try:
            return self.translator.for_files(facts, source=source).preparations[source]
        except UserError as error:
            raise UserError(f"{flag}: {error} to the training, whose values the report takes") from error

    def squares(self, squares: Images, source: str) -> tuple[Images, Images | None]:
        """Translated and cycled squares, like the input; no cycle where there is no way back.

        The cycle is that of training: nothing is rounded between the two passes.
        """
        there = self._network(source)

        def compute() -> dict[str, np.ndarray]:
            parts: dict[str, list] = {"fake": []}
            for part in batches(len(squares)):
                fake = self.translator.translate(squares.as_seen(part), there)
                parts["fake"].append(quantise(middle_of_slabs(fake)))
                if self.has_cycle:
                    cycled = middle_of_slabs(self.translator.translate(fake, back(there)))
                    parts.setdefault("cycled", []).append(quantise(cycled))
            return {name: np.concatenate(found) for name, found in parts.items()}

        key = content_hash("squares", self._key, there, squares.digest)
        arrays = self.cache.arrays(key, compute)
        made = {name: Images(pixels, content_hash(key, name)) for name, pixels in arrays.items()}
        return made["fake"], made.get("cycled")

    def perturbed_cycles(self, squares: Images, masks: Images, source: str) -> Mapping[str, np.ndarray]:
        """Cycle error (MAE on [0, 1] in the head) of each square, ``untouched`` and with what is between perturbed."""
        there = self._network(source)

        def compute() -> dict[str, np.ndarray]:
            scaled = squares.scaled()
            fake = self.translator.translate(squares.as_seen(), there)
            between = {
                "untouched": fake,
                **{key: _perturbed(fake, change) for key, (_, change) in PERTURBATIONS.items()},
            }
            return {
                name: mae(scaled, middle_of_slabs(self.translator.translate(image, back(there))), mask=masks.scaled())
                for name, image in between.items()
            }

        key = content_hash("perturbed", self._key, there, squares.digest, masks.digest)
        return self.cache.arrays(key, compute)

    def pictures(self, pictures: Pictures, source: str) -> Pictures:
        """Translated pictures, as translate.py would save them.

        Args:
            pictures: scaled ones.
            source: their domain.
        """
        there = self._network(source)

        def compute() -> dict[str, np.ndarray]:
            results = []
            for part in batches(len(pictures)):
                # Without a head that aligned pictures may know: files come without it.
                given = [Picture(picture.pixels) for picture in pictures.items[part]]
                results += self._scaled.translate_pictures(given, source=source, network=there)
            return {f"{number:06d}": quantise(result) for number, result in enumerate(results)}

        key = content_hash("pictures", self._key, there, pictures.digest)
        arrays = self.cache.arrays(key, compute)
        return Pictures([Picture(arrays[name]) for name in sorted(arrays)], key)

    def _network(self, source: str) -> str:
        network = self.translator.network(source)
        if network is None:
            raise ValueError(f"the run does not translate from {source}")
        return network


def _perturbed(images: np.ndarray, change: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """Changed images; of slabs every slice by itself."""
    first = np.moveaxis(images, -1, 1) if images.ndim > 3 else images
    changed = change(first.reshape(-1, *first.shape[-2:])).reshape(first.shape)
    return np.moveaxis(changed, 1, -1) if images.ndim > 3 else changed


def _drawn_once(cases: list[Case]) -> list[Case]:
    return [replace(case, load=cache(case.load)) for case in cases]
