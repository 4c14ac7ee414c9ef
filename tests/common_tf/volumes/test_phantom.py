import numpy as np
import pytest

from common_tf.command_line import run_script
from common_tf.volumes import phantom
from common_tf.volumes.files import list_volumes
from common_tf.volumes.phantom import FIELD_OF_VIEW, draw_head, write_drawn


@pytest.fixture(scope="module")
def head():
    return draw_head(4, spacing=(4.0, 4.0, 4.0))


def test_a_head_has_what_a_translator_must_get_right(head):
    ct, mri = head.ct.voxels, head.mri.voxels
    assert ct.shape == tuple(int(length / 4) for length in FIELD_OF_VIEW) == mri.shape == head.head.shape
    bone = ct > 700
    assert np.abs(ct[~head.head].mean() + 1000) < 20 and mri[bone].mean() < 0.5 * mri[head.head & ~bone].mean()
    assert head.lesion.any() and not (head.lesion & ~head.head).any()
    assert head.ct.unit == "HU" and head.ct.frame_of_reference == head.mri.frame_of_reference


def test_it_continues_from_slice_to_slice_and_follows_from_its_seed(head):
    bone = head.ct.voxels[..., 5:20] > 500  # a part where slices do not close in on the vertex
    steps = [np.mean(bone[..., gap:] != bone[..., :-gap]) for gap in (1, 8)]
    assert 0 < steps[0] < 0.5 * steps[1]
    np.testing.assert_array_equal(head.ct.voxels, draw_head(4, spacing=(4.0, 4.0, 4.0)).ct.voxels)


def test_anatomy_does_not_depend_on_the_grid(head):
    fine = draw_head(4, spacing=(2.0, 2.0, 4.0))
    coarse = fine.head.reshape(48, 2, 58, 2, 40).mean(axis=(1, 3))
    assert ((coarse > 0.5) == head.head).mean() > 0.985
    assert fine.lesion.sum() / 4 == pytest.approx(head.lesion.sum(), rel=0.35)


@pytest.mark.parametrize("as_dicom", [False, True])
def test_drawn_heads_come_back_from_their_files(head, as_dicom, tmp_path):
    write_drawn(tmp_path, head.ct, name="one", as_dicom=as_dicom)
    (found,) = list_volumes(tmp_path).volumes
    volume = found.read().volume
    np.testing.assert_array_equal(volume.voxels, head.ct.voxels)
    np.testing.assert_allclose(volume.affine, head.ct.affine, atol=1e-4)


def test_the_command_writes_a_data_set_and_never_over_another(tmp_path, capsys):
    words = [str(tmp_path / "new"), "--patients", "1", "--spacing", "8,8,16"]
    assert run_script(phantom.main, words) == 0
    assert [one.name for one in list_volumes(tmp_path / "new").volumes] == [
            "lesions/p000/mri.nii.gz", "lesions/p000/mri_mask.nii.gz",
            "pairs/p000/CT.nii.gz", "pairs/p000/MRI.nii.gz",
            "trainA/ct000.nii.gz", "trainB/mri000.nii.gz",
    ]  # fmt: skip
    assert run_script(phantom.main, words) == 2 and "in use" in capsys.readouterr().err
    assert run_script(phantom.main, [str(tmp_path / "x"), "--spacing", "8,8"]) == 2
