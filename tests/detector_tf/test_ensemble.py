"""Several runs together: the same pictures, told by path and hash, under the same labels."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from detector_tf.predictions import Predictions, judge, read_predictions, verdict

CLASSES = ("no", "yes")


def _member(run: Path, chances: dict, *, labels=None, digests=None, fold=lambda index: 0, threshold=0.5) -> Path:
    """The predictions of a run: by path the chance of yes."""
    rows = []
    for index, (path, chance) in enumerate(chances.items()):
        label, digest = (labels or {}).get(path, path[:-1]), (digests or {}).get(path, f"hash of {path}")
        rows.append({
            "path": path, "sha256": digest, "label": label, "group": f"{index:05d}",
            "groups_are": "near-duplicate groups", "fold": str(fold(index)), "split": "test",
            **verdict(CLASSES, np.array([1 - chance, chance]), threshold),
        })  # fmt: skip
    run.mkdir(parents=True)
    Predictions(CLASSES, rows).write(run / "predictions.csv")
    return run


FIRST = {"no1": 0.2, "no2": 0.6, "yes1": 0.7, "yes2": 0.4}
SECOND = {"no1": 0.4, "no2": 0.1, "yes1": 0.9, "yes2": 0.8}


def test_the_mean_of_two_runs(train, tmp_path, capsys):
    first, second = _member(tmp_path / "a", FIRST), _member(tmp_path / "b", {**SECOND, "yes3": 0.5}, threshold=0.7)
    assert train("--run", tmp_path / "both", "--ensemble", first, second) == 0
    metrics = json.loads((tmp_path / "both" / "metrics.json").read_text())
    assert metrics["n"] == 4 and set(metrics["members"]) == {str(first), str(second)}
    assert metrics["best_member"] == str(second) and metrics["members"][str(second)]["roc_auc"]["value"] == 1
    assert set(metrics["accuracy"]) == {"value", "low", "high", "n", "groups", "interval"}
    rows = {row["path"]: row for row in read_predictions(tmp_path / "both").rows}
    for path in FIRST:
        assert float(rows[path]["p_yes"]) == pytest.approx((FIRST[path] + SECOND[path]) / 2)
        assert float(rows[path]["threshold"]) == pytest.approx(0.6)
    assert "is not above its best member, b" in capsys.readouterr().out
    assert train("--run", tmp_path / "both", "--ensemble", first, second) == 2  # the folder is in use


def test_pictures_are_told_by_their_hash_and_not_by_their_path(train, tmp_path, capsys):
    first = _member(tmp_path / "a", FIRST)
    changed = _member(tmp_path / "b", SECOND, digests={"yes1": "another picture"})
    assert train("--run", tmp_path / "both", "--ensemble", first, changed) == 0
    assert "1 names hold other pictures in some runs and are left out: yes1" in capsys.readouterr().out
    assert {row["path"] for row in read_predictions(tmp_path / "both").rows} == {"no1", "no2", "yes2"}
    strangers = _member(tmp_path / "c", SECOND, digests={path: "other" for path in SECOND})
    assert train("--run", tmp_path / "none", "--ensemble", first, strangers) == 2
    assert "no test images in common" in (error := capsys.readouterr().err) and "4 names" in error


def test_contradicting_labels_are_refused(train, tmp_path, capsys):
    first, second = _member(tmp_path / "a", FIRST), _member(tmp_path / "b", SECOND, labels={"yes2": "no"})
    assert train("--run", tmp_path / "both", "--ensemble", first, second) == 2
    error = capsys.readouterr().err
    assert "1 images have another label there" in error and "yes2" in error and not (tmp_path / "both").exists()


def test_other_folds_and_a_run_twice_are_refused(train, tmp_path, capsys):
    first, second = _member(tmp_path / "a", FIRST), _member(tmp_path / "b", SECOND, fold=lambda index: index % 2)
    assert train("--run", tmp_path / "both", "--ensemble", first, second) == 2
    assert "2 images stand in different folds" in capsys.readouterr().err
    assert train("--run", tmp_path / "both", "--ensemble", first, f"{first}/") == 2
    assert "each once" in capsys.readouterr().err


def test_predictions_without_hashes_want_their_conversion(train, tmp_path, capsys):
    first, second = _member(tmp_path / "a", FIRST), _member(tmp_path / "b", SECOND)
    with open(second / "predictions.csv", newline="") as stream:
        rows = [{k: v for k, v in row.items() if k not in ("sha256", "groups_are")} for row in csv.DictReader(stream)]
    with open(second / "predictions.csv", "w", newline="") as stream:
        writer = csv.DictWriter(stream, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    assert train("--run", tmp_path / "both", "--ensemble", first, second) == 2
    assert f"python -m detector_tf.conversion {second}" in capsys.readouterr().err


def test_a_verdict_next_to_the_threshold_is_read_back_as_it_was():
    threshold = 0.4988311431960892
    for chance in (np.nextafter(threshold, 0), threshold):
        row = verdict(CLASSES, np.array([1 - chance, chance]), threshold)
        assert row["predicted"] == ("yes" if chance >= threshold else "no")
        assert (float(row["p_yes"]) >= float(row["threshold"])) == (row["predicted"] == "yes")


def test_figures_of_predictions_by_hand(tmp_path):
    judged = judge(read_predictions(_member(tmp_path / "a", FIRST)))
    assert judged["accuracy"].value == 0.5 and judged["accuracy"].n == judged["accuracy"].groups == 4
    assert judged["roc_auc"].value == 0.75 and judged["confusion_matrix"] == [[1, 1], [1, 1]]
    floor = judged["floor_accuracy_of_the_largest_class"]
    assert (floor.value, floor.groups) == (0.5, 4) and floor.low <= 0.5 <= floor.high
    assert (judged["positive"], judged["groups_are"]) == ("yes", "near-duplicate groups")
