"""What all figures share: no display, whole files, and titles that are taken literally."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib

from common_tf.files import replace_file
from common_tf.sources.source import shown

matplotlib.use("Agg")  # files only; no display is needed
from matplotlib import pyplot as plt  # noqa: E402


def literal(text: str) -> str:
    """A text for a figure, in which ``$`` is a dollar and no formula, whatever bytes a file name is made of."""
    return shown(text).replace("$", r"\$")


def save_figure(figure: Any, path: Path) -> None:
    """Writes a figure in one piece and closes it."""
    try:
        replace_file(path, lambda temporary: figure.savefig(temporary))
    finally:
        plt.close(figure)


_LINE = 0.15
"""Inches that a line of a title takes."""


def titled_grid(titles: Sequence[str], *, columns: int, panels: int, size: tuple[float, float]) -> tuple[Any, Any]:
    """A figure of rows of titled panels without axes.

    Args:
        titles: one an image, over the first of its panels.
        columns: images in a row, at most.
        panels: of each image, side by side.
        size: of an image in inches, all its panels, with a title of two lines.

    Returns:
        The figure, and its axes ``(images, panels)``.
    """
    columns = max(1, min(columns, len(titles)))
    rows = max(1, -(-len(titles) // columns))
    further = max([0, *(title.count("\n") - 1 for title in titles)])
    inches = size[0] * columns, (size[1] + _LINE * further) * rows
    figure, axes = plt.subplots(rows, panels * columns, figsize=inches, dpi=110, squeeze=False, layout="constrained")
    for axis in axes.flat:
        axis.axis("off")
    axes = axes.reshape(rows * columns, panels)
    for row, title in zip(axes, titles):
        row[0].set_title(literal(title), fontsize=8, loc="left")
    return figure, axes
