"""Full-reference similarity of two images; meaningful for aligned truth, or an input and its cycle.

One metric a file: a function of two arrays ``(n, height, width)`` in [0, 1] that returns one float64 per image,
``(n,)``, and ``METRIC``, which says what it is. A file that is added here stands in every table of the report.
"""

import sys

from common_tf.metrics.similarity._base import Metric
from common_tf.plugins import plugins


def similarity_metrics(region: str = "") -> dict[str, Metric]:
    """All metrics by key, in the order of the tables.

    Args:
        region: only those that are measured there: ``head``, ``full``; ``""`` for all.
    """
    found = {name: module.METRIC for name, module in plugins(sys.modules[__name__]).items()}
    return {name: metric for name, metric in found.items() if not region or region in metric.regions}
