"""How near images are to their truth: the metrics of `common_tf.metrics.similarity` as columns and cells of a table."""

import numpy as np

from common_tf.measurement.measurement import Measurement, measure
from common_tf.measurement.tables import Column
from common_tf.metrics.similarity import similarity_metrics
from evaluation_tf.cache import ArrayCache
from evaluation_tf.images import Images
from evaluation_tf.parts import Section

REGIONS = {"head": "inside the head", "full": "full frame"}
"""Where similarity is measured, in words."""

_WHERE = {"head": "inside the head mask", "full": "full frame"}


def similarity_columns(region: str, *, compared: bool = False) -> list[Column]:
    """A column for each metric of a region.

    Args:
        region: ``head`` or ``full``.
        compared: only those that systems are compared by.
    """
    return [
        Column(
            key, metric.title, f"{metric.definition}; images on [0, 1], {_WHERE[region]}", metric.better, metric.digits
        )
        for key, metric in similarity_metrics(region).items()
        if metric.compared or not compared
    ]


def similarity_cells(
    images: Images,
    truth: Images,
    columns: list[Column],
    *,
    mask: Images | None,
    groups: np.ndarray | None,
    of: str,
    section: Section,
    cache: ArrayCache,
) -> dict[str, Measurement]:
    """Measures images against their truth; what cannot be computed becomes a gap of the section.

    Args:
        images, truth: of one shape.
        columns: from `similarity_columns`.
        mask: bool, or ``None`` for the full frame.
        groups: for the intervals.
        of: what the groups are.
        section: that gets the gaps.
        cache: of the values.
    """
    metrics, cells = similarity_metrics(), {}
    for column in columns:
        try:
            values = cache.per_image(column.key, metrics[column.key].function, images, truth, mask=mask)
        except ValueError as error:
            section.add_gap(column.title, str(error))
            continue
        # A picture without error has an infinite PSNR, and a mean over it says nothing.
        cells[column.key] = measure(np.where(np.isinf(values), np.nan, values), groups, of=of)
    return cells
