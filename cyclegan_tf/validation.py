"""The figures that choose the best checkpoint, and the sample grids."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from common_tf.lite0 import WEIGHTS_SHA256, WIDTH, lite0_embedding
from common_tf.measurement.measurement import measure
from common_tf.metrics import kernel, manifold
from common_tf.metrics.content import edge_agreement
from common_tf.metrics.distribution import sliced_wasserstein
from common_tf.metrics.similarity.mae import mae
from common_tf.pictures.grid import SYNTHETIC_NOTICE, save_grid
from cyclegan_tf.config import BY_PAIRS, TranslatorConfig
from cyclegan_tf.data import Domain, TrainingData, spread
from cyclegan_tf.directions import SIDES, back
from cyclegan_tf.inference import ArrayTranslator
from cyclegan_tf.translator import Translator

CYCLE_SHARE, EDGE_SHARE = 5.0, 0.5
_TEXTURE = (
    "sliced Wasserstein distance (7x7 patches, Laplacian pyramid, in standard deviations of the real images) between "
    "translated and real validation slices"
)
_LIKENESS = (
    "kernel distance (KID x 1000) of translated and real validation slices in EfficientNet-Lite0's features{} + (1 - "
    "edge agreement of input and output), each over the standard deviation of its floor over these slices, each once "
    "(KID: real against real; {}edges: of different slices), mean over the directions; lower is better"
)
_FIGURES = {
    "paired": "mean absolute error against the aligned truth of the validation slices, on [0, 1]; lower is better",
    "cycle likeness": _LIKENESS.format(" + cycle MAE", "cycle: a slice against the mean one; "),
    "edges likeness": _LIKENESS.format("", ""),
    "cycle texture": f"mean over both directions of: {_TEXTURE} + {CYCLE_SHARE:g} x cycle MAE on [0, 1]; lower is "
    "better",
    BY_PAIRS: "mean absolute error, in the head and on [0, 1], against the aligned truth of the pairs beside that are "
    "held out for validation, mean over the directions; lower is better",
    "edges texture": f"{_TEXTURE} + {EDGE_SHARE:g} x (1 - edge agreement of input and output); lower is better",
}
_INTERVAL_WIDTH = 2 * 1.96
"""Of a 95 % interval, in standard deviations."""


class _Units(NamedTuple):
    """Standard deviations."""

    kid: float
    cycle: float
    edges: float


@dataclass(frozen=True)
class _Slices:
    """Validation slices of a domain, and as many training slices.

    Attributes:
        images: what the networks translate: the slices, or the slabs or cubes that they are of.
        real, masks: ``(n, size, size)``.
        training: ``(m, size, size)``.
    """

    images: np.ndarray
    real: np.ndarray
    masks: np.ndarray
    training: np.ndarray


class Validation:
    """Fixed validation slices of both domains.

    The figures are computed on the weights that inference uses. Whether the output looks like the other domain would
    alone reward a translator that ignores its input, so the cycle's error and the agreement of edges are added, each in
    units of how far chance moves it on these slices, so that none outweighs the others by its scale. A system that
    learns from pairs is judged by the truth. With fewer than ten different slices a kernel distance says nothing, and
    the texture distance stands in. Of pairs beside, those held out for validation are measured, and choose only where
    that is asked for: they are few.

    Attributes:
        figure: what ``score`` is, in words.
    """

    def __init__(self, translator: Translator, config: TranslatorConfig, data: TrainingData):
        networks = translator.inference_networks()
        self._translate = ArrayTranslator(networks, channels=config.data.image_channels)
        self._directions = tuple(networks)
        self._config, self._data = config, data
        self._slices = {letter: self._squares(data, domain) for letter, domain in (("a", data.a), ("b", data.b))}
        counts = [len(_distinct(images)) for one in self._slices.values() for images in (one.real, one.training)]
        asked = config.validation.choose_by
        self._has_texture_alone = asked == "texture" or min(counts) < kernel.MINIMUM_IMAGES
        self._has_cycle = translator.has_cycle
        likeness = "texture" if self._has_texture_alone else "likeness"
        parts = f"{'cycle' if translator.has_cycle else 'edges'} {likeness}"
        self._kind = "paired" if data.paired else BY_PAIRS if asked == BY_PAIRS else parts
        self.figure = _FIGURES[self._kind]
        self._features: dict[tuple[str, str], np.ndarray] = {}
        held_out = data.pairs is not None and data.pairs.chosen("validation")
        self._pairs = data.pair_slices("validation", config.data.image_size) if held_out else None

    def _squares(self, data: TrainingData, domain: Domain) -> _Slices:
        """All validation images, or as many as the config says, and training ones spread evenly over theirs."""
        given = data.some(domain, "validation", self._config.validation.validation_images, self._config)
        images = given.scaled()
        training = data.some(domain, "train", max(1, len(images)), self._config)
        masks = np.asarray(given.masks)
        return _Slices(images, *(data.slices_in(one) for one in (images, masks, training.scaled())))

    def figures(self) -> dict[str, float]:
        """The figure as ``score``, and its parts by name."""
        results: dict[str, float] = {}
        for there in self._directions:
            source, target = SIDES[there]
            given = self._slices[source]
            made = self._translate(given.images, there)
            fake = self._data.slices_in(made)
            results.update(self._likeness(there, target, fake, lambda: lite0_embedding()(fake)))  # noqa: B023
            if self._kind == "paired":
                results[f"mae_{there}"] = measure(mae(self._slices[target].real, fake)).value
                continue
            if self._has_cycle:
                cycled = self._data.slices_in(self._translate(made, back(there)))
                results[f"cycle_mae_{source}"] = measure(mae(given.real, cycled)).value
            results[f"edges_{there}"] = measure(edge_agreement(given.real, fake, mask=given.masks)).value
            if self._pairs is not None:
                truth, masks = self._pairs[target].scaled(), np.asarray(self._pairs[source].masks)
                output = self._translate(self._pairs[source].scaled(), there)
                results[f"pair_mae_{there}"] = measure(mae(truth, output, mask=masks)).value
        return {"score": self._score(results), **results}

    def references(self) -> dict[str, float]:
        """What to read the distances against: real training slices of the target domain, and untranslated slices.

        Both against the same real validation slices and at the same number of images as the distances themselves.
        """
        results: dict[str, float] = {}
        for there in self._directions:
            source, target = SIDES[there]
            for word, letter, kind in (("real", target, "training"), ("untranslated", source, "real")):
                images = getattr(self._slices[letter], kind)
                found = self._likeness(there, target, images, lambda: self._features_of(letter, kind))  # noqa: B023
                results.update({f"{word}_{name}": value for name, value in found.items()})
        return results

    def _likeness(
        self, there: str, target: str, images: np.ndarray, embedded: Callable[[], np.ndarray]
    ) -> dict[str, float]:
        """How far images, and their features, are from the real validation slices of a domain."""
        distance = {f"distance_{there}": sliced_wasserstein(self._slices[target].real, images)}
        if self._has_texture_alone:
            return distance
        reference, features = self._features_of(target, "real"), embedded()
        near = manifold.precision_recall(reference, features)
        return {
            f"kid_{there}": 1000 * kernel.kernel_distance(reference, features)["mean"],
            **distance,
            f"precision_{there}": near.precision,
            f"recall_{there}": near.recall,
        }

    def _features_of(self, letter: str, kind: str) -> np.ndarray:
        """Of the ``real`` or ``training`` slices of a domain; computed once, also by later starts on these slices."""
        if (letter, kind) not in self._features:
            images, store = getattr(self._slices[letter], kind), self._data.dataset.store
            known = hashlib.sha256(f"{tf.__version__} {WEIGHTS_SHA256} {images.dtype}{images.shape}".encode())
            known.update(np.ascontiguousarray(images).data)
            name = f"lite0 1 {known.hexdigest()}"
            kept = store.result(name) if store else None
            if kept is None or kept.dtype != np.float32 or kept.size != len(images) * WIDTH:  # not there, or damaged
                kept = lite0_embedding()(images)
                if store:
                    store.keep_result(name, kept)
            self._features[letter, kind] = kept.reshape(len(images), WIDTH)
        return self._features[letter, kind]

    def _score(self, results: Mapping[str, float]) -> float:
        scores = []
        for there in self._directions:
            source, _ = SIDES[there]
            cycle, edges = results.get(f"cycle_mae_{source}", 0.0), 1 - results.get(f"edges_{there}", 1.0)
            if self._kind == "paired":
                scores.append(results[f"mae_{there}"])
            elif self._kind == BY_PAIRS:
                scores.append(results[f"pair_mae_{there}"])
            elif not self._has_texture_alone:
                units = self._units[there]
                scores.append(results[f"kid_{there}"] / units.kid + cycle / units.cycle + edges / units.edges)
            elif self._has_cycle:
                scores.append(results[f"distance_{there}"] + CYCLE_SHARE * cycle)
            else:
                scores.append(results[f"distance_{there}"] + EDGE_SHARE * edges)
        return float(np.mean(scores))

    @cached_property
    def _units(self) -> Mapping[str, _Units]:
        """By direction how far chance moves each part of the score; it follows from the slices alone."""
        units = {}
        for there in self._directions:
            source, target = SIDES[there]
            chosen = _distinct(self._slices[source].real)  # a copy beside a copy is no measure of chance
            given, masks = self._slices[source].real[chosen], self._slices[source].masks[chosen]
            real, training = (
                self._features_of(target, kind)[_distinct(getattr(self._slices[target], kind))]
                for kind in ("real", "training")
            )
            likeness = kernel.kernel_distance(real, training)
            far = np.roll(given, len(given) // 2, axis=0)
            units[there] = _Units(
                kid=1000 * likeness["standard_deviation"],
                cycle=_deviation(mae(given, np.broadcast_to(given.mean(axis=0), given.shape))),
                edges=_deviation(edge_agreement(given, far, mask=masks)),
            )
        return units

    def save_samples(self, path: Path, step: int) -> None:
        """Saves a grid: input, output and cycle (or truth) of fixed slices, every direction."""
        count = self._config.validation.sample_images
        names = dict(zip("ab", self._config.data.domain_names))
        columns: list[Any] = []
        middle_of = self._data.middle_of
        titles = []
        for there in self._directions:
            source, target = SIDES[there]
            every = self._slices[source].images
            chosen = spread(len(every), count)
            made = self._translate(every[chosen], there)
            columns += [middle_of(every[chosen]), middle_of(made)]
            titles += [f"{names[source]}, real", f"{names[source]} to {names[target]}"]
            if self._kind == "paired":
                columns.append(middle_of(self._slices[target].images[chosen]))
                titles.append(f"{names[target]}, truth")
            elif len(self._directions) == 2:
                columns.append(middle_of(self._translate(made, back(there))))
                titles.append(f"and back to {names[source]}")
        save_grid(path, columns, titles=titles, footer=f"step {step}. {SYNTHETIC_NOTICE}")


def _distinct(images: np.ndarray) -> list[int]:
    """Numbers of the images that are no copy of an earlier one."""
    first: dict[bytes, int] = {}
    for number, image in enumerate(images):
        first.setdefault(hashlib.sha256(image.tobytes()).digest(), number)
    return list(first.values())


def _deviation(values: np.ndarray) -> float:
    """Of the mean, by bootstrap."""
    found = measure(values)
    return (found.high - found.low) / _INTERVAL_WIDTH
