"""Two systems on one table, through the scripts' own doors."""

import contextlib
import io
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity

from benchmarks import compare_systems
from common_tf.errors import UserError
from cyclegan_tf.config import make_config
from cyclegan_tf.systems import system_names
from evaluation_tf import comparison
from evaluation_tf.context import Context, Request

_TINY = ("generator=unet", "generator_filters=2", "discriminator_filters=2", "validation_images=4")
TINY = tuple(word for setting in _TINY for word in ("--set", setting))
MODELS = ("pix2pix", "fastcut")


@pytest.fixture(scope="module")
def compared(pairs, tmp_path_factory):
    """What the benchmark leaves: two runs and their report."""
    folder = tmp_path_factory.mktemp("compared")
    words = ("--runs", folder / "runs", "--output", folder / "report", "--data", pairs, "--steps", 1)
    words += ("--image-size", 32, "--models", *MODELS, *TINY, "--set", "outline_weight=5")
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert compare_systems.main([str(word) for word in words]) == 0, said.getvalue()
    return folder


def _section(output):
    return json.loads((output / "report.json").read_text())["sections"]["comparison"]


def test_every_system_and_floor_on_the_same_pairs(compared, pairs):
    section = _section(compared / "report")
    rows = {row["key"]: row for row in section["tables"]["compare_CT2MRI"]["rows"]}
    assert set(MODELS) < set(rows) and sum(row["kind"] == "floor" for row in rows.values()) == 3
    assert sum(row["kind"] == "document" for row in rows.values()) == 3
    for name in MODELS:
        assert rows[name]["mae"]["n"] == rows["copy"]["mae"]["n"] == 6
        assert rows[name]["mae"]["low"] < rows[name]["mae"]["value"] < rows[name]["mae"]["high"]
    tiles = [np.split(np.asarray(Image.open(file)), 3, axis=1) for file in sorted((pairs / "test").glob("*.png"))]
    errors = [np.abs(ct / 255 - mri / 255)[mask > 0].mean() for mri, ct, mask in tiles]
    assert rows["copy"]["mae"]["value"] == pytest.approx(np.mean(errors), rel=1e-5)
    similar = []
    for mri, ct, mask in tiles:
        options = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, full=True)
        inside = mask[5:-5, 5:-5] > 0
        similar.append(structural_similarity(ct / 255, mri / 255, **options)[1][5:-5, 5:-5][inside].mean())
    assert rows["copy"]["ssim"]["value"] == pytest.approx(np.mean(similar), abs=2e-3)
    assert "compare_MRI2CT" not in section["tables"]  # both are one-sided


def test_other_real_slices_stand_beside_the_likeness(compared, pairs):
    """As many of the training pairs; their distance is no more than that of the untranslated."""
    rows = {row["key"]: row for row in _section(compared / "report")["tables"]["compare_CT2MRI"]["rows"]}
    real, copy = rows["real"], rows["copy"]
    assert real["kind"] == "reference" and "mae" not in real
    assert real["swd"]["n"] == copy["swd"]["n"] == 6
    assert 0 < real["swd"]["value"] < copy["swd"]["value"]


def test_every_run_has_a_name_of_its_own():
    def named(*places):
        runs = [SimpleNamespace(run=Path(place), config=SimpleNamespace(model="cut")) for place in places]
        return comparison._names(runs)

    assert named("a/cut", "a/other") == ["cut", "cut (other)"]
    assert named("a/x", "b/x", "b/y") == ["cut (a/x)", "cut (b/x)", "cut (b/y)"]
    assert named("a/c/cut", "b/c/cut") == ["cut (a/c/cut)", "cut (b/c/cut)"]
    assert comparison._titles(["cut", "cut (other)"]) == ["cut", "cut (other)"]
    (cut,) = comparison._titles(["cyclegan (a_long_name_of_a_run)"])
    assert len(cut) == comparison._LONGEST_TITLE and cut.startswith("cyclegan (a_long")
    assert comparison._titles(["unit (fold1/a_long_name)", "unit (fold2/a_long_name)"]) == [
        "unit (fold1/a_long_na…",
        "unit (fold2/a_long_na…",
    ]
    same = [f"cyclegan (a_very_long_experiment_{number})" for number in range(2)]
    assert comparison._titles(same) == ["1. cyclegan", "2. cyclegan"]


def test_no_run_is_lost_of_two_that_are_called_alike(untrained, pairs, report, tmp_path):
    """Neither in the table nor in what stands of their weights."""
    for place in ("a", "b"):
        untrained(tmp_path / place / "run")
    record = report(tmp_path / "out", "--compare", tmp_path / "a" / "run", tmp_path / "b" / "run", "--pairs", pairs)
    names = [f"cyclegan ({place}/run)" for place in "ab"]
    assert [row["name"] for row in record["sections"]["comparison"]["tables"]["costs"]["rows"]] == names
    assert {f"Run {name}" for name in names} < set(record["provenance"])


def test_few_patients_carry_their_warning(compared):
    (warning, *_) = _section(compared / "report")["warnings"]
    assert warning == "the pairs are slices of 3 patients: their intervals say nothing of other patients"
    assert warning in (compared / "report" / "report.html").read_text()


def test_costs_are_those_of_the_runs(compared):
    for row in _section(compared / "report")["tables"]["costs"]["rows"]:
        status = json.loads((compared / "runs" / row["name"] / "status.json").read_text())
        assert row["steps"]["value"] == status["step"] == 1
        assert row["minutes"]["value"] == pytest.approx(status["seconds"] / 60)


def test_a_setting_goes_to_the_systems_that_have_it(compared):
    """fastcut has an outline, pix2pix sees the input itself."""
    configs = {name: (compared / "runs" / name / "config.yaml").read_text() for name in MODELS}
    assert "critic_sees_outline: true" in configs["fastcut"] and "outline_weight: 5.0" in configs["fastcut"]
    assert "outline" not in configs["pix2pix"]


def test_the_benchmark_takes_every_system_that_drawn_slices_train(tmp_path, monkeypatch):
    """As the documents type it; cyclegan3d wants volumes, and would end it."""
    trained, compared = [], []
    monkeypatch.setattr(compare_systems.train_cyclegan, "main", trained.append)
    monkeypatch.setattr(compare_systems.evaluate, "main", compared.append)
    assert compare_systems.main(["--runs", str(tmp_path / "runs"), "--output", str(tmp_path / "report")]) == 0
    values = [dict(zip(words[::2], words[1::2])) for words in trained]
    models = [given["--model"] for given in values]
    assert models == [name for name in system_names() if name != "cyclegan3d"]
    assert compared == [["--compare", *(given["--run"] for given in values), "--output", str(tmp_path / "report")]]


def test_the_benchmark_refuses_one_system_and_what_nobody_has(tmp_path, capsys):
    def run(*words):
        return compare_systems.main(["--runs", str(tmp_path), "--output", str(tmp_path / "report"), *words])

    assert run("--models", "cut") == 2
    assert "wants two or more systems" in capsys.readouterr().err
    assert run("--models", "cyclegan", "cut", "--set", "colour=red") == 2
    assert "--set colour=red: no system has it" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_compared_is_one_line(compared, pairs, refused, untrained, tmp_path):
    one, other = (compared / "runs" / name for name in MODELS)
    fields = shutil.copytree(other, tmp_path / "fields")
    config = (fields / "config.yaml").read_text()
    (fields / "config.yaml").write_text(config.replace("domains: CT,MRI", "domains: MRI15T,MRI3T"))
    preparation = (fields / "preparation.yaml").read_text()
    (fields / "preparation.yaml").write_text(preparation.replace("CT:", "MRI15T:").replace("MRI:", "MRI3T:"))
    seen = tmp_path / "reencoded"
    seen.mkdir()
    for number, file in enumerate(sorted((pairs / "train").glob("*.png"))):
        Image.open(file).save(seen / f"slice{number}.bmp")
    drawn = [untrained(tmp_path / name, phantoms=count) for name, count in (("few", 4), ("many", 5))]
    cases = (
        ((one, "--pairs", pairs), "wants two or more runs"),
        ((one, other, "--pairs", seen), "was trained on all 10 of these pairs"),
        ((one, other), "give --pairs DIR"),
        (drawn, "the runs differ in --seed, phantoms or --image-size"),
        ((one, fields, "--pairs", pairs), "its domains are MRI15T, MRI3T"),
        ((one, other, one, "--pairs", pairs), f"--compare {one}: is named twice"),
        ((one, other, "--pairs", pairs, "--detector", one), f"--detector {one}: does not go with --compare"),
        ((one, other, "--pairs", pairs, "--register", "rigid"), "--register rigid: does not go with --compare"),
        ((one, other, "--pairs", pairs, "--inception-weights", seen), f"--inception-weights {seen}: does not go"),
        ((one, other, "--pairs", pairs, "--data", pairs), f"--data {pairs}: does not go with --pairs"),
    )
    for words, reason in cases:
        complaint = refused("--compare", *words, "--output", tmp_path / "out")
        assert reason in complaint, complaint
        assert not (tmp_path / "out").exists()


def test_drawn_heads_that_no_run_has_seen_need_no_pairs(drawn_run, report, tmp_path):
    """The figures are those of the training's own scores."""
    twin = shutil.copytree(drawn_run, tmp_path / "twin")
    record = report(tmp_path / "out", "--compare", drawn_run, twin)
    rows = {row["key"]: row for row in record["sections"]["comparison"]["tables"]["compare_MRI2CT"]["rows"]}
    stored = json.loads((drawn_run / "phantom_scores.json").read_text())["directions"]["MRI2CT"]
    mine = rows["cyclegan (translator)"]
    ends = ("value", "low", "high")
    for metric, cell in stored["translator"].items():
        assert [mine[metric][end] for end in ends] == [cell[end] for end in ends]


def test_strips_are_read_as_the_runs_read_them(monkeypatch):
    def trained_on(order):
        return SimpleNamespace(config=make_config({"data": "strips", "pair_order": order}))

    drawn = SimpleNamespace(config=make_config({}))
    assert comparison._order_of([trained_on("CT,MRI"), trained_on("CT,MRI"), drawn]) == "CT,MRI"
    assert comparison._order_of([drawn]) == "MRI,CT,mask"
    with pytest.raises(UserError, match="CT,MRI.*MRI,CT"):
        comparison._order_of([trained_on("CT,MRI"), trained_on("MRI,CT")])

    class Opened(Exception):
        """Instead of pairs."""

    def opened(folder, **how):
        raise Opened(how["usual"], how["order"])

    monkeypatch.setattr("evaluation_tf.context.open_pairs", opened)
    for order in (None, "MRI,CT"):
        context = Context.__new__(Context)
        context.request = Request(output=Path("report"), pairs=Path("strips"), pair_order=order)
        context.translation = SimpleNamespace(config=trained_on("CT,MRI").config, domains=("CT", "MRI"))
        context.volume_pairs = []
        with pytest.raises(Opened) as found:
            context.pairs  # noqa: B018
        assert found.value.args == ("CT,MRI", order)
