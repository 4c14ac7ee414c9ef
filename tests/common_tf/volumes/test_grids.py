"""Planes and resampling."""

from dataclasses import replace

import nibabel
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common_tf.volumes.planes import PLANES, needs_regular, slices_of, voxels_of
from common_tf.volumes.resampling import empty_grid, indices_of, regular, resampled
from common_tf.volumes.volume import Volume, placed


def _ramp(affine, positions=None, shape=(12, 14, 6)) -> Volume:
    """Values that are a linear function of the place, so that trilinear interpolation is exact."""
    empty = Volume(np.zeros(shape, np.float32), affine, positions)
    places = empty.world(np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1))
    return replace(empty, voxels=(places @ [1.0, 2.0, -0.5] + 500).astype(np.float32))


def _tilted(uneven: bool) -> Volume:
    heights = np.array([0, 4, 8, 15, 22, 29.0]) if uneven else 4.0 * np.arange(6)
    positions = np.stack([np.full(6, 10.0), -20 - 0.3 * heights, heights], axis=-1)
    return _ramp(*placed(np.array([[-2.0, 0], [0, -1.5], [0, 0]]), positions))


@pytest.mark.parametrize("plane", PLANES)
def test_pictures_go_back_into_the_volume_as_they_came(plane, random):
    volume = Volume(random.standard_normal((3, 4, 5)).astype(np.float32), np.array(
        [[0, 0, 3.0, 1], [-2.0, 0, 0, 2], [0, 1.0, 0, 3], [0, 0, 0, 1]]
    ))  # fmt: skip
    slices = slices_of(volume, plane)
    np.testing.assert_array_equal(voxels_of(slices.values, volume, plane), volume.voxels)
    assert sorted((*slices.spacing, slices.step)) == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("uneven", [False, True])
def test_an_index_is_the_way_back_of_a_place(uneven, random):
    volume = _tilted(uneven)
    indices = random.uniform(0, 1, (50, 3)) * (np.array(volume.shape) - 1)
    np.testing.assert_allclose(indices_of(volume, volume.world(indices)), indices, atol=1e-9)


@pytest.mark.parametrize("uneven", [False, True])
def test_an_even_grid_at_right_angles_shows_the_same_at_the_same_place(uneven):
    volume = _tilted(uneven)
    even = regular(volume)
    assert even.is_regular and even.spacing[:2] == pytest.approx(volume.spacing[:2])
    indices = np.stack(np.meshgrid(*map(np.arange, even.shape), indexing="ij"), axis=-1)
    source = indices_of(volume, even.world(indices))
    inside = ((source >= 0) & (source <= np.array(volume.shape) - 1)).all(axis=-1)
    assert inside.mean() > 0.5
    expected = even.world(indices) @ [1.0, 2.0, -0.5] + 500
    np.testing.assert_allclose(even.voxels[inside], expected[inside], atol=1e-2)
    assert (even.voxels[~inside] < even.voxels[inside].max()).all()
    assert regular(even) is even


def test_only_planes_across_uneven_slices_want_an_even_grid(marked):
    tilted = _tilted(False)
    assert not needs_regular(tilted, "axial") and needs_regular(tilted, "coronal")
    assert not any(needs_regular(marked, plane) for plane in PLANES)


@pytest.mark.parametrize("codes", ["LPS", "PIR", "SLA"])
@pytest.mark.parametrize("degrees", [0.0, 11.0])
def test_a_turned_grid_of_the_same_places_loses_nothing(codes, degrees, random):
    """Rounding puts border voxels a hair outside, where interpolation would find air."""
    turn, cosine, sine = np.eye(4), np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    turn[1:3, 1:3] = [[cosine, -sine], [sine, cosine]]
    affine = turn @ np.diag([0.7, 1.1, 3.3, 1.0])
    volume = Volume(random.standard_normal((5, 6, 4)).astype(np.float32), affine, None, "HU")
    image = nibabel.Nifti1Image(volume.voxels, affine)
    orientation = nibabel.orientations
    other = image.as_reoriented(
        orientation.ornt_transform(nibabel.io_orientation(affine), orientation.axcodes2ornt(codes))
    )
    made = resampled(volume, empty_grid(other.affine, other.shape))
    np.testing.assert_allclose(made.voxels, np.asarray(other.dataobj), atol=1e-3)


def test_an_even_grid_of_a_tilted_constant_is_that_constant_inside():
    for degrees in (5.0, 10.0, 22.0):
        positions = np.stack(
            [np.zeros(6), -np.tan(np.deg2rad(degrees)) * 4 * np.arange(6), 4.0 * np.arange(6)], axis=-1
        )
        affine, uneven = placed(np.array([[-2.0, 0], [0, -1.5], [0, 0]]), positions)
        even = regular(Volume(np.full((12, 14, 6), 50, np.float32), affine, uneven, "HU"))
        # In every slice the whole of the old one is there.
        assert (np.isclose(even.voxels, 50, atol=1e-2).sum(axis=(0, 1)) >= 0.85 * 12 * 14).all()


@given(st.tuples(*[st.floats(0.7, 3)] * 3), st.tuples(*[st.floats(-2, 2)] * 3))
def test_a_linear_field_is_kept_on_any_grid(spacing, shift):
    volume = _ramp(np.diag([2.0, 1.5, 4.0, 1.0]))
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = np.abs(shift)
    made = resampled(volume, empty_grid(affine, (4, 5, 3)))
    indices = np.stack(np.meshgrid(*map(np.arange, made.shape), indexing="ij"), axis=-1)
    inside = (indices_of(volume, made.world(indices)) <= np.array(volume.shape) - 1).all(axis=-1)
    expected = made.world(indices) @ [1.0, 2.0, -0.5] + 500
    np.testing.assert_allclose(made.voxels[inside], expected[inside], atol=1e-2)
