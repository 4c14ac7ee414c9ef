"""One small evaluation from two runs on drawn heads, looked at from all sides."""

import csv
import json
import re
import shutil

import numpy as np
import pytest

import evaluate
from common_tf.command_line import run_script
from common_tf.metrics.classification import METRICS
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom

NASTY = "<script>alert(1)<script>.png"


@pytest.fixture(scope="module")
def evaluated(drawn_run, detector_run, report, save, tmp_path_factory):
    """Folder, report.json and words of an evaluation of both, with a case whose name would like to be HTML."""
    cases, output = tmp_path_factory.mktemp("cases"), tmp_path_factory.mktemp("reports") / "report"
    save(cases / NASTY, quantise(draw_phantom(7, size=48).ct))
    (cases / "cut.png").write_bytes((cases / NASTY).read_bytes()[:200])
    (cases / "notes.txt").write_text("not a picture")
    words = ("--translator", drawn_run, "--detector", detector_run, "--cases", cases)
    return output, report(output, *words), words


def test_every_number_says_what_it_is(evaluated):
    output, record, _ = evaluated
    wanted = (
        "gallery",
        "distribution",
        "pairs",
        "cycle",
        "content",
        "diagnosis",
        "detection",
        "cases",
        "document_ssim",
        "document",
    )
    assert list(record["sections"]) == list(wanted)
    numbers = 0
    for section in record["sections"].values():
        for table in section["tables"].values():
            keys = [row["key"] for row in table["rows"]]
            assert all(keys) and len(set(keys)) == len(keys), keys
            for row in table["rows"]:
                for key, column in table["columns"].items():
                    cell = row.get(key)
                    if not cell or "text" in cell:
                        continue
                    numbers += 1
                    assert column["definition"] and isinstance(cell["n"], int), (row["name"], key)
                    if cell["low"] is not None:
                        assert cell["interval"]
                        # Resampling adds to a calibration error: its interval may lie above it.
                        assert key == "ece" or cell["value"] is None or cell["low"] <= cell["value"] + 1e-9
    assert numbers > 150
    assert "NaN" not in (output / "report.json").read_text()
    for title in ("Command", "Data and splits", "Translator", "Detector", "Versions and time"):
        assert record["provenance"][title]
    assert "SHA-256" in record["provenance"]["Translator"]


def test_a_report_does_not_say_where_things_lie(evaluated):
    """It is handed on; a path of the machine it was made on often has a name in it."""
    output, _, words = evaluated
    place = str(words[1].parent.parent)
    for file in output.rglob("*"):
        assert not file.is_file() or place.encode() not in file.read_bytes(), file


def test_what_cannot_be_computed_is_named(evaluated):
    record = evaluated[1]
    gaps = {gap["what"]: gap["reason"] for gap in record["not_computed"]}
    assert "inception_v3_weights" in gaps["FID and KID in InceptionV3 features"]
    assert "176x176" in gaps["MS-SSIM"]
    assert "truncated" in gaps["cut.png"]
    assert any("1 other files are not read: 1 .txt" in warning for warning in record["warnings"])
    table = record["sections"]["distribution"]["tables"]["distribution_CT2MRI"]
    assert not any("inception" in key for key in table["columns"])
    assert "no FID" in table["columns"]["frechet_detector"]["definition"]


def test_floors_stand_beside_the_results(evaluated):
    record = evaluated[1]
    rows = record["sections"]["pairs"]["tables"]["pairs_CT2MRI_head"]["rows"]
    kinds = {row["key"]: row["kind"] for row in rows}
    assert kinds == {"translator": "result", **dict.fromkeys(("copy", "black", "table", "mean", "stranger"), "floor")}
    assert any("below" in item["words"] or "above" in item["words"] for item in record["summary"])
    assert len(record["summary"]) == 5


def test_a_figure_has_one_interval_wherever_it_stands(evaluated, drawn_run, detector_run):
    """In the report, in the scores that the training wrote, and in the detector's metrics.json: to the last bit."""
    record = evaluated[1]
    scores = json.loads((drawn_run / "phantom_scores.json").read_text())
    keys = {"translator": "translator", "floor: copy of the input": "copy", "floor: intensity table": "table"}
    compared = 0
    for direction, stored in scores["directions"].items():
        rows = {row["key"]: row for row in record["sections"]["pairs"]["tables"][f"pairs_{direction}_head"]["rows"]}
        for name, key in keys.items():
            for metric, cell in stored[name].items():
                mine = rows[key][metric]
                assert [mine[end] for end in ("value", "low", "high", "n", "groups")] == [
                    cell[end] for end in ("value", "low", "high", "n", "groups")
                ], (direction, name, metric)
                compared += 1
    assert compared == 18
    stored = json.loads((detector_run / "metrics.json").read_text())
    (mine, floor) = record["sections"]["detection"]["tables"]["detection"]["rows"]
    assert {name: mine[name] for name in METRICS} == {name: stored[name] for name in METRICS}
    assert floor["accuracy"] == stored["floor_accuracy_of_the_largest_class"]


def test_the_page_is_one_file_and_text_stays_text(evaluated):
    output = evaluated[0]
    page = (output / "report.html").read_text()
    assert "&lt;script&gt;alert(1)" in page and "<script" not in page
    assert not re.search(r'(src|href)="(?!data:image/|#)', page)
    assert "url(" not in page and "@import" not in page
    assert "Not for diagnosis" in page
    assert len(page) < 15e6
    figures = list((output / "figures").rglob("*.png"))
    assert page.count("<img ") == len(figures)


def test_tables_are_csv(evaluated):
    output, record, _ = evaluated
    with open(output / "tables" / "pairs_CT2MRI_head.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    wanted = record["sections"]["pairs"]["tables"]["pairs_CT2MRI_head"]["rows"][0]["mae"]
    mine = next(row for row in rows if row["row"] == "translator" and row["metric"] == "mae")
    assert float(mine["value"]) == wanted["value"] and int(mine["n"]) == wanted["n"]


def test_again_it_only_reads(evaluated, report):
    output, before, words = evaluated
    after = report(output, *words)
    assert after["sections"] == before["sections"]
    assert ", 0 made" in after["provenance"]["Versions and time"]


def test_a_detector_alone(detector_run, report, tmp_path):
    record = report(tmp_path / "out", "--detector", detector_run)
    assert set(record["sections"]) == {"detection", "document"}
    assert {gap["what"] for gap in record["not_computed"]} == {"translation"}
    assert record["sections"]["document"]["tables"]["document"]["rows"][-1]["ours"]["text"].startswith("not measured")


def test_bad_input_is_one_line(drawn_run, detector_run, save, refused, tmp_path):
    translator, detector = ("--translator", drawn_run), ("--detector", detector_run)
    out = ("--output", tmp_path / "out")
    for name in ("empty", "other"):
        (tmp_path / name).mkdir()
    (tmp_path / "other" / "letter.txt").write_text("mine")
    broken = shutil.copytree(drawn_run, tmp_path / "broken")
    shutil.rmtree(broken / "weights")
    unfinished = shutil.copytree(detector_run, tmp_path / "unfinished")
    (unfinished / "predictions.csv").unlink()
    for side, size in (("A", 16), ("B", 24)):
        save(tmp_path / "unequal" / side / "0.png", np.arange(size * size, dtype=np.uint8).reshape(size, size))
    for number in range(2):  # a portrait and a landscape
        pixels = quantise(draw_phantom(number, size=48).ct)[:, : 48 - 8 * number]
        for side in "AB":
            save(tmp_path / "mixed" / side / f"{number}.png", pixels)
    cases = (
        ((), "nothing to evaluate"),
        (("--translator", tmp_path / "none"), "no such folder"),
        (("--translator", broken), "no weights in it yet"),
        (("--detector", tmp_path / "empty"), "the folder of a run"),
        (("--detector", unfinished), "predictions.csv"),
        ((*translator, "--data", tmp_path / "none"), "no such folder"),
        ((*translator, "--data", tmp_path / "empty"), "no folder trainA"),
        ((*translator, "--pairs", tmp_path / "none"), "no such folder"),
        ((*translator, "--pairs", tmp_path / "empty"), "no pairs"),
        ((*translator, "--pairs", tmp_path / "unequal"), "must have one size"),
        ((*translator, "--pairs", tmp_path / "mixed"), "pairs must have one size, found 40x48, 48x48"),
        ((*translator, "--inception-weights", tmp_path / "no.h5"), "no such file"),
        ((*translator, "--extractor", tmp_path / "empty"), "empty"),
        ((*translator, "--labelled", tmp_path / "empty"), "add --detector RUN"),
        ((*translator, *detector, "--labelled", tmp_path / "none"), "no such folder"),
        ((*translator, "--cases", tmp_path / "none"), "no such folder"),
        ((*translator, "--cases", tmp_path / "empty"), "no pictures"),
        ((*translator, *detector, "--detector-domain", "PET"), "the run's domains are CT, MRI"),
        ((*detector, "--pairs", tmp_path), "add --translator RUN"),
        ((*detector, "--cases", tmp_path), "add --translator RUN"),
        ((*detector, "--inception-weights", "imagenet"), "--inception-weights imagenet: is for a translator"),
        ((*detector, "--detector-domain", "MRI"), "--detector-domain MRI: is for a translator"),
        ((*translator, "--detector-domain", "MRI"), "--detector-domain MRI: is for a detector"),
        ((*detector, "--register", "rigid"), "--register rigid: is for a translator"),
        ((*translator, "--pair-order", "CT,MRI"), "--pair-order CT,MRI: is for aligned pairs"),
        ((*translator, "--register", "rigid"), "--register rigid: is for aligned pairs"),
    )
    for words, reason in cases:
        complaint = refused(*words, *out)
        assert reason in complaint, complaint
        assert not (tmp_path / "out").exists()
    assert "holds other files" in refused(*translator, "--output", tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["letter.txt"]


def test_without_runs_those_that_come_with_it_are_taken(monkeypatch, tmp_path, capsys):
    asked = []
    monkeypatch.setattr("evaluation_tf.evaluation.evaluate", lambda request: asked.append(request) or tmp_path)
    evaluate.main(["--data", "DIR", "--output", str(tmp_path)])
    evaluate.main(["--data", "DIR", "--translator", "mine", "--output", str(tmp_path)])
    shipped, own = asked
    assert (shipped.translator.name, own.translator.name) == ("ct_mri_fast", "mine")
    assert (shipped.detector.name, own.detector) == ("tumour_yes_no", None)
    assert shipped.translator.is_dir() and shipped.detector.is_dir()
    assert capsys.readouterr().out.count("no run is named") == 1


def test_help_needs_no_tensorflow(capsys):
    with pytest.raises(SystemExit) as ended:
        run_script(evaluate.main, ["--help"])
    assert ended.value.code == 0 and "--detector-domain" in capsys.readouterr().out
