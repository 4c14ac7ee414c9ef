"""One small evaluation from two runs on drawn heads, looked at from all sides."""

import contextlib
import csv
import io
import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

import evaluate
import train_cyclegan
import train_detector
from common_tf.command_line import run_script
from common_tf.images.intensity import quantise
from common_tf.images.phantom import draw_phantom
from common_tf.splits.manifest import read_manifest
from cyclegan_tf.inference import load_translator
from evaluation_tf.cache import ArrayCache
from evaluation_tf.slices import load_test_set

NASTY = "<script>alert(1)</script>.png"


def _quietly(main, *words) -> int:
    with contextlib.redirect_stdout(io.StringIO()):
        return run_script(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A translator and a detector, trained for a moment on drawn heads."""
    folder = tmp_path_factory.mktemp("runs")
    small = ("--data", "phantom", "--image-size", 32, "--precision", "float32")
    words = ("--steps", 3, "--set", "phantoms=24", "--set", "generator=unet", "--set", "generator_filters=4")
    words = (*words, "--set", "discriminator_filters=4")
    assert _quietly(train_cyclegan.main, "--run", folder / "translator", *small, *words) == 0
    words = ("--epochs", 2, "--set", "phantoms=60", "--set", "filters=4")
    assert _quietly(train_detector.main, "--run", folder / "detector", *small, *words) == 0
    return folder


@pytest.fixture(scope="module")
def evaluated(runs, tmp_path_factory):
    """The output folder of an evaluation of both, with a case whose name would like to be HTML."""
    cases, output = tmp_path_factory.mktemp("cases"), tmp_path_factory.mktemp("reports") / "report"
    # The name of a file cannot hold the slash of a closing tag.
    Image.fromarray(quantise(draw_phantom(7, size=48).ct)).save(cases / NASTY.replace("/", ""))
    words = ("--translator", runs / "translator", "--detector", runs / "detector", "--cases", cases, "--output", output)
    assert _quietly(evaluate.main, *words) == 0
    return output, words


def test_every_number_says_what_it_is(evaluated):
    record = json.loads((evaluated[0] / "report.json").read_text())
    wanted = (
        "distribution",
        "pairs",
        "cycle",
        "content",
        "diagnosis",
        "detection",
        "gallery",
        "document_ssim",
        "document",
    )
    assert set(wanted) <= set(record["sections"])
    numbers = 0
    for section in record["sections"].values():
        for table in section["tables"].values():
            for row in table["rows"]:
                for key, column in table["columns"].items():
                    cell = row.get(key)
                    if not cell or "text" in cell:
                        continue
                    numbers += 1
                    assert column["definition"] and isinstance(cell["n"], int), (row["name"], key)
                    if "low" in cell:
                        assert cell["interval"]
                        # Resampling adds to a calibration error: its interval may lie above it.
                        assert key == "ece" or cell["value"] is None or cell["low"] <= cell["value"] + 1e-9
    assert numbers > 150
    assert "NaN" not in (evaluated[0] / "report.json").read_text()
    for title in ("Command", "Data and splits", "Translator", "Detector", "Versions and time"):
        assert record["provenance"][title]
    assert "SHA-256" in record["provenance"]["Translator"]


def test_what_cannot_be_computed_is_named(evaluated):
    record = json.loads((evaluated[0] / "report.json").read_text())
    gaps = {gap["what"]: gap["reason"] for gap in record["not_computed"]}
    assert "inception_v3_weights" in gaps["FID and KID in InceptionV3 features"]
    assert "176x176" in gaps["MS-SSIM"]
    table = record["sections"]["distribution"]["tables"]["distribution_CT2MRI"]
    assert not any("inception" in key for key in table["columns"])
    assert "no FID" in table["columns"]["frechet_detector"]["definition"]


def test_floors_stand_beside_the_results(evaluated):
    record = json.loads((evaluated[0] / "report.json").read_text())
    rows = record["sections"]["pairs"]["tables"]["pairs_CT2MRI_head"]["rows"]
    kinds = {row["name"]: row["kind"] for row in rows}
    assert kinds["translator"] == "result"
    assert sum(kind == "floor" for kind in kinds.values()) == 5
    assert any("below" in item["words"] or "above" in item["words"] for item in record["summary"])
    assert len(record["summary"]) == 5


def test_the_page_is_one_file_and_text_stays_text(evaluated):
    page = (evaluated[0] / "report.html").read_text()
    assert "&lt;script&gt;alert(1)" in page and "<script" not in page
    assert not re.search(r'(src|href)="(?!data:image/|#)', page)
    assert "url(" not in page and "@import" not in page
    assert "Not for diagnosis" in page
    assert len(page) < 15e6
    figures = list((evaluated[0] / "figures").rglob("*.png"))
    assert page.count("<img ") == len(figures) and page.count('loading="lazy"') == len(figures)


def test_tables_are_csv(evaluated):
    record = json.loads((evaluated[0] / "report.json").read_text())
    with open(evaluated[0] / "tables" / "pairs_CT2MRI_head.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    wanted = record["sections"]["pairs"]["tables"]["pairs_CT2MRI_head"]["rows"][0]["mae"]
    mine = next(row for row in rows if row["row"] == "translator" and row["metric"] == "mae")
    assert float(mine["value"]) == wanted["value"] and int(mine["n"]) == wanted["n"]


def test_again_it_only_reads(evaluated, capsys):
    output, words = evaluated
    before = json.loads((output / "report.json").read_text())
    assert run_script(evaluate.main, [str(word) for word in words]) == 0
    after = json.loads((output / "report.json").read_text())
    assert after["sections"] == before["sections"]
    assert ", 0 made" in after["provenance"]["Versions and time"]


def test_a_detector_alone(runs, tmp_path):
    assert _quietly(evaluate.main, "--detector", runs / "detector", "--output", tmp_path / "out") == 0
    record = json.loads((tmp_path / "out" / "report.json").read_text())
    assert set(record["sections"]) == {"detection", "document"}
    stored = json.loads((runs / "detector" / "metrics.json").read_text())
    mine = record["sections"]["detection"]["tables"]["detection"]["rows"][0]
    assert mine["roc_auc"]["value"] == pytest.approx(stored["roc_auc"]["value"])
    assert mine["sensitivity"]["low"] == pytest.approx(stored["sensitivity"]["low"])


def test_a_folder_that_the_run_has_not_seen(runs, tmp_path):
    """Three slices a side: distances of features are refused with the reason, the rest still comes."""
    for number, letter in enumerate("AB"):
        (tmp_path / f"data/test{letter}").mkdir(parents=True)
        for seed in range(3):
            head = draw_phantom(900 + seed, size=40)
            pixels = quantise((head.ct, head.mri)[number])
            Image.fromarray(pixels).save(tmp_path / f"data/test{letter}/{seed}.png")
    words = ("--translator", runs / "translator", "--data", tmp_path / "data", "--output", tmp_path / "out")
    assert _quietly(evaluate.main, *words, "--extractor", runs / "detector") == 0
    record = json.loads((tmp_path / "out" / "report.json").read_text())
    assert any("want" in gap["reason"] and "images" in gap["reason"] for gap in record["not_computed"])
    table = record["sections"]["distribution"]["tables"]["distribution_CT2MRI"]
    assert all("frechet_detector" not in row for row in table["rows"])
    assert "pairs" not in record["sections"]
    assert any("not the data that the run was trained on" in warning for warning in record["warnings"])


def test_bad_input_is_one_line(runs, tmp_path, capsys):
    translator, out = ("--translator", runs / "translator"), ("--output", tmp_path / "out")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("mine")
    broken = tmp_path / "broken"
    shutil.copytree(runs / "translator", broken)
    shutil.rmtree(broken / "weights")
    for side, size in (("A", 16), ("B", 24)):
        (tmp_path / "unequal" / side).mkdir(parents=True)
        Image.fromarray(np.arange(size * size, dtype=np.uint8).reshape(size, size)).save(
            tmp_path / "unequal" / side / "0.png"
        )
    cases = (
        ((*out,), "nothing to evaluate"),
        (("--translator", tmp_path / "none", *out), "no such folder"),
        (("--translator", broken, *out), "no weights in it yet"),
        (("--detector", tmp_path / "empty", *out), "the folder of a run"),
        ((*translator, "--data", tmp_path / "none", *out), "no such folder"),
        ((*translator, "--pairs", tmp_path / "unequal", *out), "pairs must have one size"),
        ((*translator, "--inception-weights", tmp_path / "no.h5", *out), "no such file"),
        ((*translator, "--extractor", tmp_path / "empty", *out), "empty"),
        ((*translator, "--labelled", tmp_path / "empty", *out), "add --detector RUN"),
        ((*translator, "--output", tmp_path / "other"), "holds other files"),
        (("--detector", runs / "detector", "--pairs", tmp_path, *out), "add --translator RUN"),
    )
    for words, reason in cases:
        assert run_script(evaluate.main, [str(word) for word in words]) == 2, words
        complaint = capsys.readouterr().err
        assert complaint.startswith("error: ") and reason in complaint and complaint.count("\n") == 1, complaint
        assert not (tmp_path / "out" / "report.html").exists()
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["letter.txt"]


def test_training_slices_are_not_tested_on(runs, tmp_path):
    """No head that is tested was drawn for training or validation, in either domain."""
    translator = load_translator(runs / "translator")
    rows = read_manifest(runs / "translator" / "manifest.csv")
    test = load_test_set(translator, runs / "translator", "phantom", ArrayCache(tmp_path))
    for number, domain in enumerate(("CT", "MRI")):
        seeds = {int(row.path.split("/")[1]) for row in rows}
        drawn = [draw_phantom(seed, size=32) for seed in seeds]
        seen = {quantise((head.ct, head.mri)[number]).tobytes() for head in drawn}
        tested = [quantise((head.ct, head.mri)[number]).tobytes() for head in test.phantoms]
        assert len(seen) == 2 * (24 + 64) and len(tested) == len(test.slices[domain].squares) == 48
        assert not seen & set(tested)
