"""Volumes as networks of three dimensions see them, and the way back."""

from dataclasses import replace

import nibabel
import numpy as np
import pytest
from scipy import ndimage

from common_tf.volumes.blocks import restore_block, take_block
from common_tf.volumes.phantom import draw_head
from common_tf.volumes.planes import slices_of
from common_tf.volumes.resampling import isotropic
from common_tf.volumes.volume import BadVolume, Volume

WINDOW = (-1000.0, 2000.0)


@pytest.fixture(scope="module")
def head() -> Volume:
    return draw_head(3, spacing=(4.0, 4.0, 6.0)).ct


def _tilted(volume: Volume) -> Volume:
    """The same voxels with a gantry tilt and a step that changes in the middle."""
    heights = volume.affine[2, 3] + np.cumsum(np.where(np.arange(volume.shape[2]) < 10, 6.0, 9.0))
    positions = np.stack([np.full_like(heights, -90.0), -110 - 0.2 * heights, heights], axis=-1)
    affine = volume.affine.copy()
    affine[:3, 2] = (positions[-1] - positions[0]) / (len(positions) - 1)
    affine[:3, 3] = positions[0]
    return replace(volume, affine=affine, positions=positions)


def _turned(volume: Volume, codes: str) -> Volume:
    image = nibabel.Nifti1Image(volume.voxels, volume.affine)
    orientation = nibabel.orientations
    turn = orientation.ornt_transform(nibabel.io_orientation(volume.affine), orientation.axcodes2ornt(codes))
    image = image.as_reoriented(turn)
    return replace(volume, voxels=np.asarray(image.dataobj), affine=image.affine)


def _linear(places: np.ndarray) -> np.ndarray:
    return (places @ [1.0, 2.0, -0.5] + 400) / 1000


@pytest.mark.parametrize("how", ["as it is", "tilted", "PIR", "LPS"])
def test_what_is_made_of_a_block_lies_where_the_volume_lies(how, head):
    """A linear function of the place, written into the block, is that function on the volume's grid."""
    volume = _tilted(head) if how == "tilted" else head if how == "as it is" else _turned(head, how)
    block = take_block(volume, window=WINDOW, voxel_mm=5.0, side=16)
    grid = block.grid
    places = grid.world(np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1))
    whole = slices_of(grid.with_voxels(_linear(places).astype(np.float32), unit="", modality="")).values
    values = np.zeros(block.pixels.shape, np.float32)
    for index in np.ndindex(*values.shape):
        place = tuple(np.add(index, block.corner))
        if all(0 <= at < side for at, side in zip(place, whole.shape)):
            values[index] = whole[place]
    made = restore_block(values, block)
    assert made.shape == volume.shape
    mine = np.stack(np.meshgrid(*map(np.arange, volume.shape), indexing="ij"), axis=-1)
    inside = ndimage.binary_erosion(volume.voxels > -500, iterations=3)
    assert inside.sum() > 2000
    np.testing.assert_allclose(made[inside], _linear(volume.world(mine))[inside], atol=1e-4)


def test_a_block_shows_the_head_with_a_margin_and_nothing_around_it(head):
    block = take_block(head, window=WINDOW, voxel_mm=4.0, side=16)
    assert block.pixels.shape == block.mask.shape and block.pixels.dtype == np.float32
    assert (block.pixels[~block.mask] == 0).all() and (block.pixels[block.mask] > 0).all()
    for axis in range(3):
        found = np.flatnonzero(block.mask.any(axis=tuple(other for other in range(3) if other != axis)))
        assert found[0] == 2 and block.mask.shape[axis] - 1 - found[-1] == 2  # 8 mm
    whole = take_block(head, window=WINDOW, voxel_mm=4.0, side=16, framing="whole")
    np.testing.assert_array_equal(whole.mask, block.mask)
    np.testing.assert_allclose(whole.pixels[block.mask], block.pixels[block.mask], atol=1 / 255)


def test_there_and_back_keeps_a_head(head):
    block = take_block(head, window=WINDOW, voxel_mm=3.0, side=64)
    assert min(block.pixels.shape) >= 64  # a cube fits, though the head is smaller
    made = restore_block(block.pixels, block) * 3000 - 1000
    inside = ndimage.binary_erosion(head.voxels > -500)
    # Interpolation twice, from 4 x 4 x 6 mm to 3 mm and back, costs sharpness and no brightness.
    error = (made - head.voxels)[inside]
    assert abs(error.mean()) < 5 and np.abs(error).mean() < 0.05 * head.voxels[inside].std() * 5


def test_a_volume_without_a_head_is_refused():
    empty = Volume(np.full((20, 20, 20), -1000, np.float32), np.diag([4.0, 4.0, 4.0, 1.0]), None, "HU")
    with pytest.raises(BadVolume, match="no slice shows a head"):
        take_block(empty, window=WINDOW, voxel_mm=4.0, side=16)


def test_cubic_voxels_cover_the_volume_and_do_not_alias(random):
    volume = Volume(random.standard_normal((40, 30, 20)).astype(np.float32), np.diag([1.0, 1.5, 2.0, 1.0]))
    made = isotropic(volume, voxel_mm=4.0)
    assert made.spacing == pytest.approx((4, 4, 4)) and made.shape == (11, 12, 11)
    np.testing.assert_allclose(made.affine[:3, 3], volume.affine[:3, 3])
    # SciPy's zoom of the smoothed volume, where both have a voxel at the same place.
    smooth = ndimage.gaussian_filter(volume.voxels, (1.5, 5 / 6, 0.5), mode="nearest")
    np.testing.assert_allclose(made.voxels[:10, 0, :10], smooth[::4, 0, ::2], atol=1e-5)
    assert made.voxels.std() < 0.5 * volume.voxels.std()
    fine = isotropic(volume, voxel_mm=0.5)
    np.testing.assert_allclose(fine.voxels[::2, ::3, ::4], volume.voxels, atol=1e-5)
