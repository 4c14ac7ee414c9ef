"""Slices of volumes as PNG, for browsers that cannot draw volumes themselves."""

import io
from pathlib import Path

import nibabel
import numpy as np
from PIL import Image

from common_tf.pictures.intensity import quantise
from common_tf.volumes.planes import PLANES
from common_tf.volumes.slices import square_pixels

_AXES = {"axial": 2, "coronal": 1, "sagittal": 0}


def slice_png(file: Path, *, plane: str, number: int, window: tuple[float, float]) -> bytes:
    """A slice of an uncompressed NIfTI file, of which no more than the slice is read.

    Drawn as `common_tf.volumes.planes` has it: the front or the top above, the patient's right or front on the left.

    Args:
        file: on an even grid whose axes run to right, front and top, as `serving_tf.work` writes them.
        plane: of `PLANES`.
        number: of the slice, from 0 at the patient's left, back or bottom; beyond the ends the last one.
        window: values that are black and white.

    Raises:
        ValueError: not a plane, or black is not below white.
    """
    low, high = window
    if plane not in PLANES or not -np.inf < low < high < np.inf:
        raise ValueError(f"{plane}, {low} to {high}: no plane, or black is not below white")
    image = nibabel.Nifti1Image.from_filename(file)
    axis = _AXES[plane]
    number = min(max(0, number), image.shape[axis] - 1)
    place = [slice(None)] * 3
    place[axis] = number  # type: ignore[call-overload]
    values = np.asarray(image.dataobj[tuple(place)], np.float32)
    spacing = [float(one) for one in image.header.get_zooms()[:3]]
    along = [one for index, one in enumerate(spacing) if index != axis]
    drawn = square_pixels(values.T[::-1, ::-1], (along[1], along[0]))
    stream = io.BytesIO()
    Image.fromarray(quantise(np.clip((drawn - low) / (high - low), 0, 1))).save(stream, format="PNG")
    return stream.getvalue()
