"""Predictions that need no learning to speak of, as images beside those of a translator."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from common_tf.measurement.floors import (
    apply_intensity_table,
    fit_intensity_table,
    intensity_sums,
    others,
    table_of_sums,
)
from common_tf.pictures.intensity import quantise
from evaluation_tf.images import Images, batches
from evaluation_tf.pairs import Pairs


@dataclass(frozen=True)
class Floor:
    """What a translator must beat.

    Attributes:
        key: a stable name.
        name: for people.
        images: the prediction.
    """

    key: str
    name: str
    images: Images


def copy_floor(pairs: Pairs, source: str) -> Floor:
    """The input itself."""
    return Floor("copy", "floor: copy of the input", pairs.images[source])


def black_floor(pairs: Pairs, source: str) -> Floor:
    """Nothing."""
    return Floor("black", "floor: black image", Images.of(np.zeros_like(pairs.images[source].pixels)))


def stranger_floor(pairs: Pairs, target: str) -> Iterator[Floor]:
    """The truth of somebody else, where there is somebody else."""
    chosen = others(np.arange(len(pairs)), pairs.groups)
    if chosen is not None:
        yield Floor("stranger", "floor: another patient's truth", pairs.images[target].chosen(chosen))


def fitted_floors(pairs: Pairs, fitting: Pairs | None, source: str, target: str) -> Iterator[Floor]:
    """Intensity table and mean image, by the words that say what they were fitted on.

    Args:
        pairs: the test pairs.
        fitting: other pairs to fit on; ``None`` to fit for each group on the other groups of the test itself.
        source, target: domains.
    """
    given, truth = pairs.images[source], pairs.images[target]
    if fitting is not None:
        words = "fitted on the training pairs"
        table = fit_intensity_table(fitting.images[source].scaled(), fitting.images[target].scaled())
        looked_up = [_looked_up(given, part, table) for part in batches(len(given))]
        yield Floor("table", f"floor: intensity table ({words})", Images.of(np.concatenate(looked_up)))
        learned = fitting.images[target].pixels
        if learned.shape[1:] == truth.pixels.shape[1:]:
            mean = _mean(learned.sum(axis=0, dtype=np.int64), len(learned))
            yield Floor("mean", f"floor: mean image ({words})", Images.of(np.repeat(mean[None], len(given), axis=0)))
        return
    names, members = np.unique(pairs.groups, return_inverse=True)
    if len(names) < 2:
        return
    words = f"fitted on the other {pairs.group_word}"
    every = [np.flatnonzero(members == number) for number in range(len(names))]
    sums = [intensity_sums(given.scaled(mine), truth.scaled(mine)) for mine in every]
    totals = [np.sum([one[side] for one in sums], axis=0) for side in (0, 1)]
    added = truth.pixels.sum(axis=0, dtype=np.int64)
    tables, means = np.zeros_like(given.pixels), np.zeros_like(given.pixels)
    for mine, own in zip(every, sums):
        tables[mine] = _looked_up(given, mine, table_of_sums(totals[0] - own[0], totals[1] - own[1]))
        means[mine] = _mean(added - truth.pixels[mine].sum(axis=0, dtype=np.int64), len(given) - len(mine))
    yield Floor("table", f"floor: intensity table ({words})", Images.of(tables))
    yield Floor("mean", f"floor: mean image ({words})", Images.of(means))


def _looked_up(images: Images, part: slice | np.ndarray, table: np.ndarray) -> np.ndarray:
    return quantise(apply_intensity_table(images.scaled(part), table))


def _mean(added: np.ndarray, count: int) -> np.ndarray:
    return np.round(added / count).astype(np.uint8)
