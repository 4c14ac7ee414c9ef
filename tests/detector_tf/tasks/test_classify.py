"""Whole runs of classification, through the script."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.splits.manifest import read_manifest
from detector_tf.predictions import read_predictions
from detector_tf.tasks.classify.training import validation_figures


def _sides(manifest: Path) -> dict[str, set]:
    """The splits in which the files of each group stand."""
    found: dict[str, set] = {}
    for row in read_manifest(manifest):
        found.setdefault(row.group, set()).add(row.split)
    return found


@pytest.mark.more
def test_folds_end_with_figures_that_add_up(train, class_folders, tmp_path, capsys):
    run = tmp_path / "run"
    words = ("--data", class_folders, "--run", run, "--folds", 2, "--epochs", 2)
    assert train(*words) == 0
    printed = capsys.readouterr().out
    assert "64 images, 48 distinct groups" in printed and "confusion matrix, rows = truth: no, yes" in printed
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["n"] == 64 and metrics["groups"] == 48 and metrics["positive"] == "yes"
    for name in ("accuracy", "sensitivity", "roc_auc", "ece", "floor_accuracy_of_the_largest_class"):
        assert {"value", "low", "high", "n", "groups", "interval"} == set(metrics[name])
        assert metrics[name]["interval"] == "95 % percentile bootstrap over 48 near-duplicate groups"
    pooled = read_predictions(run).select(split="test")
    assert len(pooled.rows) == 64 and len({row["path"] for row in pooled.rows}) == 64
    predicted = np.array([row["predicted"] for row in pooled.rows])
    assert np.mean(predicted == [row["label"] for row in pooled.rows]) == pytest.approx(metrics["accuracy"]["value"])
    hashes = {row.path: row.sha256 for row in read_manifest(run / "manifest.csv")}
    assert all(row["sha256"] == hashes[row["path"]] for row in pooled.rows)
    # No group is tested in two folds, nor in the fold that trained on it.
    assert all(len(found) == 1 and "fold" in min(found) for found in _sides(run / "manifest.csv").values())
    for number in range(2):
        fold = run / f"fold-{number}"
        assert all(len(found) == 1 for found in _sides(fold / "manifest.csv").values())
        for name in ("roc", "precision_recall", "calibration", "confusion"):
            assert (fold / "figures" / f"{name}.png").stat().st_size > 1000
        assert (fold / "gradcam.png").exists() and (fold / "environment.json").exists()
        assert json.loads((fold / "status.json").read_text())["state"] == "complete"
    # A finished run changes nothing when it is started again.
    before = (run / "metrics.json").read_text(), (run / "predictions.csv").read_text()
    assert train(*words) == 0
    assert ((run / "metrics.json").read_text(), (run / "predictions.csv").read_text()) == before


@pytest.mark.more
def test_as_given_reports_with_and_without_leaks(train, class_folders, tmp_path, capsys):
    data = tmp_path / "data"
    for label in ("no", "yes"):
        for given, numbers in (("Training", range(18)), ("Testing", range(18, 24))):
            (data / given / label).mkdir(parents=True)
            for number in numbers:
                os.link(class_folders / label / f"{label}{number}.png", data / given / label / f"{number}.png")
        os.link(class_folders / label / f"{label}3_mirrored.png", data / "Testing" / label / "leak.png")
    run = tmp_path / "run"
    assert train("--data", data, "--run", run, "--epochs", 1, "--split", "as-given") == 0
    assert "test: 14 images as given, 12 without a near-duplicate in training" in capsys.readouterr().out
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["n"] == 14 and metrics["test_without_near_duplicates_of_training"]["n"] == 12
    grouped = tmp_path / "grouped"
    assert train("--data", data, "--run", grouped, "--epochs", 1) == 0
    assert json.loads((grouped / "metrics.json").read_text())["n"] == 12
    unused = [row.path for row in read_manifest(grouped / "manifest.csv") if row.split == "unused"]
    assert unused == ["Testing/no/leak.png", "Testing/yes/leak.png"]
    assert (
        "share a slice with training in the folders as given; left out: Testing/no/leak.png" in capsys.readouterr().out
    )
    # Files that another run trained on can be left out, with their groups.
    excluded = tmp_path / "excluded"
    words = ("--data", class_folders, "--run", excluded, "--epochs", 1, "--exclude", run / "manifest.csv")
    assert train(*words) == 0
    used = [row for row in read_manifest(excluded / "manifest.csv") if row.split != "skipped"]
    trained = {row.sha256 for row in read_manifest(run / "manifest.csv") if row.split in ("train", "validation")}
    assert used and not trained & {row.sha256 for row in used}
    assert not any("3_mirrored" in row.path for row in used)  # a mirrored copy of a training file


def test_a_validation_folder_is_used_as_it_is(train, class_folders, tmp_path):
    data = tmp_path / "data"
    for label in ("no", "yes"):
        for given, numbers in (("train", range(12)), ("valid", range(12, 16)), ("test", range(16, 20))):
            (data / given / label).mkdir(parents=True)
            for number in numbers:
                os.link(class_folders / label / f"{label}{number}.png", data / given / label / f"{number}.png")
    assert train("--data", data, "--run", tmp_path / "run", "--steps", 1) == 0
    rows = read_manifest(tmp_path / "run" / "manifest.csv")
    assert {row.path.split("/")[0]: row.split for row in rows} == {
        "train": "train", "valid": "validation", "test": "test",
    }  # fmt: skip
    assert len(read_predictions(tmp_path / "run").select(split="validation").rows) == 8


@pytest.mark.more
def test_patients_of_a_table_stand_on_one_side(train, save, tmp_path, capsys):
    data, rows = tmp_path / "set", ["file,patient"]
    for patient in range(8):
        label = "yes" if patient % 2 else "no"
        for number in range(3):
            head = draw_phantom(100 * patient + number, size=48, lesion_probability=float(patient % 2))
            name = f"{label}/P{patient:02d}_{number:02d}.png"
            save(data / name, quantise(head.mri))
            rows.append(f"{name},P{patient:02d}")
    assert train("--data", data, "--run", tmp_path / "warned", "--steps", 1) == 0
    assert "file names look like 8 patients" in capsys.readouterr().out
    (data / "patients.csv").write_text("\n".join(rows) + "\n")
    run = tmp_path / "run"
    assert train("--data", data, "--run", run, "--folds", 2, "--steps", 1) == 0
    printed = capsys.readouterr().out
    assert "24 images, 8 patients" in printed and "look like" not in printed
    for fold in (run / "fold-0", run / "fold-1"):
        sides: dict[str, set] = {}
        for row in read_manifest(fold / "manifest.csv"):
            sides.setdefault(Path(row.path).name[:3], set()).add(row.split)
        assert len(sides) == 8 and all(len(found) == 1 for found in sides.values())
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["accuracy"]["interval"].endswith("over 8 patients") and metrics["groups_are"] == "patients"


def test_class_folders_that_differ_are_refused_by_name(train, save, tmp_path, capsys):
    seed = 0
    for side, classes in (("Training", ("glioma", "notumor", "pituitary")), ("Testing", ("glioma", "no_tumor"))):
        for name in classes:
            for number in range(5):
                seed += 1
                head = draw_phantom(seed, size=48, lesion_probability=float("tumor" not in name))
                save(tmp_path / "set" / side / name / f"{number}.png", quantise(head.mri))
    assert train("--data", tmp_path / "set", "--run", tmp_path / "run") == 2
    error = capsys.readouterr().err
    assert "Testing/ has no_tumor, which Training/ has not; Training/ has notumor, pituitary" in error
    assert "folds" not in error and not (tmp_path / "run").exists()
    shutil.rmtree(tmp_path / "set" / "Testing" / "no_tumor")
    assert train("--data", tmp_path / "set", "--run", tmp_path / "run", "--steps", 1) == 0
    assert "2 of 3 classes have no images in Testing/" in capsys.readouterr().out
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["n"] == 5 and metrics["balanced_accuracy"]["value"] is None


def test_unusable_files_stop_or_are_skipped(train, class_folders, tmp_path, capsys):
    data = tmp_path / "data"
    for label in ("no", "yes"):
        (data / label).mkdir(parents=True)
        for number in range(8):
            os.link(class_folders / label / f"{label}{number}.png", data / label / f"{number}.png")
    (data / "yes" / "text.png").write_text("no image")
    assert train("--data", data, "--run", tmp_path / "run", "--epochs", 1) == 2
    assert "yes/text.png: not an image" in capsys.readouterr().err and not (tmp_path / "run").exists()
    assert train("--data", data, "--run", tmp_path / "run", "--epochs", 1, "--bad-files", "skip") == 0
    skipped = [row for row in read_manifest(tmp_path / "run" / "manifest.csv") if row.split == "skipped"]
    assert [row.path for row in skipped] == ["yes/text.png"]


def test_names_with_dollars_are_titles_and_no_formulas(train, class_folders, tmp_path):
    data = tmp_path / "data"
    for label in ("n$_$o", "tumor"):
        (data / label).mkdir(parents=True)
        for number in range(4):
            source = class_folders / ("yes" if label == "tumor" else "no")
            os.link(source / f"{source.name}{number}.png", data / label / f"a$_$b{number}.png")
    assert train("--data", data, "--run", tmp_path / "run", "--steps", 1) == 0
    assert (tmp_path / "run" / "gradcam.png").exists() and (tmp_path / "run" / "figures" / "roc.png").exists()


def test_deep_files_of_one_set_share_a_scale(train, save, tmp_path):
    """12 bits in 16 train like 8 bits: the preparation has the set's white."""
    for number in range(12):
        for label in ("no", "yes"):
            head = draw_phantom(number + 50 * (label == "yes"), size=48, lesion_probability=float(label == "yes"))
            save(tmp_path / "set" / label / f"{number}.png", np.round(head.mri * 4000).astype(np.uint16))
    assert train("--data", tmp_path / "set", "--run", tmp_path / "run", "--steps", 1) == 0
    record = json.loads((tmp_path / "run" / "detector.json").read_text())["input"]["preparation"]
    assert (record["depth"], record["low"], record["high"]) == (16, 0, 4095)
    words = ("--data", tmp_path / "set", "--run", tmp_path / "window", "--steps", 1, "--window", "slice=100:2000")
    assert train(*words) == 0
    record = json.loads((tmp_path / "window" / "detector.json").read_text())["input"]["preparation"]
    assert (record["depth"], record["low"], record["high"]) == (0, 100, 2000)


def test_what_cannot_be_prepared_or_tuned_is_refused_before_anything_is_written(train, save, tmp_path, capsys):
    for number in range(12):
        for label in ("no", "yes"):
            head = draw_phantom(number + 50 * (label == "yes"), size=48, lesion_probability=float(label == "yes"))
            save(tmp_path / "set" / label / f"{number}.png", np.round(32768 + head.mri * 3000).astype(np.uint16))
    words = ("--data", tmp_path / "set", "--run", tmp_path / "run", "--steps", 1)
    assert train(*words) == 2
    error = capsys.readouterr().err
    assert "--window slice=" in error and error.count("\n") == 1 and not (tmp_path / "run").exists()
    assert train(*words, "--window", "slice=32768:35768") == 0
    started = (*words[:2], "--run", tmp_path / "next", "--window", "slice=32768:35768", "--weights", tmp_path / "run")
    assert train(*started, "--seed", 5, "--set", "fine_tune_from=nowhere") == 2
    assert "fine_tune_from=nowhere: no such layer" in capsys.readouterr().err and not (tmp_path / "next").exists()


def test_validation_figures_by_hand():
    truth = np.array([0, 0, 1, 1])
    chances = np.array([0.1, 0.6, 0.4, 0.9])
    figures = validation_figures(truth, np.stack([1 - chances, chances], axis=1))
    entropy = -np.mean(np.log([0.9, 0.4, 0.4, 0.9]))
    assert figures["roc_auc"] == 0.75 and figures["cross_entropy"] == pytest.approx(entropy)
    assert figures["score"] == pytest.approx(0.25 + 0.2 * entropy)
