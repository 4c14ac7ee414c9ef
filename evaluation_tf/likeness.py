"""How far a set of images is from a set of real ones in the features of a network, as cells of a table."""

from collections.abc import Callable

import numpy as np

from common_tf.measurement.measurement import Measurement, plain_number
from common_tf.measurement.tables import Column
from common_tf.metrics import frechet, kernel, manifold
from evaluation_tf.cache import ArrayCache
from evaluation_tf.features import Extractor
from evaluation_tf.images import Images
from evaluation_tf.parts import Section


def add_cell(
    cells: dict[str, Measurement], section: Section, column: Column, compute: Callable[[], Measurement]
) -> None:
    """Adds a cell, or names the gap where there are too few images for it."""
    try:
        cells[column.key] = compute()
    except ValueError as error:
        section.add_gap(column.title, str(error))


def likeness_columns(extractor: Extractor) -> list[Column]:
    """Of its Fréchet distance, its kernel distance, and precision and recall."""
    word, description = extractor.word, extractor.description
    near = f"whose balls reach to the {manifold.NEIGHBOURS}rd nearest fellow (Kynkäänniemi et al. 2019); {description}"
    return [
        Column(
            f"kid_{word}",
            extractor.kernel_name,
            "unbiased squared MMD with the kernel (x.y/d + 1)^3 (Binkowski et al. 2018), times 1000; mean and one "
            f"standard deviation over 100 random subsets of half the images; {description}",
            better="lower",
            digits=1,
        ),
        Column(
            f"frechet_{word}",
            extractor.name,
            f"Fréchet distance of Gaussians fitted to features (Heusel et al. 2017); {description}. Biased upwards at "
            "small n: compare with rows of equal n only",
            better="lower",
            digits=2,
        ),
        Column(
            f"precision_{word}",
            "Precision",
            f"share of the row's slices that lie among the reference slices, {near}: how real single slices are",
            better="higher",
            digits=2,
        ),
        Column(
            f"recall_{word}",
            "Recall",
            f"share of the reference slices that lie among the row's, {near}: how much of the variety is there",
            better="higher",
            digits=2,
        ),
    ]


def likeness_cells(
    extractor: Extractor, reference: Images, squares: Images, section: Section, cache: ArrayCache
) -> dict[str, Measurement]:
    """Those columns of a set of squares against reference squares; what n is too small for is a gap of the section."""
    cells: dict[str, Measurement] = {}
    likeness, distance, precision, recall = likeness_columns(extractor)
    features = [extractor.features(images, cache).astype(np.float64) for images in (reference, squares)]

    def kernel_cell() -> Measurement:
        result = kernel.kernel_distance(*features)
        mean, spread = 1000 * result["mean"], 1000 * result["standard_deviation"]
        words = f"mean -+ one standard deviation over {result['subsets']} subsets of {result['subset_size']}"
        return Measurement(mean, len(squares), mean - spread, mean + spread, interval=words)

    add_cell(cells, section, likeness, kernel_cell)
    add_cell(cells, section, distance, lambda: plain_number(frechet.frechet_distance(*features), len(squares)))
    for column, part in ((precision, 0), (recall, 1)):

        def share(part: int = part) -> Measurement:
            return plain_number(manifold.precision_recall(*features)[part], len(squares))

        add_cell(cells, section, column, share)
    return cells
