"""From a file to what a detector sees; the same at training, at test and at inference."""

from dataclasses import dataclass

import cv2
import numpy as np

from common_tf.images.head import head_mask
from common_tf.images.intensity import quantise
from common_tf.images.preparation import Preparation, prepare
from common_tf.images.reading import ImageData

_CLIP_LIMIT, _TILES = 2.0, (8, 8)


@dataclass(frozen=True)
class DetectorInput:
    """Everything between a decoded file and the network's input.

    Attributes:
        preparation: framing and value range; learned from the training files.
        size: side of the network's input.
        median: side of the median filter; 0 for none.
        clahe: adaptive contrast enhancement.
    """

    preparation: Preparation
    size: int
    median: int
    clahe: bool

    def square(self, image: ImageData) -> np.ndarray:
        """``(size, size)`` float32 in [0, 1]."""
        return self.enhance(prepare(image.pixels, self.preparation, bits=image.bits, size=self.size).pixels)

    def enhance(self, square: np.ndarray) -> np.ndarray:
        """Median filter, then CLAHE (Zuiderveld 1994; clip limit 2, 8x8 tiles, 8 bits), the latter inside the head.

        The document's "adaptive contrast enhancement and median filtering"; both are off by default, because they can
        hurt: measure them on your data.
        """
        if not (self.median or self.clahe):
            return square
        pixels = quantise(square)
        if self.median:
            pixels = cv2.medianBlur(pixels, self.median)
        if self.clahe:
            enhanced = cv2.createCLAHE(clipLimit=_CLIP_LIMIT, tileGridSize=_TILES).apply(pixels)
            pixels = np.where(head_mask(square), enhanced, pixels)
        return pixels.astype(np.float32) / 255
