"""Volumes beside the labels of their lesions."""

import shutil

import numpy as np
import pytest

from common_tf.errors import UserError
from common_tf.sources.dataset import open_dataset
from common_tf.sources.segmentation import segmentation_source
from common_tf.volumes.nifti import write_nifti
from common_tf.volumes.phantom import draw_head
from common_tf.volumes.planes import slices_of
from common_tf.volumes.volume import Volume

SPACING = (6.0, 6.0, 16.0)


def _write(folder, name: str, volume: Volume):
    folder.mkdir(parents=True, exist_ok=True)
    write_nifti(folder / f"{name}.nii.gz", volume)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Three patients, of whom the last has no lesion, and the heads."""
    root = tmp_path_factory.mktemp("drawn")
    heads = [draw_head(seed, spacing=SPACING, lesion_probability=float(seed < 2)) for seed in range(3)]
    for number, head in enumerate(heads):
        _write(root / f"p{number}", "mri", head.mri)
        _write(root / f"p{number}", "mri_mask", Volume(head.lesion * np.float32(1 + number), head.mri.affine))
    return root, heads


def test_slices_have_the_lesions_of_their_volume(drawn):
    root, heads = drawn
    dataset = open_dataset(segmentation_source(root, channels=1))
    assert {case.patient for case in dataset.cases} == {"p0", "p1", "p2"} and dataset.group_word == "patients"
    for case in dataset.cases:
        number = int(case.name.split("#")[1])
        head = heads[int(case.patient[1])]
        loaded = case.load()
        lesion = slices_of(Volume(head.lesion.astype(np.float32), head.mri.affine)).values[number]
        np.testing.assert_array_equal(loaded.lesion, lesion > 0)
        assert loaded.lesion.shape == loaded.pictures["slice"].pixels.shape
        assert ("mask values 2; all but 0 is inside" in loaded.notes) == (case.patient == "p1")
    assert sum(case.load().lesion.any() for case in dataset.cases) >= 2


def test_brats_gives_its_channels_and_counts_what_it_does_not_read(tmp_path):
    for number in range(2):
        head = draw_head(number, spacing=SPACING, lesion_probability=1.0)
        place, name = tmp_path / f"BraTS_{number}", f"BraTS_{number}"
        for factor, kind in enumerate(("flair", "t1", "t1ce", "t2"), start=1):
            _write(place, f"{name}_{kind}", Volume(head.mri.voxels * factor, head.mri.affine))
        _write(place, f"{name}_seg", Volume(head.lesion * np.float32(4), head.mri.affine))
    one, three = (segmentation_source(tmp_path, channels=channels) for channels in (1, 3))
    assert all("_flair" in case.name for case in one.cases) and one.cases[0].labels == ("slice",)
    loaded = three.cases[5].load()
    assert list(loaded.pictures) == ["slice", "slice 2", "slice 3"]
    values = [picture.pixels.max() for picture in loaded.pictures.values()]
    np.testing.assert_allclose(np.array(values) / values[0], [1, 1 / 3, 4 / 3])  # T1 with contrast, FLAIR, T2
    assert loaded.pictures["slice"].head is loaded.pictures["slice 3"].head
    assert any("2 volumes are not read" in finding.text for finding in three.findings)
    assert any("6 volumes are not read" in finding.text for finding in one.findings)


def test_a_changed_mask_is_a_changed_case(drawn, tmp_path):
    root, heads = drawn
    shutil.copytree(root, tmp_path / "copy")
    lesion = heads[0].lesion.copy()
    lesion[7, 9, 5] ^= True
    _write(tmp_path / "copy" / "p0", "mri_mask", Volume(lesion.astype(np.float32), heads[0].mri.affine))
    before, after = (
        [case.load().digests["slice"] for case in segmentation_source(place, channels=1).cases]
        for place in (root, tmp_path / "copy")
    )
    assert [one != other for one, other in zip(before, after)].count(True) == 1


def test_labels_that_cannot_be_used_are_named(drawn, tmp_path):
    _, heads = drawn
    head = heads[0]
    for name, mask, line in (
        ("grid", Volume(head.lesion[:-1].astype(np.float32), head.mri.affine), "another grid than"),
        ("values", Volume(head.mri.voxels + 0.5, head.mri.affine), "holds no labels"),
    ):
        root = tmp_path / name
        _write(root / "p0", "mri", head.mri)
        _write(root / "p0", "mri_mask", mask)
        with pytest.raises(UserError, match=line):
            open_dataset(segmentation_source(root, channels=1))
    _write(tmp_path / "alone" / "p0", "mri_mask", Volume(head.lesion.astype(np.float32), head.mri.affine))
    with pytest.raises(UserError, match="no volumes with"):
        segmentation_source(tmp_path / "alone", channels=1)
    _write(tmp_path / "loose", "mri", head.mri)
    _write(tmp_path / "loose", "mri_mask", Volume(head.lesion.astype(np.float32), head.mri.affine))
    with pytest.raises(UserError, match="one folder a patient"):
        segmentation_source(tmp_path / "loose", channels=1)
    twice = tmp_path / "twice" / "p0"
    _write(twice, "mri", head.mri)
    for name in ("mri_mask", "mri_seg"):
        _write(twice, name, Volume(head.lesion.astype(np.float32), head.mri.affine))
    with pytest.raises(UserError, match="has two labels"):
        segmentation_source(tmp_path / "twice", channels=1)
    write_nifti(twice / "mri.nii", head.mri)
    with pytest.raises(UserError, match="differ in nothing but their endings"):
        segmentation_source(tmp_path / "twice", channels=1)


def test_folders_of_splits_and_time_points_are_understood(drawn, tmp_path):
    _, heads = drawn
    for place in ("train/BraTS-GLI-00001-000", "train/BraTS-GLI-00001-001", "test/p7"):
        _write(tmp_path / place, "mri", heads[0].mri)
        _write(tmp_path / place, "mri_mask", Volume(heads[0].lesion.astype(np.float32), heads[0].mri.affine))
    found = {(case.given_split, case.patient) for case in segmentation_source(tmp_path, channels=1).cases}
    assert found == {("train", "BraTS-GLI-00001"), ("test", "p7")}
