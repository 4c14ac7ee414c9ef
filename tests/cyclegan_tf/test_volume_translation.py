import contextlib
import csv
import io
import shutil

import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

import train_cyclegan
import translate
from common_tf.command_line import run_script
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.volumes.files import list_volumes
from common_tf.volumes.nifti import read_nifti, write_nifti
from common_tf.volumes.phantom import draw_head, write_drawn

TINY = ["--image-size", "32", "--set", "generator_filters=4", "--set", "discriminator_filters=4", "--split", "as-given"]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run of slices, hardly trained, whose CT's black and white are 0 and 80 HU."""
    data = tmp_path_factory.mktemp("slices")
    for letter, kind in (("A", "ct"), ("B", "mri")):
        (data / f"train{letter}").mkdir()
        for seed in range(6):
            head = getattr(draw_phantom(seed + 50 * (letter == "B"), size=48), kind)
            Image.fromarray(quantise(head)).save(data / f"train{letter}" / f"{seed}.png")
    run = tmp_path_factory.mktemp("runs") / "run"
    words = [*TINY, "--data", data, "--run", run, "--steps", 2, "--save-every", 0, "--set", "shows=CT=0:80"]
    with contextlib.redirect_stdout(io.StringIO()):
        assert run_script(train_cyclegan.main, list(map(str, words))) == 0
    return run


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    """A drawn CT and MRI of one head, as NIfTI and as DICOM."""
    folder = tmp_path_factory.mktemp("heads")
    head = draw_head(4, spacing=(4.0, 4.0, 12.0))
    for kind, volume in (("ct", head.ct), ("mri", head.mri)):
        write_drawn(folder, volume, name=kind, as_dicom=True)
        write_drawn(folder, volume, name=kind, as_dicom=False)
    return folder


def _translate(run, source, output, *more, direction="CT2MRI"):
    words = ["--run", run, "--direction", direction, "--input", source, "--output", output, *more]
    return run_script(translate.main, list(map(str, words)))


def test_a_nifti_file_gives_one_on_the_same_grid(run, heads, tmp_path, capsys):
    assert _translate(run, heads / "mri.nii.gz", tmp_path / "out", direction="MRI2CT") == 0
    given, made = nibabel.load(heads / "mri.nii.gz"), nibabel.load(tmp_path / "out" / "mri.nii.gz")
    assert made.shape == given.shape and made.get_data_dtype() == np.int16
    np.testing.assert_allclose(made.affine, given.affine)
    values = np.asarray(made.dataobj)
    assert 0 <= values.min() < values.max() <= 80  # the run's window, in HU
    assert b"synthetic CT, not for diagnosis" in made.header["descrip"].tobytes()
    said = capsys.readouterr().out
    assert "clipped to 0 to 80" in said and "1 volumes translated" in said
    with Image.open(tmp_path / "out" / "mri_planes.png") as picture:
        assert picture.info["Synthetic"] == "true"
    with open(tmp_path / "out" / "synthetic.csv", newline="") as stream:
        assert [row["file"] for row in csv.DictReader(stream)] == ["mri.nii.gz", "mri_planes.png"]


def test_a_dicom_series_gives_a_derived_one_on_the_same_slices(run, heads, tmp_path):
    assert _translate(run, heads / "ct", tmp_path / "out") == 0
    (made,) = list_volumes(tmp_path / "out").volumes
    (given,) = list_volumes(heads / "ct").volumes
    assert made.name == "ct" and made.modality == "MR"
    one, other = given.read().volume, made.read().volume
    assert one.shape == other.shape
    np.testing.assert_allclose(one.affine, other.affine, atol=1e-4)
    tags = pydicom.dcmread(made.paths[0], stop_before_pixels=True)
    assert tags.SOPClassUID.name == "MR Image Storage" and tags.ImageType[0] == "DERIVED" and not tags.PatientName
    source = pydicom.dcmread(given.paths[0], stop_before_pixels=True)
    assert tags.FrameOfReferenceUID != source.FrameOfReferenceUID
    # For laying it over the source; an earlier translation of the same series is made anew.
    assert _translate(run, heads / "ct" / "0003.dcm", tmp_path / "out", "--keep-identity") == 0
    tags = pydicom.dcmread(tmp_path / "out" / "ct" / "0001.dcm", stop_before_pixels=True)
    assert tags.PatientName == "Phantom" and tags.FrameOfReferenceUID == source.FrameOfReferenceUID


def test_dicom_and_nifti_of_one_head_give_the_same_voxels(run, heads, tmp_path):
    assert _translate(run, heads / "ct", tmp_path / "a", "--format", "nifti") == 0
    assert _translate(run, heads / "ct.nii.gz", tmp_path / "b") == 0
    from_dicom, from_nifti = (read_nifti(tmp_path / place / "ct.nii.gz")[0] for place in "ab")
    np.testing.assert_array_equal(from_dicom.voxels, from_nifti.voxels)


@pytest.mark.parametrize("codes", ["LPS", *(pytest.param(one, marks=pytest.mark.more) for one in ("PIR", "SLA"))])
def test_axial_slices_are_taken_from_any_orientation(codes, run, heads, tmp_path):
    """The same head stored along other axes is the same translation stored along those axes."""
    image = nibabel.load(heads / "ct.nii.gz")
    turn = nibabel.orientations.ornt_transform(
        nibabel.io_orientation(image.affine), nibabel.orientations.axcodes2ornt(codes)
    )
    nibabel.save(image.as_reoriented(turn), tmp_path / "turned.nii.gz")
    assert _translate(run, tmp_path / "turned.nii.gz", tmp_path / "a") == 0
    assert _translate(run, heads / "ct.nii.gz", tmp_path / "b") == 0
    made = nibabel.load(tmp_path / "a" / "turned.nii.gz")
    straight = nibabel.load(tmp_path / "b" / "ct.nii.gz").as_reoriented(turn)
    np.testing.assert_allclose(made.affine, straight.affine, atol=1e-4)
    np.testing.assert_array_equal(np.asarray(made.dataobj), np.asarray(straight.dataobj))


@pytest.mark.more
def test_slices_without_a_head_become_background(run, heads, tmp_path, capsys):
    volume, _ = read_nifti(heads / "ct.nii.gz")
    volume.voxels[..., -3:] = -1000
    write_nifti(tmp_path / "cut.nii.gz", volume)
    assert _translate(run, tmp_path / "cut.nii.gz", tmp_path / "out") == 0
    made = read_nifti(tmp_path / "out" / "cut.nii.gz")[0].voxels
    assert made[..., -3:].max() == 0 and made[..., :-3].max() > 0
    assert "slices show no head" in capsys.readouterr().out


@pytest.mark.more
def test_a_folder_is_translated_as_a_whole_or_not_at_all(run, heads, tmp_path, capsys):
    source = tmp_path / "in"
    (source / "a").mkdir(parents=True)
    shutil.copytree(heads / "ct", source / "a" / "series")
    shutil.copytree(heads / "mri", source / "mri")
    shutil.copy(heads / "ct.nii.gz", source / "b.nii.gz")
    assert _translate(run, source, tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "mri: MR, left out" in said and "2 volumes translated" in said
    made = [one.name for one in list_volumes(tmp_path / "out").volumes]
    assert made == ["a/series", "b.nii.gz"]
    (source / "bad.nii.gz").write_bytes((source / "b.nii.gz").read_bytes()[:300])
    assert _translate(run, source, tmp_path / "new") == 2
    said = capsys.readouterr().err
    assert "bad.nii.gz: truncated" in said and said.count("\n") == 1 and not (tmp_path / "new").exists()


@pytest.mark.more
def test_results_never_mix_and_never_take_each_others_names(run, heads, tmp_path, capsys):
    for kind in ("ct", "mri"):
        shutil.copytree(heads / kind, tmp_path / kind / "p1")
    assert _translate(run, tmp_path / "ct", tmp_path / "out") == 0
    assert _translate(run, tmp_path / "mri", tmp_path / "out", direction="MRI2CT") == 2
    assert "was made of something else" in capsys.readouterr().err
    # A series that has become shorter leaves nothing of its older translation.
    for name in ("0012.dcm", "0013.dcm"):
        (tmp_path / "ct" / "p1" / name).unlink()
    assert _translate(run, tmp_path / "ct", tmp_path / "out") == 0
    assert len(list((tmp_path / "out" / "p1").iterdir())) == 11
    # A file and a series of one name, and files that differ in their endings.
    shutil.copy(heads / "ct.nii.gz", tmp_path / "ct" / "p1.nii.gz")
    write_nifti(tmp_path / "ct" / "P1.nii", read_nifti(heads / "ct.nii.gz")[0])
    assert _translate(run, tmp_path / "ct", tmp_path / "all", "--format", "nifti") == 0
    made = {path.name.lower() for path in (tmp_path / "all").iterdir()}
    assert len(made) == 7 and sum(name.endswith("_planes.png") for name in made) == 3


def test_what_cannot_be_right_is_refused_in_a_line(run, heads, tmp_path, capsys):
    volume, _ = read_nifti(heads / "ct.nii.gz")
    scaled = volume.with_voxels((volume.voxels + 1024) / 4096, unit="", modality="")
    write_nifti(tmp_path / "scaled.nii.gz", scaled)
    several = nibabel.Nifti1Image(np.stack([volume.voxels] * 2, axis=-1), volume.affine)
    nibabel.save(several, tmp_path / "several.nii.gz")
    (tmp_path / "mixed").mkdir()
    shutil.copy(heads / "ct.nii.gz", tmp_path / "mixed")
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "mixed" / "a.png")
    Image.fromarray(np.arange(64, dtype=np.uint8).reshape(8, 8)).save(tmp_path / "a.png")
    for source, more, message in (
        (heads / "mri", (), "take the other --direction"),
        (tmp_path / "scaled.nii.gz", (), "no HU; give the values of black and white: --window CT=BLACK:WHITE"),
        (tmp_path / "several.nii.gz", (), "holds 2 volumes"),
        (tmp_path / "several.nii.gz", ("--volume", "2"), "no number 2"),
        (tmp_path / "mixed", (), "1 picture files beside volumes"),
        (tmp_path / "a.png", ("--keep-identity",), "--keep-identity: is for volumes"),
        (heads / "ct.nii.gz", ("--keep-identity",), "--keep-identity: is for DICOM"),
        (heads / "ct", ("--volume", "0"), "--volume: is for NIfTI"),
    ):
        assert _translate(run, source, tmp_path / "out", *more) == 2, message
        said = capsys.readouterr().err
        assert message in said and said.count("\n") == 1 and not (tmp_path / "out").exists()
    assert _translate(run, heads / "ct.nii.gz", tmp_path / "out", "--window", "CT=5000:6000") == 2
    assert "ct.nii.gz: no slice shows a head" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert _translate(run, heads / "ct.nii.gz", tmp_path / "out", direction="MRI2CT") == 2
    assert "as a CT does" in capsys.readouterr().err
    assert _translate(run, tmp_path / "several.nii.gz", tmp_path / "out", "--volume", "1") == 0
    assert _translate(run, tmp_path / "scaled.nii.gz", tmp_path / "o2", "--window", "CT=0.25:0.27") == 0
