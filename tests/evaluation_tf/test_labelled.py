"""Labelled images and named cases: judged by nobody who has seen them, and by their content."""

import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from common_tf.errors import UserError
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.pictures.picture import Picture
from common_tf.sources.classes import class_source
from common_tf.sources.scans import scan_cases
from common_tf.splits.manifest import manifest_row, write_manifest
from detector_tf.predictions import Predictions, read_predictions
from evaluation_tf.cache import ArrayCache
from evaluation_tf.images import Pictures
from evaluation_tf.panel import Panel
from evaluation_tf.parts import Section
from evaluation_tf.verdicts import labelled_question

COUNT, SEEN = 14, 3


@pytest.fixture(scope="module")
def labelled(save, tmp_path_factory):
    """healthy/ and lesion/, as the drawn detector's classes are called."""
    folder = tmp_path_factory.mktemp("labelled")
    for number, label in enumerate(("healthy", "lesion")):
        for index in range(COUNT):
            head = draw_phantom(5000 + 100 * number + index, size=48, lesion_probability=float(number))
            save(folder / label / f"{index}.png", quantise(head.mri))
    return folder


@pytest.fixture(scope="module")
def data(labelled, phantom_folder, tmp_path_factory):
    """Two domains; the MRI training has three of the labelled images, one of them mirrored."""
    folder = tmp_path_factory.mktemp("data")
    for item in phantom_folder.iterdir():
        shutil.copytree(item, folder / item.name)
    for index in range(SEEN):
        image = np.asarray(Image.open(labelled / "lesion" / f"{index}.png"))
        Image.fromarray(image[:, ::-1] if index == 1 else image).save(folder / "trainB" / f"patient{index}.png")
    return folder


@pytest.fixture(scope="module")
def run(untrained, data, tmp_path_factory):
    """A translator on both folders."""
    return untrained(tmp_path_factory.mktemp("run") / "run", data=str(data))


@pytest.fixture(scope="module")
def detector(detector_run, labelled, data, tmp_path_factory):
    """The drawn detector as if it had been tested on the labelled images and trained on the MRI test folder."""
    folder = shutil.copytree(detector_run, tmp_path_factory.mktemp("detector") / "detector")
    old = read_predictions(detector_run)
    cases = class_source(labelled).cases
    scans = [one for (one,) in scan_cases(cases, None)]
    rows = [
        {**old.rows[index % 2], "path": scan.name, "sha256": scan.sha256, "label": scan.label, "group": str(index),
         "groups_are": "near-duplicate groups", "fold": "0", "split": "test"}
        for index, scan in enumerate(scans)
    ]  # fmt: skip
    Predictions(old.classes, rows).write(folder / "predictions.csv")
    trained = [
        manifest_row(one, split="train", group=0)
        for (one,) in scan_cases(class_source(_as_classes(data, folder / "classes")).cases, None)
    ]
    write_manifest(folder / "manifest.csv", trained)
    return folder


def _as_classes(data, folder):
    for label in ("healthy", "lesion"):
        (folder / label).mkdir(parents=True)
        for file in sorted((data / "testB").iterdir())[:2]:
            shutil.copy(file, folder / label)
    return folder


def test_nobody_judges_what_was_seen_in_training(run, detector, labelled, data, report, save, tmp_path):
    cases = tmp_path / "cases"
    for number, file in enumerate(sorted((data / "trainA").iterdir())[:2]):
        save(cases / "CT" / f"mine{number}.png", np.asarray(Image.open(file)))
    save(cases / "CT" / "new.png", quantise(draw_phantom(6000, size=40).ct))
    words = ("--translator", run, "--detector", detector, "--labelled", labelled, "--cases", cases)
    record = report(tmp_path / "out", *words)
    said = " | ".join(record["warnings"])
    trained = "are (nearly) among the slices that the translator was trained on"
    assert f"{SEEN} of {2 * COUNT} labelled images {trained}" in said
    assert "2 of 4 MRI test slices are (nearly) among the images that the detector was trained on" in said
    assert f"2 of 3 CT cases {trained} (mine0.png, mine1.png)" in said
    tables = record["sections"]["diagnosis"]["tables"]
    assert {row["key"]: row["agreement"]["n"] for row in tables["flips"]["rows"]} == {"cycled": 2 * COUNT - SEEN}
    assert {row["key"]: row["positive"]["n"] for row in tables["rates"]["rows"]} == {
        "real": 2, "cycled": 2, "translated": 4,
    }  # fmt: skip
    right = {row["key"]: row for row in tables["accuracy"]["rows"]}
    assert right["real"]["accuracy"]["interval"].endswith(f"{2 * COUNT - SEEN} near-duplicate groups")
    assert [row["key"] for row in record["sections"]["cases"]["tables"]["cases_CT"]["rows"]] == [
        "mine0.png", "mine1.png", "new.png",
    ]  # fmt: skip


def test_other_files_under_the_names_of_the_detector_s_test_are_refused(run, detector, labelled, refused, tmp_path):
    other = shutil.copytree(labelled, tmp_path / "other")
    shutil.copy(labelled / "lesion" / "4.png", other / "healthy" / "2.png")
    words = ("--translator", run, "--detector", detector, "--output", tmp_path / "out", "--labelled", other)
    complaint = refused(*words)
    assert "1 files are not the ones that the detector was tested on (healthy/2.png)" in complaint
    assert not (tmp_path / "out").exists()
    rows = read_predictions(detector).rows
    panel = SimpleNamespace(run=detector, tested={row["path"]: row for row in rows})
    asked = SimpleNamespace(run=run), panel, other, "MRI", Section("diagnosis", "", "")
    (other / "healthy" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(UserError, match="1 files cannot be used .healthy/2.png: "):
        labelled_question(*asked)
    for label in ("healthy", "lesion"):
        shutil.rmtree(other / label)
    with pytest.raises(UserError, match="holds none of the images"):
        labelled_question(*asked)


def test_too_few_labelled_images_are_a_gap(run, detector, labelled, report, tmp_path):
    few = tmp_path / "few"
    for index in range(SEEN + 5):
        (few / "lesion").mkdir(parents=True, exist_ok=True)
        shutil.copy(labelled / "lesion" / f"{index}.png", few / "lesion")
    record = report(tmp_path / "out", "--translator", run, "--detector", detector, "--labelled", few)
    gaps = {gap["what"]: gap["reason"] for gap in record["not_computed"]}
    assert gaps["verdicts on labelled images"] == "only 5 of them were in no training; at least 10 are wanted"
    assert "flips" not in record["sections"]["diagnosis"]["tables"]


def test_one_fold_given_as_a_run_judges_its_own_rows(detector, tmp_path):
    """Its predictions keep the number that it has in the cross-validation."""
    run = shutil.copytree(detector, tmp_path / "fold-2")
    whole = Panel(run, ArrayCache(tmp_path / "cache"))
    old = read_predictions(run)
    Predictions(old.classes, [{**row, "fold": "2"} for row in old.rows]).write(run / "predictions.csv")
    fold = Panel(run, ArrayCache(tmp_path / "cache"))
    heads = [Picture(quantise(draw_phantom(seed, size=48).mri)) for seed in range(4)]
    pictures = Pictures(heads, "heads")
    asked = fold.judge(pictures, np.full(4, 2))
    np.testing.assert_array_equal(asked.chances, whole.judge(pictures).chances)
    assert np.isfinite(asked.chances).all()
