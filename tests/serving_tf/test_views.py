"""Slices that the server draws are those that people look at elsewhere in the project."""

import io

import nibabel
import numpy as np
import pytest
from PIL import Image

from common_tf.volumes.planes import PLANES, slices_of
from common_tf.volumes.volume import Volume
from serving_tf.views import slice_png


@pytest.mark.parametrize("plane", PLANES)
def test_slices_are_those_of_the_planes(plane, tmp_path, random):
    voxels = random.uniform(0, 1, (6, 8, 4)).astype(np.float32)
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(voxels, affine), tmp_path / "v.nii")
    every = slices_of(Volume(voxels, affine), plane).values
    count = len(every)
    for number in range(count):
        png = slice_png(tmp_path / "v.nii", plane=plane, number=number, window=(0, 1))
        drawn = np.asarray(Image.open(io.BytesIO(png)))
        # Coronal ones follow each other from front to back there, and sagittal ones from right to left.
        wanted = every[number if plane == "axial" else count - 1 - number]
        if plane == "sagittal":
            wanted = every[count - 1 - number]
        np.testing.assert_allclose(drawn / 255, wanted, atol=0.5 / 255 + 1e-6)


def test_pixels_are_as_high_as_wide_and_ends_hold(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.ones((10, 10, 4), np.int16), np.diag([1.0, 1.0, 5.0, 1.0])), tmp_path / "v.nii")
    image = Image.open(io.BytesIO(slice_png(tmp_path / "v.nii", plane="coronal", number=99, window=(0, 2))))
    assert image.size == (10, 20) and set(np.asarray(image).ravel()) == {128}


@pytest.mark.parametrize(("plane", "window"), [("oblique", (0, 1)), ("axial", (1, 1)), ("axial", (0, float("inf")))])
def test_what_cannot_be_drawn_is_refused(plane, window, tmp_path):
    with pytest.raises(ValueError, match="black is not below white"):
        slice_png(tmp_path / "v.nii", plane=plane, number=0, window=window)
