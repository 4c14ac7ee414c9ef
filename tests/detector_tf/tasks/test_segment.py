"""Whole runs of segmentation, through the script; its losses, Dice and floor by hand."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.pictures.preparation import load_preparations
from common_tf.splits.manifest import read_manifest
from detector_tf.config import make_config
from detector_tf.tasks.segment.data import Slices, load_segmentation_data, prepare_slices, with_a_lesion
from detector_tf.tasks.segment.judging import best_intensity_threshold, patient_dice
from detector_tf.tasks.task import preparations_of


def _draw(folder: Path, save, *, one=lambda patient: 255, patients: int = 4, slices: int = 3) -> Path:
    """Gray slices, every other one with a lesion, beside masks."""
    for patient in range(patients):
        for number in range(slices):
            head = draw_phantom(10 * patient + number, size=48, lesion_probability=float(number % 2 == 0))
            save(folder / f"P{patient}" / f"s{number}.png", quantise(head.mri))
            save(folder / f"P{patient}" / f"s{number}_mask.png", head.lesion.astype(np.uint8) * one(patient))
    return folder


def _prepared(config, data) -> Slices:
    return prepare_slices(config, data.dataset, preparations_of(config, data.dataset, data.splits)[0])


@pytest.mark.more
def test_folds_by_patient(train, patients, tmp_path, capsys):
    run = tmp_path / "run"
    words = ("--task", "segment", "--data", patients, "--run", run, "--folds", 2, "--epochs", 1, "--channels", 3)
    assert train(*words) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics["per_patient"]) == {f"patient{i}" for i in range(4)}
    assert metrics["dice"]["n"] == 4 and metrics["slices"] == 12
    assert metrics["dice"]["interval"] == "95 % percentile bootstrap over 4 patients"
    assert np.mean(list(metrics["per_patient"].values())) == pytest.approx(metrics["dice"]["value"])
    for name in ("floor_intensity_threshold", "floor_nothing_found", "dice_mean_over_all_slices"):
        assert {"value", "low", "high", "n", "groups"} <= set(metrics[name])
    assert (run / "segmentation.png").exists()
    assert "intensity threshold" in capsys.readouterr().out
    for number in range(2):
        sides: dict[str, set] = {}
        for row in read_manifest(run / f"fold-{number}" / "manifest.csv"):
            assert len(row.sha256) == 64 and len(row.phash) == 16
            sides.setdefault(row.path.split("/")[0], set()).add(row.split)
        assert all(len(found) == 1 for found in sides.values())
        assert list(load_preparations(run / f"fold-{number}" / "preparation.yaml")) == ["slice"]


def test_drawn_heads_and_continuation(train, tmp_path):
    run = tmp_path / "run"
    words = ("--task", "segment", "--run", run, "--set", "phantoms=16")
    assert train(*words, "--epochs", 1) == 0
    assert train(*words, "--epochs", 2) == 0
    status = json.loads((run / "status.json").read_text())
    assert status["step"] == status["total_steps"] and status["state"] == "complete"


def test_masks_of_0_and_1_are_those_of_0_and_255(save, tmp_path):
    counted = {}
    for name, ones in (("seg255", []), ("seg01", range(4)), ("mixed", [3])):
        data = _draw(tmp_path / name, save, one=lambda patient, ones=ones: 1 if patient in ones else 255)
        config = make_config({"task": "segment", "data": str(data), "image_size": 32})
        loaded = load_segmentation_data(config)
        counted[name] = with_a_lesion(_prepared(config, loaded).lesions)
    assert counted["seg255"].sum() == 8
    np.testing.assert_array_equal(counted["seg01"], counted["seg255"])
    np.testing.assert_array_equal(counted["mixed"], counted["seg255"])


def test_slices_without_a_mask_are_counted_in_the_audit(train, save, tmp_path, capsys):
    data = _draw(tmp_path / "set", save)
    (data / "P0" / "s1_mask.png").unlink()
    (data / "P1" / "s0.png").unlink()
    (data / "P2" / "notes.txt").write_text("seen")
    run = tmp_path / "run"
    assert train("--task", "segment", "--data", data, "--run", run, "--steps", 1) == 0
    audit = json.loads((run / "audit.json").read_text())["findings"]
    texts = {finding["text"] for finding in audit}
    assert "1 slices have no mask and are left out" in texts and "1 masks have no slice and are left out" in texts
    assert any("1 .txt" in text for text in texts)
    assert "P0/s1.png" in capsys.readouterr().out
    assert len(read_manifest(run / "manifest.csv")) == 10


@pytest.mark.more
def test_bad_files_and_exclusion_work_as_for_classes(train, save, tmp_path, capsys):
    data = _draw(tmp_path / "set", save, patients=8)
    (data / "P0" / "s0_mask.png").write_text("no image")
    words = ("--task", "segment", "--data", data, "--steps", 1)
    assert train(*words, "--run", tmp_path / "run") == 2
    assert "P0/s0.png: its mask s0_mask.png: not an image" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
    assert train(*words, "--run", tmp_path / "run", "--bad-files", "skip") == 0
    rows = read_manifest(tmp_path / "run" / "manifest.csv")
    assert [row.path for row in rows if row.split == "skipped"] == ["P0/s0.png"]
    # What the first run tested is all that another may use that leaves out what it was trained on.
    trained = {row.path.split("/")[0] for row in rows if row.split in ("train", "validation")}
    more = _draw(tmp_path / "more", save, patients=12)
    other = tmp_path / "other"
    exclude = ("--exclude", tmp_path / "run" / "manifest.csv", "--bad-files", "skip")
    assert train("--task", "segment", "--data", more, "--steps", 1, "--run", other, *exclude) == 0
    used = {row.path.split("/")[0] for row in read_manifest(other / "manifest.csv") if row.split != "skipped"}
    assert used and not used & trained


def test_framing_moves_slice_and_lesion_together(save, tmp_path):
    data, shares = _draw(tmp_path / "set", save), {}
    for file in data.glob("*/*.png"):  # room around the heads
        save(file, np.pad(np.asarray(Image.open(file)), 16))
    for framing in ("head", "whole"):
        config = make_config({"task": "segment", "data": str(data), "image_size": 48, "framing": framing})
        loaded = load_segmentation_data(config)
        slices = _prepared(config, loaded)
        # A lesion is brighter than what surrounds it, in its frame and nowhere else.
        gray, inside = slices.gray(np.arange(12)).astype(float), slices.lesions
        assert gray[inside].mean() > gray[~inside & slices.images.planes[0].masks].mean() + 30
        shares[framing] = inside.mean()
    assert shares["head"] > 2 * shares["whole"]


def test_channels_of_a_colour_slice_share_one_frame(save, tmp_path):
    for patient in range(3):
        head = draw_phantom(patient, size=48, lesion_probability=1.0)
        dim = np.zeros_like(head.mri)
        dim[20:28, 20:28] = 0.9  # alone it would be framed far closer
        save(tmp_path / f"P{patient}" / "s.png", np.stack([quantise(dim), quantise(head.mri), quantise(dim)], -1))
        save(tmp_path / f"P{patient}" / "s_mask.png", head.lesion.astype(np.uint8))
    given = {"task": "segment", "data": str(tmp_path), "image_size": 32, "framing": "head", "channels": 3}
    config = make_config(given)
    loaded = load_segmentation_data(config)
    planes = _prepared(config, loaded).images.planes
    assert len(planes) == 3
    np.testing.assert_array_equal(planes[0].masks, planes[1].masks)
    np.testing.assert_array_equal(planes[0].pixels, planes[2].pixels)


def test_refused_runs_are_one_line_and_leave_nothing(train, patients, save, tmp_path, capsys):
    healthy = _draw(tmp_path / "healthy", save, one=lambda patient: 0)
    flat = save(tmp_path / "flat" / "s.png", np.zeros((8, 8), np.uint8)).parent
    save(flat / "s_mask.png", np.zeros((8, 8), np.uint8))
    for data, words, line in (
        (tmp_path / "nowhere", (), "no such folder"),
        (tmp_path, (), "_mask"),
        (flat, (), "one folder a patient"),
        (patients, ("--folds", 9), "4 patients; 9 folds want as many"),
        (healthy, (), "no lesion in any training slice"),
        (patients, ("--weights", "nowhere"), "run folder"),
        (patients, ("--image-size", 40), "a multiple of 16"),
    ):
        if data == tmp_path:
            data = tmp_path / "empty"
            data.mkdir()
        assert train("--task", "segment", "--data", data, "--run", tmp_path / "run", *words) == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1 and line in error
        assert not (tmp_path / "run").exists()


@pytest.mark.more
def test_a_segmentation_run_names_no_class(train, save, tmp_path, capsys):
    data = _draw(tmp_path / "set", save)
    run = tmp_path / "run"
    assert train("--task", "segment", "--data", data, "--run", run, "--steps", 1) == 0
    for words in (("--explain", data / "P0" / "s0.png", "--run", run), ("--ensemble", run, data, "--run", run / "e")):
        assert train(*words) == 2
        error = capsys.readouterr().err
        assert "a segmentation run" in error and "cannot be explained, averaged or evaluated" in error
        assert "--predict FOLDER" in error
    # The start of another segmentation run, on other patients.
    more = _draw(tmp_path / "more", save, patients=9)
    shutil.rmtree(more / "P0")
    words = ("--task", "segment", "--data", more, "--run", tmp_path / "next", "--steps", 1, "--weights", run)
    assert train(*words) == 0
    assert "backbone weights from the run run" in capsys.readouterr().out


def test_metrics_that_are_not_defined_are_null(train, save, tmp_path):
    data = _draw(tmp_path / "set", save)
    config = make_config({"task": "segment", "data": str(data), "image_size": 32})
    loaded = load_segmentation_data(config)
    tested = {case.patient for case, side in zip(loaded.dataset.cases, loaded.splits[0]) if side == "test"}
    for patient in tested:  # nothing to find where it is tested
        for mask in (data / patient).glob("*_mask.png"):
            save(mask, np.zeros((48, 48), np.uint8))
    assert train("--task", "segment", "--data", data, "--run", tmp_path / "run", "--steps", 1) == 0
    text = (tmp_path / "run" / "metrics.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["dice_mean_over_slices_with_lesion"]["value"] is None


def test_patient_dice_pools_the_slices_of_a_patient():
    truth, found = np.zeros((3, 2, 2), bool), np.zeros((3, 2, 2), bool)
    truth[0], found[0, 0], found[1, 0, 0] = True, True, True
    values = patient_dice(found, truth, np.array(["a", "a", "b"]))
    assert values == {"a": pytest.approx(2 * 2 / (3 + 4)), "b": 1.0}


def test_intensity_floor_finds_the_best_level():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (3, 16, 16), dtype=np.uint8)
    masks = images > random.normal(180, 20, images.shape)
    best = best_intensity_threshold(images, masks)
    overlaps = [2 * ((images >= t) & masks).sum() / ((images >= t).sum() + masks.sum()) for t in range(256)]
    assert overlaps[best] == pytest.approx(max(overlaps))
