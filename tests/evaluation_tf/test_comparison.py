"""Two systems on one table, through the scripts' own doors."""

import contextlib
import io
import json
import shutil

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity

import evaluate
from benchmarks import compare_systems
from common_tf.command_line import run_script
from common_tf.images.intensity import quantise
from common_tf.images.pairs import read_pairs
from common_tf.images.phantom import draw_phantom

_TINY = ("generator=unet", "generator_filters=2", "discriminator_filters=2", "phantoms=8", "validation_images=4")
TINY = tuple(word for setting in _TINY for word in ("--set", setting))
MODELS = ("pix2pix", "fastcut")


def _run(main, *words) -> int:
    with contextlib.redirect_stdout(io.StringIO()):
        return run_script(main, [str(word) for word in words])


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Strips of drawn heads under train/ and test/; two slices a patient."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = ["file,patient"]
    for split, start, count in (("train", 0, 10), ("test", 50, 4)):
        (folder / split).mkdir()
        for seed in range(start, start + count):
            head = draw_phantom(seed, size=32)
            strip = [quantise(head.mri), quantise(head.ct), 255 * head.head.astype(np.uint8)]
            Image.fromarray(np.hstack(strip)).save(folder / split / f"{seed}.png")
            rows.append(f"{split}/{seed}.png,patient{seed // 2}")
    (folder / "patients.csv").write_text("\n".join(rows))
    return folder


@pytest.fixture(scope="module")
def compared(pairs, tmp_path_factory):
    """What the benchmark leaves: two runs and their report."""
    folder = tmp_path_factory.mktemp("compared")
    words = ("--runs", folder / "runs", "--output", folder / "report", "--data", pairs, "--steps", 1)
    words += ("--image-size", 32, "--models", *MODELS, *TINY)
    with contextlib.redirect_stdout(io.StringIO()):
        assert compare_systems.main([str(word) for word in words]) == 0
    return folder


def test_every_system_and_floor_on_the_same_pairs(compared, pairs):
    section = json.loads((compared / "report" / "report.json").read_text())["sections"]["comparison"]
    rows = {row["name"]: row for row in section["tables"]["compare_CT2MRI"]["rows"]}
    assert set(MODELS) < set(rows) and sum(row["kind"] == "floor" for row in rows.values()) == 3
    assert sum(row["kind"] == "document" for row in rows.values()) == 3
    for name in MODELS:
        assert rows[name]["mae"]["n"] == rows["floor: copy of the input"]["mae"]["n"] == 4
        assert rows[name]["mae"]["low"] < rows[name]["mae"]["value"] < rows[name]["mae"]["high"]
    test = read_pairs(pairs / "test", domains=("CT", "MRI"))
    copy = rows["floor: copy of the input"]
    unit = {name: images / 255.0 for name, images in test.images.items()}
    errors = [np.abs(ct - mri)[mask].mean() for ct, mri, mask in zip(unit["CT"], unit["MRI"], test.mask)]
    assert copy["mae"]["value"] == pytest.approx(np.mean(errors), rel=1e-5)
    similar = []
    for ct, mri, mask in zip(unit["CT"], unit["MRI"], test.mask):
        options = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=1.0, full=True)
        similar.append(structural_similarity(ct, mri, **options)[1][5:-5, 5:-5][mask[5:-5, 5:-5]].mean())
    assert copy["ssim"]["value"] == pytest.approx(np.mean(similar), abs=2e-3)
    assert "compare_MRI2CT" not in section["tables"]  # both are one-sided


def test_costs_are_those_of_the_runs(compared):
    section = json.loads((compared / "report" / "report.json").read_text())["sections"]["comparison"]
    for row in section["tables"]["costs"]["rows"]:
        status = json.loads((compared / "runs" / row["name"] / "status.json").read_text())
        assert row["steps"]["value"] == status["step"] == 1
        assert row["minutes"]["value"] == pytest.approx(status["seconds"] / 60)


def test_what_cannot_be_compared_is_one_line(compared, pairs, tmp_path, capsys):
    one, other = (compared / "runs" / name for name in MODELS)
    fields = shutil.copytree(other, tmp_path / "fields")
    config = (fields / "config.yaml").read_text()
    (fields / "config.yaml").write_text(config.replace("domains: CT,MRI", "domains: MRI15T,MRI3T"))
    seen = shutil.copytree(pairs / "train", tmp_path / "renamed")
    cases = (
        ((one, "--pairs", pairs), "wants two or more runs"),
        ((one, other, "--pairs", seen), "was trained on"),
        ((one, other), "give --pairs DIR"),
        ((one, fields, "--pairs", pairs), "its domains are MRI15T, MRI3T"),
        ((one, other, "--pairs", pairs, "--detector", one), "does not go with --compare"),
    )
    for words, reason in cases:
        assert _run(evaluate.main, "--compare", *words, "--output", tmp_path / "out") == 2, words
        complaint = capsys.readouterr().err
        assert reason in complaint and complaint.count("\n") == 1, complaint
        assert not (tmp_path / "out" / "report.html").exists()
