"""Manifests, and what a run has seen."""

import numpy as np
import pytest

from common_tf.errors import UserError
from common_tf.sources.folders import single_case
from common_tf.sources.scanning import scan_case
from common_tf.splits.manifest import (
    ManifestRow,
    manifest_row,
    manifest_text,
    read_manifest,
    with_split,
    write_manifest,
)
from common_tf.splits.seen import seen_in_training

ROW = ManifestRow('odd, "name".png', "CT", "a" * 64, "0" * 16, "00001", "", "train", "a note")


@pytest.fixture
def scans(tmp_path, heads, save):
    paths = [save(tmp_path / f"{index}.png", head.mri) for index, head in enumerate(heads[:6])]
    return [scan_case(single_case(path, tmp_path, label="MRI", given_split=""))[0] for path in paths]


def _write(path, scans, splits):
    rows = [manifest_row(scan, split=split, group=index) for index, (scan, split) in enumerate(zip(scans, splits))]
    write_manifest(path, rows)
    return path


def test_rows_come_back_as_they_were(tmp_path):
    write_manifest(tmp_path / "m.csv", [ROW])
    assert read_manifest(tmp_path / "m.csv") == [ROW]
    assert (tmp_path / "m.csv").read_text() == manifest_text([ROW])
    assert with_split([ROW], "test")[0].split == "test"


def test_bytes_and_near_duplicates_also_mirrored_ones_are_known(tmp_path, heads, save, scans):
    manifest = _write(tmp_path / "m.csv", scans, ["train", "validation", "fold2", "test", "unused", "skipped"])
    assert seen_in_training(scans, manifest, flag="--x").tolist() == [True] * 3 + [False] * 3
    changed = [
        save(tmp_path / f"changed{index}.png", np.clip(head.mri[:, :: 1 - 2 * (index % 2)] * 0.95, 0, 1))
        for index, head in enumerate(heads[:6])
    ]
    again = [scan_case(single_case(path, tmp_path, label="PD", given_split=""))[0] for path in changed]
    assert seen_in_training(again, manifest, flag="--x").tolist() == [True] * 3 + [False] * 3
    assert seen_in_training([], manifest, flag="--x").shape == (0,)


def test_many_files_are_compared_in_parts(tmp_path, scans, monkeypatch):
    monkeypatch.setattr("common_tf.splits.seen._BLOCK", 4)
    manifest = _write(tmp_path / "m.csv", scans, ["test"] * 5 + ["train"])
    assert seen_in_training(scans, manifest, flag="--x").tolist() == [False] * 5 + [True]


@pytest.mark.parametrize(
    "sha256, phash", [("", ""), ("a" * 64, ""), ("", "0" * 16), ("a" * 64, "0" * 15), ("a" * 64, "z" * 16)]
)
def test_a_manifest_without_hashes_is_refused_and_not_taken_for_unseen(tmp_path, scans, sha256, phash):
    blind = ManifestRow("P0/s0.tif", "slice", sha256, phash, "00000", "", "train")
    write_manifest(tmp_path / "m.csv", [blind])
    with pytest.raises(UserError, match=r"--exclude .*m.csv: 1 of its files have no hashes \(P0/s0.tif\)"):
        seen_in_training(scans, tmp_path / "m.csv", flag="--exclude")
    write_manifest(tmp_path / "m.csv", with_split([blind], "test"))
    assert not seen_in_training(scans, tmp_path / "m.csv", flag="--exclude").any()


def test_a_run_on_drawn_heads_has_seen_no_file(tmp_path, scans):
    write_manifest(tmp_path / "m.csv", [ManifestRow("phantom/1", "CT", "", "", "00000", "", "train", "drawn")])
    assert not seen_in_training(scans, tmp_path / "m.csv", flag="--exclude").any()


HEADER = "path,label,sha256,phash,group,given_split,split,note\n"


@pytest.mark.parametrize(
    "content",
    [
        None,
        "",
        "a,b\n1,2\n",
        HEADER + "only,two\n",
        HEADER + "1,2,3,4,5,6,7,8,9\n",
        HEADER.replace("note", "more"),
        b"\xff\xfe\0",
        HEADER.encode() + b"\xe9,,,,,,,\n",
    ],
    ids=["absent", "empty", "foreign", "cut", "long", "column", "binary", "latin-1"],
)
def test_what_is_no_manifest_is_refused(tmp_path, scans, content):
    file = tmp_path / "m.csv"
    if content is not None:
        file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(UserError, match="m.csv: not "):
        read_manifest(file)
    with pytest.raises(UserError, match="--exclude .*m.csv: not "):
        seen_in_training(scans, file, flag="--exclude")


def test_a_manifest_of_nothing_is_one(tmp_path, scans):
    write_manifest(tmp_path / "m.csv", [])
    assert read_manifest(tmp_path / "m.csv") == []
    assert not seen_in_training(scans, tmp_path / "m.csv", flag="--x").any()


def test_runs_without_inherited_rows_are_followed_by_their_configs(tmp_path):
    from common_tf.splits.seen import lineage, trained_rows

    for name, before in (("one", "none"), ("two", tmp_path / "one"), ("three", tmp_path / "two")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "config.yaml").write_text(f"format: 2\nnetwork:\n  weights: {before}\n")
        row = ManifestRow(f"{name}.png", "x", name, "", "00000", "", "train")
        write_manifest(tmp_path / name / "manifest.csv", [row])
    assert [run.name for run in lineage(tmp_path / "three")] == ["three", "two", "one"]
    assert {row.sha256 for row in trained_rows(tmp_path / "three" / "manifest.csv")} == {"one", "two", "three"}
    write_manifest(tmp_path / "three" / "inherited.csv", [])
    assert {row.sha256 for row in trained_rows(tmp_path / "three" / "manifest.csv")} == {"three"}
