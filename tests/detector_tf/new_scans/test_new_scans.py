"""What runs say of new scans: masks on the scans' own grids, verdicts by the stated rule, and nothing half-written."""

import csv
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest
import skimage.data
import tensorflow as tf
from PIL import Image
from pydicom.dataset import Dataset
from sklearn.metrics import f1_score

from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.pictures.picture import Picture
from common_tf.pictures.preparation import Preparation
from common_tf.sources.inputs import PictureInputs
from common_tf.splits.manifest import read_manifest
from common_tf.volumes.files import ReadVolume, VolumeFile, list_volumes
from common_tf.volumes.nifti import write_nifti
from common_tf.volumes.phantom import draw_head, write_drawn
from common_tf.volumes.planes import slices_of
from common_tf.volumes.volume import Volume
from detector_tf.config import make_config
from detector_tf.inference import load_detector
from detector_tf.new_scans.masks import mask_pictures, mask_volumes
from detector_tf.new_scans.verdicts import NO_HEAD, volume_chances
from detector_tf.preprocessing import DetectorInput
from detector_tf.segmenter import TrainedSegmenter

SIDE = 64


@pytest.fixture(scope="module")
def bright() -> TrainedSegmenter:
    """A segmenter that marks all that is brighter than .9 of white, so that a test knows what is right."""
    inputs = tf.keras.Input((SIDE, SIDE, 1))
    model = tf.keras.Model(inputs, tf.keras.layers.Rescaling(100.0, offset=-80.0)(inputs))
    config = make_config({"task": "segment", "image_size": SIDE})
    return TrainedSegmenter(config, DetectorInput(Preparation("head", 0.8), SIDE), model)


@pytest.fixture(scope="module")
def segmenting(train, patients, tmp_path_factory) -> Path:
    """A finished run that segments."""
    run = tmp_path_factory.mktemp("segmenting") / "run"
    assert train("--task", "segment", "--data", patients, "--run", run, "--steps", 2, "--channels", 3) == 0
    return run


@pytest.fixture(scope="module")
def classifying(train, class_folders, tmp_path_factory) -> Path:
    """A finished run that classifies."""
    run = tmp_path_factory.mktemp("classifying") / "run"
    assert train("--data", class_folders, "--run", run, "--steps", 4) == 0
    return run


def _rows(path: Path) -> list[dict]:
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream))


def _head(height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """A gray disc with a white rectangle in it, and the rectangle."""
    y, x = np.mgrid[:height, :width]
    disc = (y - height / 2) ** 2 + (x - width / 2) ** 2 < (0.4 * min(height, width)) ** 2
    lesion = (abs(y - height * 0.45) < height / 10) & (abs(x - width * 0.55) < width / 12)
    return np.where(lesion, 255, disc * 120).astype(np.uint8), lesion


def test_a_mask_lies_on_the_picture_whatever_its_size(bright, save, tmp_path):
    truth = {}
    for name, size in (("a.png", (100, 100)), ("sub/b.tif", (150, 120)), ("sub/b.png", (64, 90))):
        pixels, truth[name] = _head(*size)
        save(tmp_path / "in" / name, pixels)
    save(tmp_path / "in" / "blank.png", np.zeros((40, 50), np.uint8))
    paths = sorted((tmp_path / "in").rglob("*.*"))
    notes = mask_pictures(bright, PictureInputs(paths, tmp_path / "in"), tmp_path, None)
    rows = {row["input"]: row for row in _rows(tmp_path / "masks.csv")}
    assert set(rows) == {*truth, "blank.png"} and len({row["mask"] for row in rows.values()}) == 4
    assert rows["a.png"]["mask"] == "a_mask.png" and "no head found in 1 of 4" in notes[0]
    for name, lesion in truth.items():
        mask = np.array(Image.open(tmp_path / rows[name]["mask"]))
        assert mask.shape == lesion.shape and set(np.unique(mask)) == {0, 255}
        assert f1_score(lesion.ravel(), mask.ravel() > 0) > 0.85  # the network sees 64 pixels
        assert int(rows[name]["pixels"]) == (mask > 0).sum()
    blank = np.array(Image.open(tmp_path / rows["blank.png"]["mask"]))
    assert blank.shape == (40, 50) and not blank.any()
    assert (tmp_path / "masks.png").stat().st_size > 5000


@pytest.mark.parametrize("codes", ["RAS", "LPS", "SRA"])
def test_a_mask_of_a_volume_lies_in_its_space(bright, tmp_path, codes):
    shape, spacing = (80, 90, 12), np.array([2.0, 2.0, 6.0])
    x, y, z = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    disc = (x - 40) ** 2 + (y - 45) ** 2 < 34**2
    lesion = (abs(x - 28) < 6) & (abs(y - 50) < 8) & (abs(z - 7) < 3)
    voxels = np.where(lesion, 1000.0, disc * 500.0).astype(np.float32)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -spacing * shape / 2
    image = nibabel.Nifti1Image(voxels, affine)
    turn = nibabel.orientations.ornt_transform(
        nibabel.orientations.axcodes2ornt("RAS"), nibabel.orientations.axcodes2ornt(codes)
    )
    turned = image.as_reoriented(turn)
    (tmp_path / "in").mkdir()
    nibabel.save(turned, tmp_path / "in" / "v.nii")
    mask_volumes(bright, list_volumes(tmp_path / "in").volumes, tmp_path, None)
    made = nibabel.load(tmp_path / "v_mask.nii.gz")
    assert made.shape == turned.shape and np.allclose(made.affine, turned.affine)
    back = nibabel.as_closest_canonical(made).get_fdata()
    assert set(np.unique(back)) == {0.0, 1.0} and f1_score(lesion.ravel(), back.ravel()) > 0.9
    (row,) = _rows(tmp_path / "masks.csv")
    assert float(row["ml"]) == pytest.approx(back.sum() * spacing.prod() / 1000, abs=1e-3)
    assert int(row["slices"]) == 5 and int(row["voxels"]) == back.sum()


def test_uneven_and_tilted_slices_have_each_their_own_millilitres():
    affine = np.diag([2.0, 3.0, 5.0, 1.0])
    even = Volume(np.zeros((2, 2, 4), np.float32), affine)
    np.testing.assert_allclose(even.voxel_ml, 0.03)
    uneven = replace(even, positions=np.array([[0, 0, 0], [0, 0, 5.0], [0, 0, 10], [0, 0, 20]]))
    np.testing.assert_allclose(uneven.voxel_ml, np.array([5, 5, 7.5, 10]) * 6 / 1000)
    tilted = affine.copy()
    tilted[1, 2] = 2.0  # shifted slices are no thicker
    np.testing.assert_allclose(replace(even, affine=tilted).voxel_ml, 0.03)


def test_masks_of_new_slices_through_the_script(train, segmenting, patients, tmp_path, capsys):
    scan = patients / "patient0" / "slice0.tif"
    one = tmp_path / "one"
    one.mkdir()
    (one / scan.name).write_bytes(scan.read_bytes())
    assert train("--run", segmenting, "--predict", one, "--output", tmp_path / "out") == 0
    assert "1 images marked" in (said := capsys.readouterr().out) and "not for diagnosis" in said
    mask = np.array(Image.open(tmp_path / "out" / "slice0_mask.png"))
    assert mask.shape == (48, 48) and set(np.unique(mask)) <= {0, 255}
    found = {path.name for path in (tmp_path / "out").iterdir()}
    assert found == {"slice0_mask.png", "masks.csv", "masks.png"}
    for words, line in (
        (("--output", tmp_path / "out"), "is in use; give a new folder"),
        (("--output", one / "inside"), "lies inside the scans"),
        ((), "--predict and --output: want each other"),
        (("--output", ""), "--predict and --output: want each other"),
        (("--output", tmp_path / "new", "--epochs", 3), "--epochs says nothing"),
        (("--output", tmp_path / "new", "--window", "CT=0:80"), "wants one of slice"),
    ):
        assert train("--run", segmenting, "--predict", one, *words) == 2
        assert line in (error := capsys.readouterr().err) and error.count("\n") == 1
    (one / "broken.png").write_bytes(b"no picture")
    assert train("--run", segmenting, "--predict", one, "--output", tmp_path / "new") == 2
    assert "broken.png" in capsys.readouterr().err
    assert not (tmp_path / "new").exists() and not list(tmp_path.glob(".writing*"))


def test_flags_that_say_nothing_are_refused(train, classifying, class_folders, capsys):
    picture = class_folders / "no" / "no0.png"
    for words, line in (
        (("--explain", picture, "--epochs", 9), "--explain: takes finished runs as they are, so --epochs"),
        (("--explain", picture, "--resume", "never"), "--resume"),
        (("--ensemble", classifying, classifying, "--set", "seed=3"), "--seed"),
        (("--ensemble", classifying, classifying, "--window", "slice=0:80"), "--window"),
    ):
        assert train("--run", classifying, *words) == 2
        assert line in (error := capsys.readouterr().err) and error.count("\n") == 1


def test_verdicts_are_those_of_the_detector(train, classifying, class_folders, save, tmp_path, capsys):
    folder = tmp_path / "in"
    heads = [quantise(draw_phantom(seed, size=48, lesion_probability=1.0).mri) for seed in range(3)]
    for number, head in enumerate(heads):
        save(folder / f"h{number}.png", head)
    save(folder / "blank.png", np.zeros((48, 48), np.uint8))
    save(folder / "text.png", skimage.data.text())
    assert train("--run", classifying, "--predict", folder, "--output", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "no head found in 1 of 5 pictures, which get no verdict" in said
    assert "1 pictures are unlike a head (text.png: it fills the picture" in said
    rows = {row["input"]: row for row in _rows(tmp_path / "out" / "verdicts.csv")}
    detector = load_detector(classifying)
    wanted = detector.probabilities([Picture(head) for head in heads])
    for number, chances in enumerate(wanted):
        row = rows[f"h{number}.png"]
        assert float(row["p_yes"]) == pytest.approx(chances[1], abs=1e-6)
        assert row["predicted"] == detector.classes[int(chances[1] >= detector.threshold)]
        assert float(row["threshold"]) == detector.threshold
    assert rows["blank.png"]["predicted"] == NO_HEAD and rows["blank.png"]["p_yes"] == ""
    assert rows["text.png"]["unlike"] and not rows["h0.png"]["unlike"]
    assert (tmp_path / "out" / "verdicts.png").stat().st_size > 5000


def test_a_volume_gets_one_verdict_and_its_slices(train, classifying, tmp_path, capsys):
    folder = tmp_path / "in"
    head = draw_head(3, spacing=(6.0, 4.0, 12.0))
    write_drawn(folder, head.mri, name="m", as_dicom=False)
    write_drawn(folder, head.mri, name="series", as_dicom=True)
    assert train("--run", classifying, "--predict", folder, "--output", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "the highest mean of three successive slices" in said and "show no head" in said
    rows = {row["input"]: row for row in _rows(tmp_path / "out" / "verdicts.csv")}
    slices = _rows(tmp_path / "out" / "slices.csv")
    assert set(rows) == {"m.nii.gz", "series"}
    for name, row in rows.items():
        mine = [one for one in slices if one["input"] == name]
        p = [float(one["p_yes"]) for one in mine]
        assert float(row["p_yes"]) == pytest.approx(max(np.mean(p[i : i + 3]) for i in range(len(p) - 2)), abs=1e-9)
        assert int(row["slices"]) == len(mine) < len(slices_of(head.mri))
        assert row["look_at_slice"] in {one["slice"] for one in mine}
    assert float(rows["m.nii.gz"]["p_yes"]) == pytest.approx(float(rows["series"]["p_yes"]), abs=1e-6)


@pytest.mark.parametrize("as_dicom", [True, False])
def test_hounsfield_units_want_a_window(train, classifying, segmenting, tmp_path, capsys, as_dicom):
    write_drawn(tmp_path / "in", draw_head(3, spacing=(6.0, 4.0, 16.0)).ct, name="ct", as_dicom=as_dicom)
    for run in (classifying, segmenting):
        words = ("--run", run, "--predict", tmp_path / "in", "--output", tmp_path / f"out-{run.parent.name}")
        assert train(*words) == 2
        assert "--window slice=BLACK:WHITE" in (error := capsys.readouterr().err) and error.count("\n") == 1
        assert train(*words, "--window", "slice=0:80") == 0
        assert "0 is black and 80 is white, as given" in capsys.readouterr().out


def test_a_volume_without_a_head_is_counted_and_the_others_are_judged(train, classifying, segmenting, tmp_path, capsys):
    folder = tmp_path / "in"
    write_drawn(folder, draw_head(3, spacing=(6.0, 4.0, 16.0)).mri, name="m", as_dicom=False)
    flat = np.zeros((64, 64, 4), np.float32)
    flat[3, 3, 1] = 1.0
    write_nifti(folder / "empty.nii.gz", Volume(flat, np.diag([2.0, 2.0, 4.0, 1.0])))
    assert train("--run", classifying, "--predict", folder, "--output", tmp_path / "c") == 0
    assert "empty.nii.gz: no slice shows a head" in capsys.readouterr().out
    rows = {row["input"]: row for row in _rows(tmp_path / "c" / "verdicts.csv")}
    assert rows["empty.nii.gz"]["predicted"] == NO_HEAD and rows["m.nii.gz"]["predicted"] in ("yes", "no")
    assert train("--run", segmenting, "--predict", folder, "--output", tmp_path / "s") == 0
    assert "stand for all 3 channels" in capsys.readouterr().out
    rows = {row["input"]: row for row in _rows(tmp_path / "s" / "masks.csv")}
    assert rows["empty.nii.gz"]["ml"] == "0.000"
    assert not nibabel.load(tmp_path / "s" / "empty_mask.nii.gz").get_fdata().any()


def test_uneven_slices_are_said_and_voxels_need_not_be_square(bright, tmp_path):
    shape, affine = (40, 120, 8), np.diag([3.0, 1.0, 5.0, 1.0])
    x, y, z = np.meshgrid(*(np.arange(n) for n in shape), indexing="ij")
    disc = (3 * (x - 20)) ** 2 + (y - 60) ** 2 < 50**2
    lesion = (abs(x - 24) < 4) & (abs(y - 50) < 12) & (abs(z - 6) < 2)
    voxels = np.where(lesion, 1000.0, disc * 500.0).astype(np.float32)
    heights = np.array([0, 5, 10, 15, 20, 25, 30, 45.0])
    positions = np.stack([np.zeros(8), np.zeros(8), heights], axis=1)
    volume = Volume(voxels, affine, positions)
    file = VolumeFile("v", "NIfTI", [tmp_path / "v"], lambda: ReadVolume(volume, Dataset(), ()))
    notes = mask_volumes(bright, [file], tmp_path, None)
    mask = nibabel.load(tmp_path / "v_mask.nii.gz").get_fdata() > 0
    assert f1_score(lesion.ravel(), mask.ravel()) > 0.85
    (row,) = _rows(tmp_path / "masks.csv")
    thick = np.array([5, 5, 5, 5, 5, 5, 10, 15])
    assert float(row["ml"]) == pytest.approx((mask.sum(axis=(0, 1)) * thick).sum() * 3 / 1000, abs=1e-3)
    assert any("lie unevenly" in note for note in notes)


def test_labels_and_foreign_sequences_are_no_scans(segmenting, train, tmp_path, capsys):
    folder = tmp_path / "in"
    head = draw_head(3, spacing=(6.0, 4.0, 16.0), lesion_probability=1.0)
    label = replace(head.mri, voxels=head.lesion.astype(np.float32))
    for kind in ("flair", "t1", "t1ce", "t2"):
        write_drawn(folder / "B", head.mri, name=f"B_{kind}", as_dicom=False)
    write_drawn(folder / "B", label, name="B_seg", as_dicom=False)
    write_drawn(folder / "C", head.mri, name="C_flair", as_dicom=False)
    write_drawn(folder / "C", replace(label, voxels=label.voxels * 0), name="C_flair_mask", as_dicom=False)
    assert train("--run", segmenting, "--predict", folder, "--output", tmp_path / "out") == 0
    said = capsys.readouterr().out
    assert "2 labels are no scans" in said and "1 sequences that the run did not learn from" in said
    assert "1 volumes stand for all 3 channels" in said
    assert {row["input"] for row in _rows(tmp_path / "out" / "masks.csv")} == {"B/B_flair.nii.gz", "C/C_flair.nii.gz"}


def test_masks_beside_pictures_are_no_scans(segmenting, train, patients, tmp_path, capsys):
    assert train("--run", segmenting, "--predict", patients, "--output", tmp_path / "out") == 0
    assert "12 *_mask files beside their pictures are left out" in capsys.readouterr().out
    assert len(_rows(tmp_path / "out" / "masks.csv")) == 12


def test_a_run_learns_from_volumes_and_marks_them(train, tmp_path, capsys):
    for seed in range(5):
        head = draw_head(seed, spacing=(6.0, 6.0, 16.0), lesion_probability=1.0)
        write_drawn(tmp_path / "data" / f"p{seed}", head.mri, name="m", as_dicom=False)
        label = replace(head.mri, voxels=head.lesion.astype(np.float32))
        write_drawn(tmp_path / "data" / f"p{seed}", label, name="m_mask", as_dicom=False)
    (tmp_path / "data" / "patients.csv").write_text("file,patient\np0/m,anna\np1/m,anna\n")
    run = tmp_path / "run"
    assert train("--task", "segment", "--data", tmp_path / "data", "--run", run, "--steps", 2) == 0
    assert "5 volumes with labels" in capsys.readouterr().out
    sides: dict[str, set] = {}
    for row in read_manifest(run / "manifest.csv"):
        if row.split != "skipped":
            sides.setdefault(row.path.split("/")[0], set()).add((row.split, row.group))
    assert all(len(side) == 1 for side in sides.values()) and sides["p0"] == sides["p1"]  # one person
    assert train("--run", run, "--predict", tmp_path / "data" / "p3", "--output", tmp_path / "out") == 0
    made, given = (nibabel.load(one) for one in (tmp_path / "out" / "m_mask.nii.gz", tmp_path / "data/p3/m.nii.gz"))
    assert made.shape == given.shape and np.allclose(made.affine, given.affine)


def test_the_rule_of_a_volume():
    two = np.array([0.9, 0.1, 0.1, 0.6, 0.7, 0.5, 0.2])
    chances, loudest = volume_chances(np.stack([1 - two, two], axis=1))
    np.testing.assert_allclose(chances, [0.4, 0.6])  # one loud slice alone is none
    assert loudest == 4
    few, _ = volume_chances(np.array([[0.5, 0.5], [0.1, 0.9]]))
    np.testing.assert_allclose(few, [0.3, 0.7])
    four = np.array([[0.1, 0.6, 0.2, 0.1], [0.2, 0.3, 0.4, 0.1], [0.0, 0.7, 0.3, 0.0]])
    chances, loudest = volume_chances(four)
    np.testing.assert_allclose(chances, four.mean(axis=0))
    assert loudest == 2
