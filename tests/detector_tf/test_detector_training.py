import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import train_detector
from common_tf.command_line import run_script
from common_tf.images.intensity import quantise
from common_tf.images.phantom import draw_phantom
from common_tf.images.reading import read_image
from common_tf.runs.history import read_history
from common_tf.splits.manifest import read_manifest
from detector_tf.augmentation import Augmentation
from detector_tf.batches import Batches
from detector_tf.config import make_config
from detector_tf.data import load_detector_data
from detector_tf.inference import load_detector
from detector_tf.predictions import read_predictions, verdict
from detector_tf.preprocessing import DetectorInput
from detector_tf.splits import make_splits, unleaked

REPOSITORY = Path(__file__).resolve().parents[2]
TINY = ("--image-size", "32", "--set", "filters=4", "--batch-size", "8", "--precision", "bfloat16")


@pytest.fixture(scope="module")
def class_folders(tmp_path_factory) -> Path:
    """yes/ and no/ with 24 drawn heads each; every third is there twice, once mirrored."""
    folder = tmp_path_factory.mktemp("classes")
    for label, probability in (("no", 0.0), ("yes", 1.0)):
        (folder / label).mkdir()
        for number in range(24):
            image = quantise(draw_phantom(number + 100 * int(probability), size=48, lesion_probability=probability).mri)
            Image.fromarray(image).save(folder / label / f"{label}{number}.png")
            if number % 3 == 0:
                Image.fromarray(image[:, ::-1]).save(folder / label / f"{label}{number}_mirrored.png")
    return folder


def _train(*words) -> int:
    return run_script(train_detector.main, [str(word) for word in words])


def test_folds_end_with_figures_that_add_up(class_folders, tmp_path, capsys):
    run = tmp_path / "run"
    assert _train("--data", class_folders, "--run", run, "--folds", 2, "--epochs", 2, *TINY) == 0
    printed = capsys.readouterr().out
    assert "distinct groups" in printed and "confusion matrix, rows = truth: no, yes" in printed
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["n"] == 64 and metrics["positive"] == "yes"
    for name in ("accuracy", "sensitivity", "roc_auc", "ece"):
        assert set(metrics[name]) == {"value", "low", "high", "n", "groups"}
    pooled = read_predictions(run).select(split="test")
    assert len(pooled.rows) == 64 and len({row["path"] for row in pooled.rows}) == 64
    predicted = np.array([row["predicted"] for row in pooled.rows])
    assert np.mean(predicted == [row["label"] for row in pooled.rows]) == pytest.approx(metrics["accuracy"]["value"])
    # No group is tested in two folds, nor in the fold that trained on it.
    folds = {}
    for row in pooled.rows:
        folds.setdefault(row["group"], set()).add(row["fold"])
    assert all(len(found) == 1 for found in folds.values())
    for number in range(2):
        sides = {}
        for row in read_manifest(run / f"fold-{number}" / "manifest.csv"):
            sides.setdefault(row.group, set()).add(row.split)
        assert all(len(found) == 1 for found in sides.values())
        for name in ("roc", "precision_recall", "calibration", "confusion"):
            assert (run / f"fold-{number}" / "figures" / f"{name}.png").stat().st_size > 1000
        assert (run / f"fold-{number}" / "gradcam.png").exists()
    # A finished run changes nothing when it is started again.
    before = (run / "metrics.json").read_text()
    assert _train("--data", class_folders, "--run", run, "--folds", 2, "--epochs", 2, *TINY) == 0
    assert (run / "metrics.json").read_text() == before
    # Another run on the same folds, and the mean of both.
    other = tmp_path / "other"
    words = ["--data", class_folders, "--run", other, "--folds", 2, "--epochs", 1, *TINY, "--set", "filters=6"]
    assert _train(*words) == 0
    assert _train("--run", tmp_path / "both", "--ensemble", run, other) == 0
    both = json.loads((tmp_path / "both" / "metrics.json").read_text())
    assert set(both["members"]) == {str(run), str(other)} and both["n"] == 64
    mean = (read_predictions(run).select(split="test").probabilities[0][1]) / 2
    first = read_predictions(run).select(split="test").rows[0]["path"]
    rival = next(row for row in read_predictions(other).rows if row["path"] == first and row["split"] == "test")
    joined = next(row for row in read_predictions(tmp_path / "both").rows if row["path"] == first)
    assert float(joined["p_yes"]) == pytest.approx(mean + float(rival["p_yes"]) / 2, abs=1e-5)
    assert "best member" in capsys.readouterr().out
    assert _train("--run", tmp_path / "both", "--ensemble", run, other) == 2  # the folder is in use


def test_loaded_run_predicts_what_it_predicted(class_folders, tmp_path):
    run = tmp_path / "run"
    assert _train("--data", class_folders, "--run", run, "--epochs", 2, *TINY, "--set", "clahe=maybe") == 2
    words = ["--data", class_folders, "--run", run, "--epochs", 2, *TINY, "--set", "clahe=true", "--set", "median=3"]
    assert _train(*words) == 0
    detector = load_detector(run)
    rows = read_predictions(run).select(split="test").rows
    pictures = [read_image(class_folders / row["path"]) for row in rows]
    np.testing.assert_allclose(detector.probabilities(pictures)[:, 1], [float(row["p_yes"]) for row in rows], atol=2e-4)
    assert _train("--run", run, "--explain", class_folders / rows[0]["path"]) == 0
    assert (run / "explained.png").exists()
    assert _train("--run", run, "--explain", tmp_path / "missing.png") == 2
    # The start of another run: the body is taken over, the head of another number of classes is not.
    more = tmp_path / "more"
    assert _train("--data", class_folders, "--run", more, "--epochs", 1, "--weights", run, *TINY) == 0
    assert "backbone weights from the run" in json.loads((more / "weights/best.json").read_text())["origin"]
    wrong = ["--data", class_folders, "--run", tmp_path / "x", "--backbone", "multiscale", "--weights", run, *TINY]
    assert _train(*wrong) == 2 and not (tmp_path / "x").exists()


def test_killed_and_continued_equals_uninterrupted(class_folders, tmp_path):
    def command(run):
        words = [
            "--data",
            class_folders,
            "--run",
            run,
            "--steps",
            60,
            "--save-every-steps",
            6,
            *TINY,
            "--set",
            "patience=0",
        ]
        return [sys.executable, "train_detector.py", *map(str, words), "--log-every", "1"]

    subprocess.run(command(tmp_path / "whole"), cwd=REPOSITORY, check=True, capture_output=True)
    killed = subprocess.Popen(
        command(tmp_path / "killed"), cwd=REPOSITORY, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 120
    # The second save: the first is whole, whatever the moment of the kill.
    while not (tmp_path / "killed/checkpoints/ckpt-2.index").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    assert read_history(tmp_path / "killed")[-1]["step"] < 60, "killed too late to show anything"
    subprocess.run(command(tmp_path / "killed"), cwd=REPOSITORY, check=True, capture_output=True)
    for name in ("whole", "killed"):
        assert [line["step"] for line in read_history(tmp_path / name)] == list(range(1, 61))
    whole, again = (
        tf.train.load_checkpoint(tf.train.latest_checkpoint(tmp_path / n / "checkpoints")) for n in ("whole", "killed")
    )
    names = [name for name in whole.get_variable_to_shape_map() if "seconds" not in name and "OBJECT_GRAPH" not in name]
    assert len(names) > 50
    for name in names:
        if "save_counter" not in name:
            np.testing.assert_array_equal(whole.get_tensor(name), again.get_tensor(name), err_msg=name)
    assert (tmp_path / "whole/predictions.csv").read_text() == (tmp_path / "killed/predictions.csv").read_text()


def test_a_verdict_next_to_the_threshold_is_read_back_as_it_was():
    threshold = 0.4988311431960892
    for chance in (np.nextafter(threshold, 0), threshold):
        row = verdict(("no", "yes"), np.array([1 - chance, chance]), threshold)
        assert row["predicted"] == ("yes" if chance >= threshold else "no")
        assert (float(row["p_yes"]) >= float(row["threshold"])) == (row["predicted"] == "yes")


def test_early_stopping_keeps_the_best(tmp_path):
    run = tmp_path / "run"
    words = ["--run", run, "--epochs", 30, *TINY, "--set", "phantoms=24", "--set", "patience=2"]
    assert _train(*words, "--set", "learning_rate=0") == 0
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "complete" and status["step"] < status["total_steps"]
    assert json.loads((run / "weights/best.json").read_text())["step"] == status["best_step"]


def test_as_given_reports_with_and_without_leaks(class_folders, tmp_path, capsys):
    data = tmp_path / "data"
    for label in ("no", "yes"):
        for given, numbers in (("Training", range(18)), ("Testing", range(18, 24))):
            (data / given / label).mkdir(parents=True)
            for number in numbers:
                os.link(class_folders / label / f"{label}{number}.png", data / given / label / f"{number}.png")
        os.link(class_folders / label / f"{label}3_mirrored.png", data / "Testing" / label / "leak.png")
    run = tmp_path / "run"
    assert _train("--data", data, "--run", run, "--epochs", 1, "--split", "as-given", *TINY) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["n"] == 14 and metrics["test_without_near_duplicates_of_training"]["n"] == 12
    grouped = tmp_path / "grouped"
    assert _train("--data", data, "--run", grouped, "--epochs", 1, *TINY) == 0
    assert json.loads((grouped / "metrics.json").read_text())["n"] == 12
    # Files that another run trained on can be left out, with their groups.
    capsys.readouterr()
    excluded = tmp_path / "excluded"
    words = ["--data", class_folders, "--run", excluded, "--epochs", 1, *TINY, "--exclude", run / "manifest.csv"]
    assert _train(*words) == 0
    used = [row for row in read_manifest(excluded / "manifest.csv") if row.split != "skipped"]
    trained = {row.sha256 for row in read_manifest(run / "manifest.csv") if row.split in ("train", "validation")}
    assert used and not trained & {row.sha256 for row in used}
    assert not any("3_mirrored" in row.path for row in used)  # a mirrored copy of a training file


@pytest.mark.parametrize(
    "words, line",
    [
        (["--data", "nowhere"], "no such folder"),
        (["--folds", "1"], "--folds 1"),
        (["--task", "segment", "--backbone", "small"], "--backbone small"),
        (["--weights", "imagenet"], "only for vgg16"),
        (["--weights", "nowhere"], "run folder"),
        (["--exclude", "nowhere.csv", "--data", "{classes}"], "--exclude nowhere.csv"),
        (["--folds", "40", "--data", "{classes}"], "distinct groups"),
        (["--set", "positive=maybe", "--data", "{classes}"], "no such class"),
        (["--ensemble", "nowhere"], "two or more"),
        (["--ensemble", "nowhere", "elsewhere"], "nowhere"),
    ],
)
def test_bad_input_is_one_line(words, line, class_folders, tmp_path, capsys):
    words = [word.replace("{classes}", str(class_folders)) for word in words]
    assert _train("--run", tmp_path / "run", *words) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and line in error
    assert not (tmp_path / "run").exists()


def test_unusable_files_stop_or_are_skipped(class_folders, tmp_path, capsys):
    data = tmp_path / "data"
    for label in ("no", "yes"):
        (data / label).mkdir(parents=True)
        for number in range(8):
            os.link(class_folders / label / f"{label}{number}.png", data / label / f"{number}.png")
    (data / "yes" / "text.png").write_text("no image")
    assert _train("--data", data, "--run", tmp_path / "run", "--epochs", 1, *TINY) == 2
    assert "yes/text.png: not an image" in capsys.readouterr().err
    words = ["--data", data, "--run", tmp_path / "run", "--epochs", 1, "--bad-files", "skip", *TINY]
    assert _train(*words) == 0
    skipped = [row for row in read_manifest(tmp_path / "run" / "manifest.csv") if row.split == "skipped"]
    assert [row.path for row in skipped] == ["yes/text.png"]


def test_splits_keep_groups_together(class_folders):
    config = make_config({"data": str(class_folders), "folds": 4})
    images = load_detector_data(config).images
    assert len(set(images.groups.tolist())) == 48
    tested = np.zeros(len(images.labels), int)
    for split in make_splits(images, config):
        sides = np.stack([split["train"], split["validation"], split["test"]])
        assert np.all(sides.sum(axis=0) == 1)
        np.testing.assert_array_equal(unleaked(images, split), split["test"])
        assert not set(images.groups[split["train"]]) & set(images.groups[split["validation"]])
        tested += split["test"]
        for side in sides:
            assert len(set(images.labels[side])) == 2
    assert np.all(tested == 1)


def test_augmentation_follows_from_seed_and_step():
    config = make_config({})
    images = tf.constant(np.random.default_rng(0).uniform(0.2, 0.8, (4, 32, 32, 1)).astype(np.float32))
    masks = tf.cast(images > 0.6, tf.float32)
    first, again = (Augmentation(config)(images, tf.constant(5, tf.int64), masks) for _ in range(2))
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert np.abs(Augmentation(config)(images, tf.constant(6, tf.int64)) - first[0]).max() > 0.05
    other = Augmentation(make_config({"seed": 1}))(images, tf.constant(5, tf.int64))
    assert np.abs(other - first[0]).max() > 0.05
    assert set(np.unique(first[1])) <= {0.0, 1.0}
    assert float(tf.reduce_min(first[0])) >= 0 and float(tf.reduce_max(first[0])) <= 1
    nothing = dict(flip=False, rotation=0.0, shift=0.0, zoom=0.0, contrast=0.0, noise=0.0)
    same = Augmentation(make_config(nothing))(images, tf.constant(5, tf.int64))
    np.testing.assert_array_equal(same, images)


def test_batches_see_every_image_once_an_epoch():
    batches = Batches(
        images=np.zeros((20, 4, 4), np.uint8),
        chosen=np.arange(3, 17),
        labels=np.zeros(20, int),
        channels=1,
        batch_size=4,
        seed=0,
    )
    assert batches.steps_per_epoch == 4
    seen = np.concatenate([batches.indices(step) for step in range(7)])
    assert sorted(seen[:14]) == list(range(3, 17)) and sorted(seen[14:28]) == list(range(3, 17))
    assert list(seen[:14]) != list(seen[14:28])


def test_enhancement_is_off_by_default_and_changes_only_the_head():
    config = make_config({})
    assert (config.median, config.clahe) == (0, False)
    phantom = draw_phantom(3, size=64)
    square = np.where(phantom.head, np.maximum(phantom.mri, 0.01), 0).astype(np.float32)
    plain = DetectorInput(preparation=None, size=64, median=0, clahe=False).enhance(square)
    np.testing.assert_array_equal(plain, square)
    enhanced = DetectorInput(preparation=None, size=64, median=0, clahe=True).enhance(square)
    assert np.abs(enhanced - square).max() > 0.05
    assert enhanced[0].max() == 0
