from dataclasses import replace

import numpy as np
import pytest

from common_tf.errors import UserError
from common_tf.pictures.preparation import prepare
from common_tf.sources.cache import prepared_slices
from common_tf.sources.dataset import open_dataset
from common_tf.sources.folders import folder_source
from common_tf.sources.volumes import _SHELF
from common_tf.volumes.nifti import read_nifti, write_nifti
from common_tf.volumes.phantom import draw_head, write_drawn
from common_tf.volumes.planes import slices_of

DOMAINS = ("CT", "MRI")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four CT as DICOM series and four MRI as NIfTI, coarse."""
    root = tmp_path_factory.mktemp("volumes")
    for seed in range(4):
        write_drawn(root / "trainA", draw_head(seed, spacing=(6.0, 4.0, 16.0)).ct, name=f"p{seed}", as_dicom=True)
        write_drawn(
            root / "trainB", draw_head(50 + seed, spacing=(4.0, 4.0, 16.0)).mri, name=f"m{seed}", as_dicom=False
        )
    return root


def test_a_volume_is_a_patient_and_slices_without_a_head_are_left_out(folder):
    source = folder_source(folder, domains=DOMAINS)
    dataset = open_dataset(source)
    assert len(source.cases) == 8 * 10 and 8 * 5 < len(dataset.cases) < 8 * 10
    groups = {}
    for case, group in zip(dataset.cases, dataset.groups):
        groups.setdefault(case.name.split("#")[0], set()).add(int(group))
    assert len(groups) == 8 and all(len(mine) == 1 for mine in groups.values())
    assert len(set.union(*groups.values())) == 8 and dataset.group_word == "patients"
    words = [finding.text for finding in dataset.findings]
    assert any("CT: 4 volumes of 4 patients, 40 axial slices" in text for text in words)
    assert any("each volume has its own black and white" in text for text in words)


def _volume(seed: int, spacing=(8.0, 8.0, 32.0)):
    return draw_head(seed, spacing=spacing).ct


def test_series_of_one_person_and_files_of_one_folder_are_one_patient(tmp_path):
    import pydicom

    for number in range(4):
        files = write_drawn(tmp_path / "trainA", _volume(number), name=f"s{number}", as_dicom=True)
        for file in files.iterdir():
            dataset = pydicom.dcmread(file)
            dataset.PatientID = "same" if number < 2 else f"p{number}"
            dataset.save_as(file)
    for patient, name in (("p1", "t1"), ("p1", "t2"), ("p2", "t1")):
        head = draw_head(60, spacing=(8.0, 8.0, 32.0)).mri
        write_drawn(tmp_path / "trainB" / patient, head, name=name, as_dicom=False)
    (tmp_path / "patients.csv").write_text("file,patient\ntrainA/s2,other\ntrainA/s3,other\n")
    for named in (True, False):
        if not named:
            (tmp_path / "patients.csv").unlink()
        source = folder_source(tmp_path, domains=DOMAINS)
        who = {case.name.split("#")[0]: case.patient for case in source.cases}
        assert who["trainA/s0"] == who["trainA/s1"] and "same" not in who["trainA/s0"]
        assert (who["trainA/s2"] == who["trainA/s3"]) == named
        assert who["trainB/p1/t1.nii.gz"] == who["trainB/p1/t2.nii.gz"] != who["trainB/p2/t1.nii.gz"]


def test_a_patient_that_all_volumes_name_is_nobody(tmp_path):
    import pydicom

    for number in range(3):
        files = write_drawn(tmp_path / "trainA", _volume(number), name=f"s{number}", as_dicom=True)
        for file in files.iterdir():
            dataset = pydicom.dcmread(file)
            dataset.PatientID = "ANON"
            dataset.save_as(file)
    write_drawn(tmp_path / "trainB", draw_head(60, spacing=(8.0, 8.0, 32.0)).mri, name="m", as_dicom=False)
    source = folder_source(tmp_path, domains=DOMAINS)
    assert len({case.patient for case in source.cases if "CT" in case.files}) == 3
    assert any("an anonymous label" in finding.text for finding in source.findings)


def test_a_slice_is_what_the_volume_holds_in_its_window_with_square_pixels(folder):
    source = folder_source(folder, domains=DOMAINS, windows={"CT": (0.0, 80.0)})
    case = next(case for case in source.cases if case.name == "trainA/p2#003")
    picture = case.load().pictures["CT"]
    head = draw_head(2, spacing=(6.0, 4.0, 16.0)).ct
    slices = slices_of(head)
    assert slices.values[3].shape == (58, 32) and picture.pixels.shape == (58, 48)  # 4 mm both ways
    assert (picture.low, picture.high) == (0.0, 80.0) and picture.spacing == (4.0, 4.0)
    assert np.corrcoef(picture.pixels[:, ::3].ravel(), slices.values[3][:, ::2].ravel())[0, 1] > 0.95
    whole = next(case for case in folder_source(folder, domains=DOMAINS).cases if case.name == "trainA/p2#003")
    assert (whole.load().pictures["CT"].low, whole.load().pictures["CT"].high) == (-1000.0, 2000.0)


def test_the_field_of_view_is_fixed_in_millimetres(folder):
    dataset = open_dataset(folder_source(folder, domains=DOMAINS))
    mine = [index for index, case in enumerate(dataset.cases) if "CT" in case.files]
    preparation = dataset.preparation("CT", mine, framing="head", window=(-1000.0, 2000.0))
    assert 170 < preparation.reference_mm < 215
    loaded = dataset.cases[mine[3]].load().pictures["CT"]
    square = prepare(loaded, preparation, size=32)
    assert square.frame.side * loaded.spacing[0] == pytest.approx(1.08 * preparation.reference_mm, rel=0.05)


def test_prepared_slices_and_hashes_follow_from_the_values(folder, tmp_path):
    dataset = open_dataset(folder_source(folder, domains=DOMAINS))
    mine = [index for index, case in enumerate(dataset.cases) if "MRI" in case.files]
    digests = [dataset.scans[index][0].sha256 for index in mine]
    assert len(set(digests)) == len(digests) and all(len(digest) == 64 for digest in digests)
    preparation = dataset.preparation("MRI", mine, framing="head")
    cases, scans = [dataset.cases[i] for i in mine], [dataset.scans[i] for i in mine]
    made = prepared_slices(cases, scans, "MRI", preparation, size=32, folder=tmp_path)
    assert made.pixels.dtype == np.uint16 and 0.5 < made.scaled()[made.masks].max() <= 1
    again = prepared_slices(cases, scans, "MRI", preparation, size=32, folder=tmp_path)
    np.testing.assert_array_equal(again.pixels, made.pixels)
    assert len(_SHELF._held) <= 3  # memory does not grow with the number of volumes
    prepared_slices(cases, scans, "MRI", preparation, size=40, folder=tmp_path)
    assert not _SHELF._held  # nor is a volume kept once its slices are prepared


def test_volumes_that_cannot_be_used_are_named_and_may_be_skipped(folder, tmp_path):
    for letter, kind in (("A", "ct"), ("B", "mri")):
        for seed in range(2):
            volume = getattr(draw_head(seed, spacing=(8.0, 8.0, 32.0)), kind)
            write_drawn(tmp_path / f"train{letter}", volume, name=f"{seed}", as_dicom=False)
    volume, _ = read_nifti(tmp_path / "trainA" / "0.nii.gz")
    write_nifti(tmp_path / "trainA" / "scaled.nii.gz", volume.with_voxels(volume.voxels / 4000, unit="", modality=""))
    (tmp_path / "trainB" / "cut.nii.gz").write_bytes((tmp_path / "trainB" / "0.nii.gz").read_bytes()[:400])
    source = folder_source(tmp_path, domains=DOMAINS)
    with pytest.raises(UserError, match="2 files cannot be used .*scaled.nii.gz: .*no HU.*cut.nii.gz: .*truncated"):
        open_dataset(source)
    dataset = open_dataset(source, bad_files="skip")
    assert sum(row.note != "blank: no head found" for row in dataset.skipped) == 2
    (tmp_path / "trainA" / "slice.png").write_bytes(b"x")
    with pytest.raises(UserError, match="1 picture files beside volumes"):
        folder_source(tmp_path, domains=DOMAINS)


def test_one_head_under_two_names_is_said_and_slices_that_look_alike_by_chance_are_not(tmp_path):
    for seed in range(4):
        write_drawn(tmp_path / "trainA", _volume(seed, (4.0, 4.0, 8.0)), name=f"p{seed}", as_dicom=False)
        mri = draw_head(80 + seed, spacing=(4.0, 4.0, 8.0)).mri
        write_drawn(tmp_path / "trainB", mri, name=f"m{seed}", as_dicom=False)
    again = replace(mri, voxels=mri.voxels * np.float32(1.03) + np.float32(5))
    write_drawn(tmp_path / "trainB", again, name="again", as_dicom=False)
    (alike,) = [
        finding
        for finding in open_dataset(folder_source(tmp_path, domains=DOMAINS)).findings
        if finding.topic == "alike patients"
    ]
    assert {name.partition(".")[0] for name in alike.files} == {"trainB/m3", "trainB/again"}
