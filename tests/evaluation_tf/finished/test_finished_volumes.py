"""Finished volumes of any program: scored through evaluate.py, against figures computed here."""

import shutil

import nibabel
import numpy as np
import pytest

from common_tf.pictures.head import head_mask
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.volumes.files import DICOM, NIFTI, VolumeFile, list_volumes
from evaluation_tf.finished.volume_sides import _partners, open_volume_sides


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
    words = ("--real", mri / "real", "--paired", "--fake")
    record = report(tmp_path / "out", *words, mri / "fake")
    table = record["sections"]["pairs"]["tables"]["pairs_head"]
    assert _row(table, "fake")["mae"]["value"] == pytest.approx(0, abs=1e-3)
    assert _row(table, "fake")["mae"]["n"] == 32  # of 36 slices; four show nothing
    assert [row["key"] for row in table["rows"]] == ["fake", "black", "table", "mean", "stranger"]
    assert list(record["sections"]["pairs"]["tables"]) == ["pairs_head"]
    record = report(tmp_path / "windowed", *words, mri / "dark", "--window", "real=0:900,fake=0:900")
    row = _row(record["sections"]["pairs"]["tables"]["pairs_head"], "fake")
    wanted = []
    for number in range(4):
        values = nibabel.load(mri / "real" / f"p{number}.nii.gz").get_fdata()[..., 1:] / 900
        made = values / 2
        for real, fake in zip(values.transpose(2, 1, 0), made.transpose(2, 1, 0)):
            inside = head_mask(real.astype(np.float32)) | head_mask(fake.astype(np.float32))
            wanted.append(np.abs(quantise(real).astype(float) - quantise(fake))[inside].mean() / 255)
    assert row["mae"]["value"] == pytest.approx(np.mean(wanted), abs=1e-5)


def test_volumes_of_several_sizes_are_compared(mri, report, tmp_path):
    """The head of each against its own partner: what is filled up is outside of it."""
    for side in ("real", "fake"):
        shutil.copytree(mri / side, tmp_path / side)
        file = next((tmp_path / side).glob("p1.*"))
        found = nibabel.load(file)
        _volume(file, np.pad(found.get_fdata(), ((0, 0), (6, 2), (0, 0))), found.affine)
    record = report(tmp_path / "out", "--real", tmp_path / "real", "--fake", tmp_path / "fake", "--paired")
    row = _row(record["sections"]["pairs"]["tables"]["pairs_head"], "fake")
    assert row["mae"]["value"] == pytest.approx(0, abs=1e-3) and row["mae"]["n"] == 32


def test_a_patient_whom_dicom_names_is_known_by_it_on_both_sides(tmp_path):
    """Partners are of the real one's patient, whatever the fake file is called; a volume nobody names has its own."""
    for side, names in (("real", ("a/ct.nii.gz", "b/ct.nii.gz")), ("fake", ("a/one.nii", "b/two.nii"))):
        for number, name in enumerate(names):
            slices = np.stack([draw_phantom(10 * number + one, size=32).ct for one in range(3)], axis=-1)
            _volume(tmp_path / side / name, slices * 2000 - 1000)
    folders = {side: tmp_path / side for side in ("real", "fake")}
    listings = {side: list_volumes(folder) for side, folder in folders.items()}
    (tmp_path / "real" / "patients.csv").write_text("file,patient\na/ct.nii.gz,Ada\nb/ct.nii.gz,Bo\n")
    source = open_volume_sides(folders, listings, {}, paired=True).source()
    assert {case.name.split("/")[1]: case.patient for case in source.cases} == {"a": "Ada", "b": "Bo"}
    flat = {side: tmp_path / f"flat {side}" for side in folders}
    for side, folder in flat.items():
        _volume(folder / f"p0.nii{'.gz' if side == 'fake' else ''}", slices * 2000 - 1000)
    listings = {side: list_volumes(folder) for side, folder in flat.items()}
    source = open_volume_sides(flat, listings, {}, paired=False).source()
    assert {case.patient for case in source.cases} == {"p0"}


def test_of_many_slices_each_volume_gives_some(mri, monkeypatch):
    """Evenly from the lowest to the highest, and it is said."""
    monkeypatch.setattr("evaluation_tf.finished.volume_sides._MOST_SLICES", 12)
    monkeypatch.setattr("evaluation_tf.finished.volume_sides._FEWEST", 2)
    folders = {side: mri / side for side in ("real", "fake")}
    listings = {side: list_volumes(folder) for side, folder in folders.items()}
    source = open_volume_sides(folders, listings, {}, paired=True).source()
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
    assert "--fake: p0.nii: no value below -200" in mixed and "--window real=LO:HI,fake=LO:HI" in mixed
    one = refused(*both, volumes / "fake", "--paired", "--window", "real=0:80", *out)
    assert "names one side; name black and white of --fake too" in one
    damaged = tmp_path / "damaged"
    shutil.copytree(mri / "fake", damaged)
    (damaged / "p2.nii").write_bytes((damaged / "p2.nii").read_bytes()[:5000])
    assert "--fake: p2.nii:" in refused("--real", mri / "real", "--fake", damaged, *out)
    assert not (tmp_path / "no").exists()
