"""A head that was moved is moved back; what cannot be registered is refused in a line."""

import importlib.util
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from common_tf.sources.volume_pairs import find_volume_pairs
from common_tf.volumes.phantom import draw_head, write_drawn
from common_tf.volumes.registration import register_rigid
from common_tf.volumes.volume import BadVolume

needs_itk = pytest.mark.skipif(
    importlib.util.find_spec("SimpleITK") is None, reason="wants SimpleITK: pip install .[register]"
)
SPACING = (3.0, 3.0, 4.0)


def _motion(degrees, millimetres) -> np.ndarray:
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    motion[:3, 3] = millimetres
    return motion


@pytest.mark.more
@needs_itk
@pytest.mark.parametrize("degrees, millimetres", [((4, -6, 8), (12, -8, 15)), ((0, 0, 0), (200, 0, 0))])
def test_a_moved_head_is_found(degrees, millimetres):
    """Of another modality, in a space of its own; corners of the brain come back within 1.5 millimetres."""
    head = draw_head(5, spacing=SPACING)
    motion = _motion(degrees, millimetres)
    moved = replace(head.ct, affine=motion @ head.ct.affine)
    found = register_rigid(moved, head.mri)
    corners = np.array([[0.3, 0.3, 0.3], [0.7, 0.3, 0.5], [0.5, 0.7, 0.6], [0.4, 0.5, 0.7]]) * head.ct.shape
    errors = np.linalg.norm(found.volume.world(corners) - head.mri.world(corners), axis=1)
    assert errors.max() < 1.5
    np.testing.assert_array_equal(found.volume.voxels, moved.voxels)  # nothing is resampled
    if not any(degrees):
        again = register_rigid(moved, head.mri)
        np.testing.assert_allclose(again.volume.affine, found.volume.affine, atol=1e-6)
    assert found.turned_degrees == pytest.approx(np.degrees(Rotation.from_matrix(motion[:3, :3]).magnitude()), abs=1.5)


@pytest.mark.more
@needs_itk
def test_pairs_are_registered_where_it_is_asked_for(tmp_path):
    head = draw_head(5, spacing=SPACING)
    write_drawn(tmp_path / "p0", head.mri, name="MRI", as_dicom=False)
    moved = replace(head.ct, affine=_motion((0, 0, 7), (5, 9, 0)) @ head.ct.affine)
    write_drawn(tmp_path / "p0", moved, name="CT", as_dicom=False)
    errors = {}
    for registers in (False, True):
        (pair,) = find_volume_pairs(tmp_path, domains=("CT", "MRI"), registers=registers)
        loaded = pair.load("MRI", "CT")
        errors[registers] = float(np.abs(loaded.truth.voxels - head.ct.voxels)[head.head].mean())
        assert any("registered by a rigid motion" in note for note in loaded.notes) == registers
    assert errors[True] < errors[False] / 2
    assert len(pair._motions) == 1 and pair._motions["MRI", "CT"].volume.voxels.size == 0  # no copy stays in memory


def test_without_the_package_one_line_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "SimpleITK", None)
    head = draw_head(5, spacing=(12.0, 12.0, 24.0))
    with pytest.raises(BadVolume, match="pip install SimpleITK"):
        register_rigid(head.ct, head.mri)
