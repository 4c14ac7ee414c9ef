"""Sets of squares that are compared with real ones: the rows and columns of a table about likeness."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from common_tf.measurement.measurement import Measurement, plain_number
from common_tf.measurement.tables import Column, Row, Table
from common_tf.metrics.distribution import sliced_wasserstein
from common_tf.randomness import Stream
from evaluation_tf.cache import ArrayCache
from evaluation_tf.features import Extractor
from evaluation_tf.images import Images
from evaluation_tf.likeness import add_cell, likeness_cells, likeness_columns
from evaluation_tf.parts import Section
from evaluation_tf.two_sample import DEFINITION, two_sample_auc

_CHOSEN = Stream("evaluation.distribution")
_SWD = Column(
    "swd",
    "Texture distance",
    "sliced Wasserstein distance of 7x7 patches over a Laplacian pyramid (after Karras et al. 2018), in standard "
    "deviations of the real patches; squares of the network's size on [0, 1]; no trained network",
    better="lower",
)
_TWO_SAMPLE = Column("two_sample", "Two-sample AUC", DEFINITION, better="lower", digits=2)


@dataclass(frozen=True)
class ImageSet:
    """Squares and their groups.

    Attributes:
        images: uint8.
        groups: ``(n,)`` of each; what is of one patient, or nearly the same, shares one.
    """

    images: Images
    groups: np.ndarray

    def __len__(self) -> int:
        return len(self.images)

    def chosen(self, indices: np.ndarray) -> "ImageSet":
        """Some of them."""
        return ImageSet(self.images.chosen(indices), self.groups[indices])

    def some(self, count: int, *words: str) -> "ImageSet":
        """So many of them, drawn, for the first ones of a folder are often of one patient.

        Args:
            count: at most as many as there are.
            *words: that name the draw.
        """
        return self.chosen(np.sort(_CHOSEN.numpy(0, *words).permutation(len(self))[:count]))

    def halves(self) -> tuple["ImageSet", "ImageSet"]:
        """Two halves of whole groups."""
        first, second = halves_of(self.groups)
        return self.chosen(first), self.chosen(second)


def halves_of(groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which of some images are in either of two halves of whole groups."""
    names = np.unique(groups)
    first = np.isin(groups, _CHOSEN.numpy(0, "halves").permutation(names)[: len(names) // 2])
    return np.flatnonzero(first), np.flatnonzero(~first)


def set_columns(extractors: Sequence[Extractor]) -> list[Column]:
    """Of the distances in each network's features, the two-sample test and the texture."""
    return [*(column for one in extractors for column in likeness_columns(one)), _TWO_SAMPLE, _SWD]


def set_rows(
    sets: Sequence[tuple[str, str, ImageSet, str]],
    *,
    reference: ImageSet,
    extractors: Sequence[Extractor],
    section: Section,
    cache: ArrayCache,
) -> list[Row]:
    """Those columns of sets against a reference; what there are too few images for becomes a gap of the section.

    Args:
        sets: key, name, squares and kind of each row.
        reference: real squares.
        extractors, section, cache: of the report.
    """
    rows = []
    for key, name, mine, kind in sets:
        cells: dict[str, Measurement] = {}

        def texture(mine: ImageSet = mine) -> Measurement:
            distance = cache.of_sets("swd", sliced_wasserstein, reference.images, mine.images)
            return plain_number(distance, len(mine))

        add_cell(cells, section, _SWD, texture)
        for extractor in extractors:
            cells.update(likeness_cells(extractor, reference.images, mine.images, section, cache))

        def told_apart(mine: ImageSet = mine) -> Measurement:
            return two_sample_auc(reference.images, mine.images, (reference.groups, mine.groups), cache=cache)

        add_cell(cells, section, _TWO_SAMPLE, told_apart)
        rows.append(Row(name, cells, kind, key))
    return rows


def outlines_row(masks: Mapping[str, ImageSet], *, section: Section, cache: ArrayCache) -> Row:
    """How well the two-sample test tells two domains by the outlines of their heads alone. A translation is meant to
    keep them, so where the domains show other heads, or other slices, an area near this one may come from them.

    Args:
        masks: of the heads in either domain, by its name, as they are found in its pictures.
        section, cache: of the report.
    """
    cells: dict[str, Measurement] = {}
    first, second = (Images.of(one.images.pixels.astype(np.uint8) * 255) for one in masks.values())
    one, other = (each.groups for each in masks.values())
    add_cell(cells, section, _TWO_SAMPLE, lambda: two_sample_auc(first, second, (one, other), cache=cache))
    return Row(f"outlines alone, {' against '.join(masks)}", cells, "reference", "outlines")


def yardsticks(table: Table, key: str) -> list[Column]:
    """The columns by which a set is to be near: a kernel distance of each network, the two-sample test, and the
    texture; those that could be computed for a row.
    """
    chosen = [one for one in table.columns if one.key.startswith("kid_") or one in (_TWO_SAMPLE, _SWD)]
    return [column for column in chosen if np.isfinite(row_value(table, key, column))]


def row_value(table: Table, key: str, column: Column) -> float:
    """A number of a row; NaN where it has none."""
    row = table.row(key)
    return float("nan") if row is None else row.value(column.key)
