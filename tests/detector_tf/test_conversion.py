"""Finished runs of the earlier version, from one that it trained: 32 px, two filters, a median filter of 3 pixels."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from common_tf.errors import UserError
from common_tf.pictures.readers import read_picture
from common_tf.runs.config import FORMAT, read_config_file
from common_tf.splits.manifest import read_manifest
from detector_tf.config import load_detector_config, make_config
from detector_tf.conversion import convert_run
from detector_tf.inference import load_detector
from detector_tf.predictions import judge, read_predictions
from detector_tf.weights import build_started

DATA = Path(__file__).parent / "data"


@pytest.fixture
def old_run(tmp_path) -> Path:
    return Path(shutil.copytree(DATA / "old_run", tmp_path / "run"))


def _as_folds(run: Path, place: Path) -> Path:
    """A cross-validation of the earlier version, whose folds are that run."""
    content = {**yaml.safe_load((run / "config.yaml").read_text()), "folds": 2}
    for number in range(2):
        shutil.copytree(run, place / f"fold-{number}")
        (place / f"fold-{number}" / "config.yaml").write_text(yaml.safe_dump(content))
    for name in ("config.yaml", "predictions.csv", "manifest.csv"):
        shutil.copy(place / "fold-0" / name, place / name)
    return place


def test_a_converted_run_says_what_the_earlier_version_said(old_run):
    stored = {
        line.split(",")[0]: float(line.rsplit(",", 1)[1])
        for line in (old_run / "predictions.csv").read_text().splitlines()[1:]
    }
    assert len(stored) == 9 and max(stored.values()) - min(stored.values()) > 0.1
    convert_run(old_run)
    detector = load_detector(old_run)
    chances = detector.probabilities([read_picture(DATA / "old_run_pictures" / name) for name in stored])
    np.testing.assert_allclose(chances[:, 1], list(stored.values()), atol=1e-5)
    assert (detector.classes, detector.source.enhancement.median) == (("no", "yes"), 3)
    assert detector.source.preparation.reference == pytest.approx(0.88)
    assert (detector.source.preparation.low, detector.source.preparation.high) == (0, 255)


def test_predictions_of_a_converted_run_have_the_hashes_of_its_manifest(old_run):
    with pytest.raises(UserError, match="python -m detector_tf.conversion"):
        read_predictions(old_run)
    convert_run(old_run)
    hashes = {row.path: row.sha256 for row in read_manifest(old_run / "manifest.csv")}
    rows = read_predictions(old_run).rows
    assert len(rows) == 9 and all(row["sha256"] == hashes[row["path"]] and len(row["sha256"]) == 64 for row in rows)
    assert judge(read_predictions(old_run).select(split="test"))["accuracy"].n == 4


def test_the_config_is_read_either_way_and_converted_once(old_run, capsys):
    before = load_detector_config(old_run)
    with pytest.raises(UserError, match="python -m detector_tf.conversion"):
        load_detector(old_run)
    convert_run(old_run)
    assert load_detector_config(old_run) == before
    assert read_config_file(old_run / "config.yaml")["format"] == FORMAT
    assert (before.data.median, before.network.filters, before.optimisation.epochs) == (3, 2, 25)
    capsys.readouterr()
    convert_run(old_run)
    assert "today's form" in capsys.readouterr().out


def test_folds_are_converted_with_their_run(old_run, tmp_path):
    run = _as_folds(old_run, tmp_path / "folds")
    convert_run(run)
    assert load_detector_config(run).data.folds == 2
    assert load_detector(run / "fold-1").classes == ("no", "yes")
    assert read_predictions(run).groups_are == "near-duplicate groups"


def test_a_converted_run_can_be_started_from(old_run):
    convert_run(old_run)
    config = load_detector_config(old_run)
    values = {"backbone": "multiscale", "image_size": 32, "filters": 2, "weights": str(old_run)}
    started = build_started(make_config(values), classes=2, policy="float32")
    for mine, theirs in zip(started.network.get_weights(), load_detector(old_run).model.get_weights()):
        np.testing.assert_array_equal(mine, theirs)
    assert config.network.backbone == "multiscale"


def test_unfinished_or_damaged_runs_of_the_earlier_version_are_refused_by_name(old_run):
    status, archive = old_run / "status.json", old_run / "weights" / "detector.keras"
    finished = status.read_text()
    status.write_text(finished.replace("complete", "unfinished"))
    with pytest.raises(UserError, match="unfinished run of an earlier version"):
        load_detector_config(old_run)
    status.write_text("")
    with pytest.raises(UserError, match="status.json: empty or damaged"):
        load_detector_config(old_run)
    status.write_text(finished)
    archive.write_bytes(archive.read_bytes()[:999])
    with pytest.raises(UserError, match="detector.keras"):
        convert_run(old_run)
    assert "format" not in read_config_file(old_run / "config.yaml")
    config = old_run / "config.yaml"
    config.write_text(config.read_text().replace("patience:", "patienze:"))
    with pytest.raises(UserError, match="lacks patience"):
        load_detector_config(old_run)
