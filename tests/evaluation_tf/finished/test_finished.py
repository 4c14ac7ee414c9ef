"""Finished pictures of any program: scored through evaluate.py, against figures computed here."""

import shutil

import numpy as np
import pytest

from common_tf.pictures.head import head_mask
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.sources.dataset import open_dataset
from evaluation_tf.finished.likeness import _without_partners
from evaluation_tf.finished.sides import picture_source


@pytest.fixture(scope="module")
def heads():
    """MRI of drawn heads, 8 bits."""
    return [quantise(draw_phantom(seed, size=64).mri) for seed in range(12)]


@pytest.fixture(scope="module")
def real(heads, save, tmp_path_factory):
    """A folder of them."""
    folder = tmp_path_factory.mktemp("real")
    for number, head in enumerate(heads):
        save(folder / f"p{number}.png", head)
    return folder


def _row(table, key):
    return next(row for row in table["rows"] if row.get("key") == key)


def _said(record):
    return " ".join(record["warnings"])


def test_sets_are_compared_beside_real_and_blurred_pictures(real, save, report, tmp_path):
    """The overview that translate.py leaves is no picture, and copies of real files are named."""
    fake = tmp_path / "fake"
    for seed in range(50, 57):
        save(fake / f"h{seed}.png", quantise(draw_phantom(seed, size=64).ct))
    shutil.copy(real / "p3.png", fake / "copied.png")
    save(fake / "contact_sheet.png", np.eye(64, dtype=np.uint8) * 255)
    (fake / "synthetic.csv").write_text("file\n")
    record = report(tmp_path / "out", "--real", real, "--fake", fake)
    table = record["sections"]["distribution"]["tables"]["distribution"]
    assert [row["kind"] for row in table["rows"]] == ["result", "reference", "floor"]
    assert {row["swd"]["n"] for row in table["rows"]} == {6}
    assert _row(table, "real")["swd"]["value"] < _row(table, "fake")["swd"]["value"]
    assert "1 of 8 fake pictures are real ones, byte for byte" in _said(record)
    assert "not read" not in _said(record)
    assert "2 files have a near-duplicate under another label" in _said(record)
    assert any("nobody can tell" in warning for warning in record["warnings"])
    assert any(gap["what"] == "pictures against their truth" for gap in record["not_computed"])
    assert (tmp_path / "out" / "figures" / "finished_some.png").is_file()


def test_partners_are_compared_pixel_by_pixel(real, heads, save, report, tmp_path, random):
    """With the error that NumPy computes, whatever the endings; a fake that is its partner is said to be."""
    fake = tmp_path / "fake"
    made = [np.clip(head + random.integers(-20, 21, head.shape), 0, 255).astype(np.uint8) for head in heads]
    made[2] = heads[2]
    for number, picture in enumerate(made):
        save(fake / f"p{number}.bmp", picture)
    record = report(tmp_path / "out", "--real", real, "--fake", fake, "--paired")
    table = record["sections"]["pairs"]["tables"]["pairs_head"]
    wanted = []
    for head, picture in zip(heads, made):
        inside = head_mask(head / np.float32(255)) | head_mask(picture / np.float32(255))
        wanted.append(np.abs(head.astype(float) - picture)[inside].mean() / 255)
    assert _row(table, "fake")["mae"]["value"] == pytest.approx(np.mean(wanted), abs=1e-6)
    assert [row["key"] for row in table["rows"]] == ["fake", "black", "table", "mean", "stranger"]
    assert "1 of 12 fake pictures equal their real partner in every pixel" in _said(record)
    card = next(one for one in record["summary"] if one["title"].startswith("Are they right?"))
    assert card["verdict"] == "good"


def test_fakes_of_the_reference_are_not_compared_with_it(heads, save, tmp_path):
    """Neither partners nor near-duplicates: against its own origin a fake would be nearer than any real picture."""
    folders = {}
    for side in ("real", "fake"):
        for number, head in enumerate(heads):
            file = save(tmp_path / side / f"p{number}.png", head if side == "real" else 255 - head)
        folders[side] = file.parent
    dataset = open_dataset(picture_source(folders), keep_blank=True)
    reference = np.array([0, 3, 5])
    kept = _without_partners(dataset, reference, paired=True)
    mine = sorted(folders["fake"].iterdir())
    assert {mine[index].stem for index in kept} == {mine[index].stem for index in range(12) if index not in reference}
    copies = open_dataset(picture_source({"real": folders["real"], "fake": folders["real"]}), keep_blank=True)
    kept = _without_partners(copies, reference, paired=False)
    assert not set(kept) & set(reference) and len(kept)


def test_what_is_blank_is_left_out_and_named(real, heads, save, report, tmp_path):
    """One picture of one value does not end a report."""
    fake = tmp_path / "fake"
    for number, head in enumerate(heads):
        save(fake / f"p{number}.png", head * 0 if number == 4 else np.roll(head, 1))
    record = report(tmp_path / "out", "--real", real, "--fake", fake, "--paired")
    assert "fake/p4.png: left out, constant (every pixel is 0)" in _said(record)
    assert "1 pairs without a head on one of their sides are left out" in _said(record)
    row = _row(record["sections"]["pairs"]["tables"]["pairs_head"], "fake")
    assert row["mae"]["n"] == 11


def test_below_a_floor_is_red(real, heads, save, report, tmp_path):
    """Inverted pictures are worse than black ones."""
    fake = tmp_path / "fake"
    for number, head in enumerate(heads):
        save(fake / f"p{number}.png", np.where(head_mask(head / np.float32(255)), 255 - head // 4, 0).astype(np.uint8))
    record = report(tmp_path / "out", "--real", real, "--fake", fake, "--paired")
    card = next(one for one in record["summary"] if one["title"].startswith("Are they right?"))
    assert card["verdict"] == "bad" and "black image" in card["words"]


def test_deep_pictures_of_both_sides_share_one_scale(heads, save, report, tmp_path):
    """A side that is half as bright stays so: a scale of its own would hide it."""
    for number, head in enumerate(heads):
        deep = head.astype(np.uint16) * 16
        save(tmp_path / "real" / f"p{number}.png", deep)
        save(tmp_path / "fake" / f"p{number}.png", deep // 2)
    words = ("--real", tmp_path / "real", "--fake", tmp_path / "fake", "--paired")
    record = report(tmp_path / "out", *words)
    row = _row(record["sections"]["pairs"]["tables"]["pairs_head"], "fake")
    bright = np.mean([head[head_mask(head / np.float32(255))].mean() for head in heads]) / 255
    assert row["mae"]["value"] == pytest.approx(bright / 2, rel=0.05)
    record = report(tmp_path / "windowed", *words, "--window", "real=0:4080,fake=0:2040")
    row = _row(record["sections"]["pairs"]["tables"]["pairs_head"], "fake")
    assert row["mae"]["value"] == pytest.approx(0, abs=0.01)


def test_what_cannot_be_scored_is_one_line(real, save, heads, refused, tmp_path):
    """And no report is begun."""
    out = ("--output", tmp_path / "no")
    assert "--fake: is missing" in refused("--real", real, *out)
    assert "--real: is missing" in refused("--paired", *out)
    assert "is the folder of --fake" in refused("--real", real, "--fake", real, *out)
    assert "lies inside that of --fake" in refused("--real", real, "--fake", real.parent, *out)
    inside = refused("--real", real, "--fake", real.parent / "none", "--output", real / "report")
    assert "no such folder" in inside or "lies inside that of --real" in inside
    assert "--translator x: does not go with" in refused("--real", real, "--fake", real, "--translator", "x", *out)
    assert "no such folder" in refused("--real", real, "--fake", tmp_path / "none", *out)
    few = save(tmp_path / "few" / "p0.png", heads[0]).parent
    assert "11 images have no partner" in refused("--real", real, "--fake", few, "--paired", *out)
    deep = {side: tmp_path / f"deep {side}" for side in ("real", "fake")}
    for folder in deep.values():
        save(folder / "a.png", heads[0].astype(np.uint16) * 16)
    windowed = refused("--real", deep["real"], "--fake", deep["fake"], "--window", "real=0:4080", *out)
    assert "name black and white of both" in windowed
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no image files" in refused("--real", real, "--fake", empty, *out)
    assert not (tmp_path / "no").exists()
