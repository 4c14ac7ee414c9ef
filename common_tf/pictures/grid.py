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
    font = _font(13)
    lines = _lines(footer, font, width - 2 * _GAP)
    top_of_footer = rows * (cell + _GAP) + _GAP + _HEADER
    canvas = np.full((top_of_footer + len(lines) * _HEADER, width), 40, np.uint8)
    for number, column in enumerate(columns):
        for row, image in enumerate(column):
            fitted = _fit(np.asarray(image, np.float32), cell)
            top, left = _HEADER + _GAP + row * (cell + _GAP), _GAP + number * (cell + _GAP)
            top, left = top + (cell - fitted.shape[0]) // 2, left + (cell - fitted.shape[1]) // 2
            canvas[top : top + fitted.shape[0], left : left + fitted.shape[1]] = quantise(fitted)
    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    for number, title in enumerate(titles):
        draw.text((_GAP + number * (cell + _GAP), 4), title, fill=235, font=font)
    for number, line in enumerate(lines):
        draw.text((_GAP, top_of_footer + number * _HEADER + 2), line, fill=200, font=font)
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


def _lines(text: str, font, width: float) -> list[str]:
    """Text in lines that fit; a word that is longer than a line gets one of its own."""
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _font(size: int):
    try:
        return ImageFont.load_default(size)
    except TypeError:  # Pillow before 10.1 has one size only
        return ImageFont.load_default()
