"""A detector that starts from another run is not tested on what that run was trained on."""

import json
import shutil
from pathlib import Path

import pytest

from common_tf.splits.manifest import ManifestRow, read_manifest, write_manifest
from detector_tf.predictions import read_predictions


@pytest.fixture(scope="module")
def first(train, class_folders, tmp_path_factory) -> Path:
    run = tmp_path_factory.mktemp("first") / "run"
    assert train("--data", class_folders, "--run", run, "--steps", 1) == 0
    return run


def _trained(run: Path) -> set[str]:
    return {row.sha256 for row in read_manifest(run / "manifest.csv") if row.split in ("train", "validation")}


def test_test_images_that_the_start_run_has_seen_are_not_used(train, class_folders, first, tmp_path, capsys):
    second = tmp_path / "second"
    words = ("--data", class_folders, "--run", second, "--steps", 1, "--seed", 3, "--weights", first)
    assert train(*words) == 0
    printed = capsys.readouterr().out
    assert "test files share a group with the training files of the start weights" in printed and "not used" in printed
    rows = read_manifest(second / "manifest.csv")
    unused = [row for row in rows if row.split == "unused"]
    tested = [row for row in rows if row.split == "test"]
    assert tested and not {row.sha256 for row in tested} & _trained(first)
    assert unused and {row.group for row in unused}.isdisjoint(row.group for row in tested)
    # Whole groups: a mirrored copy of what was seen was seen.
    seen_groups = {row.group for row in rows if row.sha256 in _trained(first)}
    assert not seen_groups & {row.group for row in tested}
    assert {row["sha256"] for row in read_predictions(second).select(split="test").rows} == {r.sha256 for r in tested}
    found = json.loads((second / "audit.json").read_text())["findings"]
    (finding,) = [one for one in found if one["topic"] == "start weights"]
    assert finding["count"] == len(unused) and set(finding["files"]) == {row.path.split("/")[-1] for row in unused}
    # The same command goes on, and what a third run starts from has seen what the first one saw.
    assert train(*words) == 0
    third = tmp_path / "third"
    assert train("--data", class_folders, "--run", third, "--steps", 1, "--seed", 4, "--weights", second) in (0, 2)
    if third.exists():
        tested = {row.sha256 for row in read_manifest(third / "manifest.csv") if row.split == "test"}
        assert not tested & (_trained(first) | _trained(second))


def test_a_start_run_that_has_seen_all_is_refused_with_the_way_out(train, class_folders, first, tmp_path, capsys):
    all_seen = shutil.copytree(first, tmp_path / "all")
    rows = [ManifestRow(**{**vars(row), "split": "train"}) for row in read_manifest(first / "manifest.csv")]
    write_manifest(all_seen / "manifest.csv", rows)
    run = tmp_path / "run"
    assert train("--data", class_folders, "--run", run, "--steps", 1, "--weights", all_seen) == 2
    error = capsys.readouterr().err
    assert f"add --exclude {all_seen}/manifest.csv" in error and error.count("\n") == 1 and not run.exists()


def test_the_way_out_works(train, class_folders, first, tmp_path):
    run = tmp_path / "run"
    words = ("--data", class_folders, "--run", run, "--steps", 1, "--weights", first)
    rows = read_manifest(first / "manifest.csv")
    kept = {row.path.split("/")[0] for row in rows if row.split == "test"}
    assert kept == {"no", "yes"}
    assert train(*words, "--exclude", first / "manifest.csv") == 0
    used = {row.sha256 for row in read_manifest(run / "manifest.csv") if row.split != "skipped"}
    assert used and not used & _trained(first)


def test_a_lost_or_blind_manifest_of_the_start_run_is_said(train, class_folders, first, tmp_path, capsys):
    lost = shutil.copytree(first, tmp_path / "lost")
    (lost / "manifest.csv").unlink()
    assert train("--data", class_folders, "--run", tmp_path / "run", "--steps", 1, "--weights", lost) == 0
    assert "manifest.csv: not there, so nobody can tell which test images" in capsys.readouterr().out
    blind = shutil.copytree(first, tmp_path / "blind")
    rows = [ManifestRow(**{**vars(row), "sha256": "", "phash": ""}) for row in read_manifest(first / "manifest.csv")]
    write_manifest(blind / "manifest.csv", rows)
    assert train("--data", class_folders, "--run", tmp_path / "other", "--steps", 1, "--weights", blind) == 2
    assert "have no hashes" in capsys.readouterr().err


def test_drawn_heads_that_the_start_run_has_seen_are_known_by_name(train, tmp_path, capsys):
    first, second = tmp_path / "first", tmp_path / "second"
    assert train("--run", first, "--steps", 1, "--set", "phantoms=40") == 0
    words = ("--run", second, "--steps", 1, "--set", "phantoms=40", "--set", "test_share=.5", "--weights", first)
    assert train(*words) == 0
    assert "share a group with the training files of the start weights" in capsys.readouterr().out
    trained = {row.path for row in read_manifest(first / "manifest.csv") if row.split in ("train", "validation")}
    rows = read_manifest(second / "manifest.csv")
    assert not trained & {row.path for row in rows if row.split == "test"}
    assert trained & {row.path for row in rows if row.split == "unused"}


def test_a_cross_validation_is_no_start(train, class_folders, tmp_path, capsys):
    (tmp_path / "folds" / "fold-0").mkdir(parents=True)
    assert train("--data", class_folders, "--run", tmp_path / "run", "--weights", tmp_path / "folds") == 2
    assert "--weights" in (error := capsys.readouterr().err) and "one of its folds" in error
