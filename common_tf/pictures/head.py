"""Finding the head: what belongs to the patient and what is table, head holder, text or background noise."""

import cv2
import numpy as np
from scipy import ndimage

from common_tf.pictures.geometry import resize

_WORKING_SIDE = 256
_PADDING = 16
# Where noise is measured: squares in the corners, off the very edge, which resizing and frames spoil.
_CORNER_FROM, _CORNER_TO = 4, 36
_NOISE_FACTOR = 4.0

_MOST_BORDER = 0.55
_NARROWEST, _WIDEST = 0.55, 1.25
_LEAST_FILLED, _MOST_FILLED = 0.7, 1.18


def head_mask(scaled: np.ndarray) -> np.ndarray:
    """The largest solid object of a slice.

    A white frame around the picture is taken away, the slice is thresholded at a third of Otsu's level or above the
    background's noise, gaps such as the dark skull of an MRI are closed and filled, thin things (head holder, letters,
    bars) are cut off by an opening, and the largest component is kept with a small margin. All lengths are fractions of
    the image, so the result does not depend on the resolution.

    Args:
        scaled: ``(height, width)`` in [0, 1].

    Returns:
        ``(height, width)`` bool; all False where nothing stands out from the background.
    """
    height, width = scaled.shape
    scale = _WORKING_SIDE / max(height, width)
    small = resize(scaled, max(8, round(height * scale)), max(8, round(width * scale)))
    small = _without_white_frame(small)
    small = np.clip(small - np.percentile(small, 10), 0, None)
    # The 90th percentile of what is not background: bright letters must not pull the threshold above a dim head.
    top = np.percentile(small[small > 0.02], 90) if (small > 0.02).any() else 0.0
    if top < 0.04:
        return np.zeros((height, width), bool)
    levels = np.round(np.clip(small / top, 0, 1) * 255).astype(np.uint8)
    noise = _background_noise(levels)
    levels = cv2.GaussianBlur(levels, (5, 5), 0)
    otsu, _ = cv2.threshold(levels, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    # Room for the morphology, so that a head at the image's edge is not cut there.
    threshold = max(otsu / 3, min(_NOISE_FACTOR * noise, 0.8 * otsu))
    solid = np.pad(_without_outline(levels > threshold).astype(np.uint8), _PADDING)
    solid = cv2.morphologyEx(solid, cv2.MORPH_CLOSE, _disc(6))
    solid = _without_holes(solid)
    solid = cv2.morphologyEx(solid, cv2.MORPH_OPEN, _disc(7))
    labels, count = ndimage.label(solid)
    if not count:
        return np.zeros((height, width), bool)
    head = (labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))).astype(np.uint8)
    head = cv2.morphologyEx(head, cv2.MORPH_CLOSE, _disc(12))
    head = cv2.dilate(_without_holes(head), _disc(2))
    head = head[_PADDING:-_PADDING, _PADDING:-_PADDING]
    return resize(head.astype(np.float32), height, width) > 0.5


def unlike_a_head(mask: np.ndarray) -> str:
    """Why what was found in a picture has an outline unlike that of a head in an axial slice.

    Of 633 slices of five public sets (CT and MRI, cropped ones too) 7 lie outside the limits (2026-11-29), and
    photographs of most other things do. A round thing passes, so this is a reason to look and no verdict.

    Args:
        mask: from `head_mask`.

    Returns:
        A few words, or ``""``.
    """
    if not mask.any():
        return "nothing stands out from the background"
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    height, width = int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1
    border = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
    if border.mean() > _MOST_BORDER:
        return "it fills the picture up to its borders"
    if not _NARROWEST < width / height < _WIDEST:
        return f"it is {width / height:.1f} times as wide as high"
    filled = float(mask.sum()) / (np.pi / 4 * height * width)  # of the ellipse in its bounding box
    if not _LEAST_FILLED < filled < _MOST_FILLED:
        return "its outline is ragged" if filled < 1 else "its outline is angular"
    return ""


def _background_noise(levels: np.ndarray) -> float:
    """The standard deviation of the noise in the quietest corner, as the median absolute deviation has it.

    Only what changes from pixel to pixel counts, so a corner that is all tissue is not taken for noise. Rician noise of
    deviation s has a mean of 1.25 s where nothing is: `_NOISE_FACTOR` lifts the threshold above that and its spread.
    """
    rough = np.abs(levels - cv2.GaussianBlur(levels.astype(np.float32), (0, 0), 3))
    ends = slice(_CORNER_FROM, _CORNER_TO), slice(-_CORNER_TO, -_CORNER_FROM)
    return 1.4826 * min(float(np.median(rough[rows, columns])) for rows in ends for columns in ends)


def _without_white_frame(scaled: np.ndarray) -> np.ndarray:
    """Blackens near-white pixels connected to the image's edge where they run along more than a third of it."""
    white = scaled > 0.85
    edge = np.zeros_like(white)
    edge[[0, -1], :] = True
    edge[:, [0, -1]] = True
    if white[edge].mean() < 1 / 3:
        return scaled
    frame = cv2.dilate(ndimage.binary_propagation(white & edge, mask=white).astype(np.uint8), _disc(1))
    return np.where(frame > 0, 0.0, scaled)


def _without_outline(solid: np.ndarray) -> np.ndarray:
    """Drops thin components that span the picture: a drawn frame, which filling holes would turn into everything."""
    labels, _ = ndimage.label(solid, structure=np.ones((3, 3)))
    result = solid.copy()
    for label, box in enumerate(ndimage.find_objects(labels), start=1):
        spans = all(0.9 * side < part.stop - part.start for part, side in zip(box, solid.shape))
        component = labels[box] == label
        if spans and component.mean() < 0.08:
            result[box] &= ~component
    return result


def _without_holes(solid: np.ndarray) -> np.ndarray:
    """Fills what the outside does not reach by steps up, down, left or right; uint8 of 0 and 1."""
    outside = cv2.copyMakeBorder(1 - solid, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    cv2.floodFill(outside, None, (0, 0), 2, flags=4)
    return (outside[1:-1, 1:-1] != 2).astype(np.uint8)


def _disc(radius: int) -> np.ndarray:
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
