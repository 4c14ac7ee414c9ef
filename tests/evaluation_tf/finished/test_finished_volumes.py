"""Finished volumes of any program: scored through evaluate.py, against figures computed here."""

import shutil
from pathlib import Path

import nibabel
import numpy as np
import pytest

from common_tf.metrics.similarity.mae import mae
from common_tf.pictures.head import head_mask
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.volumes.files import DICOM, NIFTI, VolumeFile, list_volumes
from common_tf.volumes.phantom import write_drawn
from common_tf.volumes.volume import HOUNSFIELD, Volume
from evaluation_tf.finished.hounsfield import hounsfield_section
from evaluation_tf.finished.unitless import unitless_pairs
from evaluation_tf.finished.volume_sides import _partners, open_volume_sides
from evaluation_tf.finished.volume_slices import patients_of, slice_source


def _row(table, key):
    return next(row for row in table["rows"] if row.get("key") == key)


def _said(record):
    return " ".join(record["warnings"])


def _volume(path, voxels, affine=None):
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels.astype(np.float32), np.eye(4) if affine is None else affine), path)


@pytest.fixture(scope="module")
def volumes(tmp_path_factory):
    """Two heads in HU, and the same 25 HU brighter, in folders of their patients."""
    folder = tmp_path_factory.mktemp("volumes")
    for number in range(2):
        slices = [draw_phantom(100 * number + one, size=48).ct for one in range(12)]
        hounsfield = np.stack(slices, axis=-1) * 2000 - 1000
        _volume(folder / "real" / f"p{number}" / "ct.nii.gz", hounsfield, np.diag([4, 4, 5, 1]))
        _volume(folder / "fake" / f"p{number}" / "synthetic.nii.gz", hounsfield + 25, np.diag([4, 4, 5, 1]))
    return folder


def test_volumes_are_compared_in_hounsfield_units(volumes, report, tmp_path):
    """Patients are partners by their folders, too."""
    record = report(tmp_path / "out", "--real", volumes / "real", "--fake", volumes / "fake", "--paired")
    tables = record["sections"]["volumes"]["tables"]
    row = _row(tables["volumes"], "fake")
    assert row["mae"]["value"] == pytest.approx(25, abs=1e-2) and row["mae"]["n"] == 2
    assert row["bias_soft"]["value"] == pytest.approx(25, abs=1e-2)
    assert _row(tables["volumes"], "mean")["mae"]["value"] > 25
    assert [row["name"] for row in tables["volumes_patients"]["rows"]] == ["p0", "p1"]
    card = next(one for one in record["summary"] if one["title"].startswith("Are they right?"))
    assert card["verdict"] == "good"


def test_partners_by_folder_are_of_the_same_patient(volumes, refused, tmp_path):
    """Flat files of other names are none; a series that fills a patient's folder is one."""
    for side, name in (("real", "p1"), ("fake", "p7")):
        (tmp_path / side).mkdir()
        shutil.copy(next((volumes / side).rglob("*.nii.gz")), tmp_path / side / f"{name}.nii.gz")
    words = ("--real", tmp_path / "real", "--fake", tmp_path / "fake", "--paired", "--output", tmp_path / "no")
    assert "no single partner" in refused(*words)
    series = VolumeFile("p0", DICOM, [], lambda: None)
    file = VolumeFile("p0/sct.nii.gz", NIFTI, [], lambda: None)
    assert list(_partners([series], [file])) == ["p0"]


def test_a_fake_elsewhere_in_space_is_refused(volumes, refused, report, tmp_path):
    """Saved without its positions it would be measured against air."""
    found = nibabel.load(volumes / "fake" / "p0" / "synthetic.nii.gz")
    for name, affine in (("far", np.eye(4)), ("near", found.affine + np.array([[0, 0, 0, 4.0]] + [[0] * 4] * 3))):
        shutil.copytree(volumes / "fake", tmp_path / name)
        _volume(tmp_path / name / "p0" / "synthetic.nii.gz", found.get_fdata(), affine)
    words = ("--real", volumes / "real", "--paired", "--output")
    assert "of the real one's head; are their positions" in refused(*words, tmp_path / "no", "--fake", tmp_path / "far")
    record = report(tmp_path / "out", *words[:-1], "--fake", tmp_path / "near")
    assert "p0: the fake volume was resampled onto the real one's grid" in _said(record)


@pytest.fixture(scope="module")
def mri(tmp_path_factory):
    """MRI of four drawn heads, and the same elsewhere brighter, as another program stores them."""
    folder = tmp_path_factory.mktemp("mri")
    for number in range(4):
        slices = [draw_phantom(100 * number + one, size=48).mri for one in range(8)]
        values = np.stack([np.zeros((48, 48)), *slices], axis=-1) * 900  # the lowest slice shows nothing
        _volume(folder / "real" / f"p{number}.nii.gz", values, np.diag([4, 4, 5, 1]))
        _volume(folder / "fake" / f"p{number}.nii", values * 3, np.diag([4, 4, 5, 1]))
        _volume(folder / "dark" / f"p{number}.nii", values / 2, np.diag([4, 4, 5, 1]))
    return folder


def test_unpaired_volumes_are_compared_by_their_slices(volumes, report, tmp_path):
    """Against slices of other patients alone: volumes of one name are of one patient, whatever their folders hold."""
    record = report(tmp_path / "out", "--real", volumes / "real", "--fake", volumes / "fake")
    table = record["sections"]["distribution"]["tables"]["distribution"]
    assert [row["kind"] for row in table["rows"]] == ["result", "reference", "floor"]
    assert {row["swd"]["n"] for row in table["rows"]} == {12}  # the slices of one of two patients
    noted = " ".join(row["text"]["text"] for row in record["sections"]["files"]["tables"]["findings"]["rows"])
    assert "real: 2 volumes of 2 patients, 24 axial slices" in noted
    assert any(gap["what"] == "slices against their truth" for gap in record["not_computed"])
    assert "volumes" not in record["sections"]
    assert "are of 1, 1 and 1 patients" in _said(record)
    assert [(card["verdict"], card["words"]) for card in record["summary"]] == [
        ("open", "too few patients for a verdict")
    ]


def test_volumes_without_a_unit_are_compared_on_their_own_scales(mri, report, tmp_path):
    """Three times as bright is the same MRI; with one window for both it is not."""
    record = report(tmp_path / "out", "--real", mri / "real", "--fake", mri / "fake", "--paired")
    table = record["sections"]["pairs"]["tables"]["pairs_head"]
    assert _row(table, "fake")["mae"]["value"] == pytest.approx(0, abs=1e-3)
    assert _row(table, "fake")["mae"]["n"] == 32  # of 36 slices; four show nothing
    assert [row["key"] for row in table["rows"]] == ["fake", "black", "table", "mean", "stranger"]
    assert list(record["sections"]["pairs"]["tables"]) == ["pairs_head"]
    _, error = _compared(mri / "real", mri / "dark", windows={"real": (0, 900), "fake": (0, 900)})
    wanted = []
    for number in range(4):
        values = nibabel.load(mri / "real" / f"p{number}.nii.gz").get_fdata()[..., 1:] / 900
        made = values / 2
        for real, fake in zip(values.transpose(2, 1, 0), made.transpose(2, 1, 0)):
            inside = head_mask(real.astype(np.float32)) | head_mask(fake.astype(np.float32))
            wanted.append(np.abs(quantise(real).astype(float) - quantise(fake))[inside].mean() / 255)
    assert error == pytest.approx(np.mean(wanted), abs=1e-5)


def test_volumes_of_several_sizes_are_compared(mri, tmp_path):
    """The head of each against its own partner: what is filled up is outside of it."""
    for side in ("real", "fake"):
        shutil.copytree(mri / side, tmp_path / side)
        file = next((tmp_path / side).glob("p1.*"))
        found = nibabel.load(file)
        _volume(file, np.pad(found.get_fdata(), ((0, 0), (6, 2), (0, 0))), found.affine)
    pairs, error = _compared(tmp_path / "real", tmp_path / "fake")
    assert error == pytest.approx(0, abs=1e-3) and len(pairs) == 32
    assert pairs.images["real"].pixels.shape[1:] == (56, 48)
    # The real p1 is 8 rows higher than the others, which stand in the middle of as many.
    alone, _ = _compared(mri / "real", mri / "fake")
    others = pairs.groups != pairs.groups[8]
    np.testing.assert_array_equal(pairs.images["real"].pixels[others][:, 4:52], alone.images["real"].pixels[others])


def _sides(real, fake, *, paired=False, windows=None):
    folders = {"real": real, "fake": fake}
    listings = {side: list_volumes(folder) for side, folder in folders.items()}
    return open_volume_sides(folders, listings, windows or {}, paired=paired)


def _source(real, fake, *, paired=False):
    return slice_source(_sides(real, fake, paired=paired))


def _compared(real, fake, *, windows=None):
    """The pairs of a report without its likeness, and their mean error in the head."""
    sides = _sides(real, fake, paired=True, windows=windows)
    pairs = unitless_pairs(sides, patients_of(slice_source(sides)))
    images, mask = pairs.images, pairs.mask.pixels
    return pairs, mae(images["fake"].scaled(), images["real"].scaled(), mask=mask).mean()


def _head(number, count=3):
    slices = [draw_phantom(100 * number + one, size=32).ct for one in range(count)]
    return np.stack(slices, axis=-1) * 2000 - 1000


def _series(folder, name, hounsfield):
    volume = Volume(hounsfield.astype(np.float32), np.diag([4.0, 4, 5, 1]), unit=HOUNSFIELD, modality="CT")
    write_drawn(folder, volume, name=name, as_dicom=True)


@pytest.mark.parametrize(
    ("real", "fake"),
    [
        (("p0.nii", "p1.nii"), ("p0.nii.gz", "p1.nii.gz")),
        (("p0/ct.nii", "p1/ct.nii"), ("p0.nii.gz", "p1.nii.gz")),
        (("p0/ct.nii", "p1/ct.nii"), ("p0/sct.nii",)),
        (("all/p0.nii", "all/p1.nii"), ("all/p0.nii", "all/p1.nii")),
        (("sub-01/anat/t1.nii", "sub-02/anat/t1.nii"), ("sub-01.nii", "sub-02.nii")),
        (("p0_ct.nii", "p1_ct.nii"), ("P0_sCT.nii.gz", "P1_sCT.nii.gz")),
        (("p0.nii", "p1.nii"), ("p0/sct.nii",)),
        (("a/p0.nii", "b/p1.nii"), ("p0.nii", "p1.nii")),
    ],
)
def test_one_head_is_one_patient_on_both_sides(real, fake, tmp_path):
    """Whatever the layouts: against slices of its own head a fake would be nearer than any real one can be."""
    for side, names in (("real", real), ("fake", fake)):
        for number, name in enumerate(names):
            _volume(tmp_path / side / name, _head(number))
    found = patients_of(_source(tmp_path / "real", tmp_path / "fake"))
    for number, name in enumerate(fake):
        assert found[f"fake/{name}"] == found[f"real/{real[number]}"]
    assert len(set(found.values())) == 2


def test_partners_are_of_the_patient_that_a_table_gives_to_the_real_one(tmp_path, monkeypatch):
    """A table above both sides counts too, also where the folders are named relative to here."""
    for side, names in (("real", ("a/ct.nii.gz", "b/ct.nii.gz")), ("fake", ("a/one.nii", "b/two.nii"))):
        for number, name in enumerate(names):
            _volume(tmp_path / side / name, _head(number))
    (tmp_path / "patients.csv").write_text("file,patient\nreal/a/ct.nii.gz,Ada\nreal/b/ct.nii.gz,Ada\n")
    monkeypatch.chdir(tmp_path)
    found = patients_of(_source(Path("real"), Path("fake"), paired=True))
    assert len(found) == 4 and len(set(found.values())) == 1


def test_dicom_on_both_sides(tmp_path, report):
    """Series have names without a dot, and say what they are."""
    for side in ("real", "fake"):
        for number in range(4):
            _series(tmp_path / side, f"ct{number}", _head(number, 8) + (20 if side == "fake" else 0))
    record = report(tmp_path / "out", "--real", tmp_path / "real", "--fake", tmp_path / "fake", "--paired")
    assert _row(record["sections"]["volumes"]["tables"]["volumes"], "fake")["mae"]["value"] == pytest.approx(20, abs=1)
    table = record["sections"]["distribution"]["tables"]["distribution"]
    assert {row["swd"]["n"] for row in table["rows"]} == {16}  # the fakes of the patients of the other half


def test_scans_of_one_patient_are_no_two(tmp_path):
    """Neither for the intervals nor for the floor: the mean of the others is of other patients."""
    for number in range(4):
        head = _head(number, 8)
        name = f"p{number // 2}/s{number}.nii.gz"
        _volume(tmp_path / "real" / name, head, np.diag([4, 4, 5, 1]))
        _volume(tmp_path / "fake" / name, head + 20, np.diag([4, 4, 5, 1]))
    sides = _sides(tmp_path / "real", tmp_path / "fake", paired=True)
    found = patients_of(slice_source(sides))
    who = [found[f"real/{real.name}"] for real, _ in sides.pairs.values()]
    section = hounsfield_section(sides.pairs, who, figures=tmp_path)
    cell = section.table("volumes").row("fake").cells["mae"]
    assert (cell.n, cell.groups) == (4, 2)
    assert cell.is_of_few  # which the report says


def test_a_fake_head_where_the_real_one_has_none_counts(mri, tmp_path):
    """What is empty on both sides is left out, and counted."""
    shutil.copytree(mri / "real", tmp_path / "real")
    for file in (tmp_path / "real").iterdir():
        found = nibabel.load(file)
        values = found.get_fdata()
        values[..., -2:] = 0
        _volume(file, values, found.affine)
    pairs, error = _compared(tmp_path / "real", mri / "fake")
    assert len(pairs) == 32 and error > 0.05
    assert "4 slices without a head on either side are left out" in pairs.warnings


def test_a_single_voxel_does_not_move_black(mri, tmp_path):
    """Overshoot of a network, or of cubic resampling."""
    shutil.copytree(mri / "fake", tmp_path / "fake")
    for file in (tmp_path / "fake").iterdir():
        found = nibabel.load(file)
        values = found.get_fdata()
        values[0, 0, 0] = -150
        _volume(file, values, found.affine)
    assert _compared(mri / "real", tmp_path / "fake")[1] == pytest.approx(0, abs=1e-3)


def test_masks_beside_volumes_are_left_out_and_named(mri, tmp_path):
    """As SynthRAD has them."""
    for number in range(2):
        for side in ("real", "fake"):
            ending = ".gz" if side == "real" else ""
            place = tmp_path / side / f"p{number}" / "mr.nii"
            place.parent.mkdir(parents=True)
            shutil.copy(mri / side / f"p{number}.nii{ending}", f"{place}{ending}")
        found = nibabel.load(mri / "real" / f"p{number}.nii.gz")
        _volume(tmp_path / "real" / f"p{number}" / "mask.nii.gz", found.get_fdata() > 100, found.affine)
    source = _source(tmp_path / "real", tmp_path / "fake", paired=True)
    assert not any("mask" in case.name for case in source.cases)
    said = next(finding for finding in source.findings if finding.topic == "masks")
    assert said.severity == "warning" and said.files == ("p0/mask.nii.gz", "p1/mask.nii.gz")


def test_of_many_slices_each_volume_gives_some(mri, monkeypatch):
    """Evenly from the lowest to the highest, and it is said."""
    monkeypatch.setattr("evaluation_tf.finished.volume_sides._MOST_SLICES", 12)
    monkeypatch.setattr("evaluation_tf.finished.volume_sides._FEWEST", 2)
    source = _source(mri / "real", mri / "fake", paired=True)
    mine = [case.name for case in source.cases if case.name.startswith("real/p2")]
    assert mine == [f"real/p2.nii.gz#{number:03d}" for number in (0, 4, 8)]
    assert any("at most 3 slices are compared" in finding.text for finding in source.findings)


def test_volumes_that_cannot_be_scored_are_one_line(volumes, mri, save, refused, tmp_path):
    """And no report is begun."""
    out = ("--output", tmp_path / "no")
    both = ("--real", volumes / "real", "--fake")
    pictures = save(tmp_path / "pictures" / "p0.png", quantise(draw_phantom(0, size=48).ct)).parent
    assert "one holds volumes, the other none" in refused(*both, pictures, *out)
    other = tmp_path / "other"
    shutil.copytree(volumes / "fake", other)
    (other / "p1").rename(other / "p7")
    assert "no single partner" in refused(*both, other, "--paired", *out)
    mixed = refused(*both, mri / "fake", *out)
    assert "--real p0/ct.nii.gz is a CT (2 such volumes)" in mixed and "--fake p0.nii is none (4 such)" in mixed
    assert "--window real=LO:HI,fake=LO:HI" in mixed
    cut = {side: tmp_path / "cut" / side for side in ("real", "fake")}
    for folder in cut.values():
        _series(folder, "ct", np.clip(_head(0, 8), -100, 100))
    assert "a CT without air" in refused("--real", cut["real"], "--fake", cut["fake"], *out)
    for folder in (tmp_path / "masks", tmp_path / "masks2"):
        _volume(folder / "p0.nii", (_head(0) > 0) * 1.0)
    masks = refused("--real", tmp_path / "masks", "--fake", tmp_path / "masks2", *out)
    assert "--real: all of its 1 volumes hold 8 values and fewer, as masks do" in masks
    one = refused(*both, volumes / "fake", "--paired", "--window", "real=0:80", *out)
    assert "names one side; name black and white of --fake too" in one
    damaged = tmp_path / "damaged"
    shutil.copytree(mri / "fake", damaged)
    (damaged / "p2.nii").write_bytes((damaged / "p2.nii").read_bytes()[:5000])
    assert "--fake: p2.nii:" in refused("--real", mri / "real", "--fake", damaged, *out)
    assert not (tmp_path / "no").exists()


def test_an_empty_first_slice_makes_no_mask_and_a_voxel_no_ct(mri, tmp_path):
    """Of 400 x 400 x 5 voxels every eighth in a row lies in one slice; undershoot is no air."""
    values = np.zeros((400, 400, 5))
    values[100:300, 100:300, 1:] = np.linspace(100, 900, 200)[:, None, None]
    values[0, 0, 0] = -250
    for side in ("real", "fake"):
        _volume(tmp_path / side / "p0.nii", values)
    sides = _sides(tmp_path / "real", tmp_path / "fake", paired=True)
    assert list(sides.pairs) == ["p0"]
    assert not sides.in_hounsfield
    assert not sides.findings
