"""From a file to what a detector sees; the same at training, at test and at inference."""

from dataclasses import dataclass

import cv2
import numpy as np

from common_tf.pictures.intensity import quantise
from common_tf.pictures.picture import Picture
from common_tf.pictures.preparation import Preparation, Square, prepare

_CLIP_LIMIT, _TILES = 2.0, (8, 8)


@dataclass(frozen=True)
class Enhancement:
    """The document's "adaptive contrast enhancement and median filtering".

    Both are off by default, because they can hurt: measure them on your data.

    Attributes:
        median: side of the median filter; 0 for none.
        clahe: adaptive contrast enhancement.
    """

    median: int = 0
    clahe: bool = False

    @property
    def is_on(self) -> bool:
        """Whether anything is done."""
        return bool(self.median or self.clahe)

    def __call__(self, pixels: np.ndarray, mask: np.ndarray) -> np.ndarray:
        """Median filter, then CLAHE (Zuiderveld 1994; clip limit 2, 8x8 tiles), the latter inside the head.

        Args:
            pixels: ``(size, size)`` uint8.
            mask: ``(size, size)`` bool, the head.
        """
        if self.median:
            pixels = cv2.medianBlur(pixels, self.median)
        if self.clahe:
            enhanced = cv2.createCLAHE(clipLimit=_CLIP_LIMIT, tileGridSize=_TILES).apply(pixels)
            pixels = np.where(mask, enhanced, pixels)
        return pixels


@dataclass(frozen=True)
class DetectorInput:
    """Everything between a decoded file and the network's input.

    Attributes:
        preparation: framing and value range; learned from the training files.
        size: side of the network's input.
        enhancement: what is done after it.
    """

    preparation: Preparation
    size: int
    enhancement: Enhancement = Enhancement()

    def square(self, picture: Picture) -> np.ndarray:
        """``(size, size)`` uint8, as in training; see `prepared`."""
        return self.prepared(picture)[0]

    def prepared(self, picture: Picture) -> tuple[np.ndarray, Square]:
        """``(size, size)`` uint8, as in training, and the square that it is made of, which knows the way back.

        Raises:
            ValueError: a deep picture, and a preparation that knows only 8 bits: see
                `detector_tf.inference.TrainedDetector.for_files`.
        """
        if picture.is_deep and self.preparation.depth == 8:
            raise ValueError("a deep picture wants the preparation of its set; ask for it with for_files")
        square = prepare(picture, self.preparation, size=self.size)
        stored = np.round(np.clip(square.pixels, 0, 1) * 65535).astype(np.uint16)
        pixels = eight_bits(stored) if self.preparation.is_deep else quantise(square.pixels)
        return self.enhancement(pixels, square.mask), square


def eight_bits(pixels: np.ndarray) -> np.ndarray:
    """Stored squares, full range uint8 or uint16, as uint8."""
    return pixels if pixels.dtype == np.uint8 else np.round(pixels / 257).astype(np.uint8)
