"""Pictures for people: labelled grids of gray images."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from common_tf.files import replace_file
from common_tf.pictures.geometry import resize
from common_tf.pictures.intensity import quantise

SYNTHETIC_NOTICE = "Synthetic image made by a neural network. Research only, not for diagnosis."
_GAP, _HEADER = 4, 20


def save_grid(
    path: Path, columns: Sequence[Sequence[np.ndarray]], *, titles: Sequence[str], footer: str, cell: int = 192
) -> None:
    """Saves columns of images as one PNG with a title above each column and a line below.

    Args:
        path: the PNG.
        columns: images in [0, 1], any size; each is fitted into a square cell.
        titles: one a column.
        footer: for instance what the picture shows and that it is synthetic.
        cell: side of a cell in pixels.
    """
    rows = max(len(column) for column in columns)
    width = len(columns) * (cell + _GAP) + _GAP
    canvas = np.full((rows * (cell + _GAP) + _GAP + 2 * _HEADER, width), 40, np.uint8)
    for number, column in enumerate(columns):
        for row, image in enumerate(column):
            fitted = _fit(np.asarray(image, np.float32), cell)
            top, left = _HEADER + _GAP + row * (cell + _GAP), _GAP + number * (cell + _GAP)
            top, left = top + (cell - fitted.shape[0]) // 2, left + (cell - fitted.shape[1]) // 2
            canvas[top : top + fitted.shape[0], left : left + fitted.shape[1]] = quantise(fitted)
    picture = Image.fromarray(canvas)
    draw, font = ImageDraw.Draw(picture), _font(13)
    for number, title in enumerate(titles):
        draw.text((_GAP + number * (cell + _GAP), 4), title, fill=235, font=font)
    draw.text((_GAP, canvas.shape[0] - _HEADER + 2), footer, fill=200, font=font)
    save_png(path, picture)


def save_png(path: Path, picture: Image.Image) -> None:
    """Saves a PNG of synthetic content in one piece; its text chunks ``Synthetic`` and ``Comment`` say what it is."""
    information = PngImagePlugin.PngInfo()
    information.add_text("Synthetic", "true")
    information.add_text("Comment", SYNTHETIC_NOTICE)
    replace_file(path, lambda temporary: picture.save(temporary, format="PNG", pnginfo=information))


def _fit(image: np.ndarray, cell: int) -> np.ndarray:
    scale = cell / max(image.shape)
    return resize(image, max(1, round(image.shape[0] * scale)), max(1, round(image.shape[1] * scale)))


def _font(size: int):
    try:
        return ImageFont.load_default(size)
    except TypeError:  # Pillow before 10.1 has one size only
        return ImageFont.load_default()
