import shutil

import numpy as np
import pytest
from PIL import Image

from common_tf.errors import UserError
from common_tf.images.intensity import quantise
from common_tf.images.phantom import draw_phantom
from common_tf.splits.audit import audit_lines
from common_tf.splits.manifest import read_manifest, write_manifest
from common_tf.splits.unpaired import load_unpaired


def _load(folder, **changes):
    return load_unpaired(
        folder, **{**dict(domains=("CT", "MRI"), split="grouped", bad_files="stop", seed=0), **changes}
    )


@pytest.fixture
def folder(phantom_folder, tmp_path):
    return shutil.copytree(phantom_folder, tmp_path / "data")


def _topics(files):
    return {finding.topic for finding in files.findings}


def test_clean_folders(folder):
    files = _load(folder)
    assert files.counts(("CT", "MRI"))["CT"]["test"] == 4
    assert not any(finding.severity == "leak" for finding in files.findings)
    assert {row.split for row in files.rows} == {"train", "validation", "test"}


def test_a_leak_is_found_and_mended_or_kept(folder):
    shutil.copy(folder / "trainB" / "head100.png", folder / "testB" / "leak.png")
    grouped = _load(folder)
    assert next(row for row in grouped.rows if row.path == "testB/leak.png").split != "test"
    assert any("1 of 5 test files (20%) share a slice with training" in line for line in audit_lines(grouped.findings))
    as_given = _load(folder, split="as-given")
    leak = next(finding for finding in as_given.findings if finding.severity == "leak")
    assert leak.files == ("leak.png",) and leak.topic == "leak, test"


def test_copies_and_format_shortcuts_are_found(folder):
    shutil.copy(folder / "trainB" / "head101.png", folder / "trainB" / "again.png")
    for path in list((folder / "trainB").iterdir()):
        Image.open(path).convert("RGB").save(path.with_suffix(".jpg"))
        path.unlink()
    files = _load(folder)
    assert {"shortcut, file format", "shortcut, colour mode", "copies"} <= _topics(files)


def test_a_ct_among_the_mri_is_suspected(folder):
    for seed in range(400, 440):
        phantom = draw_phantom(seed, size=64)
        Image.fromarray(quantise(phantom.ct)).save(folder / "trainA" / f"more{seed}.png")
        Image.fromarray(quantise(draw_phantom(seed + 100, size=64).mri)).save(folder / "trainB" / f"more{seed}.png")
    Image.fromarray(quantise(draw_phantom(999, size=64).ct)).save(folder / "trainB" / "stray.png")
    suspects = [finding.files for finding in _load(folder).findings if finding.topic == "looks like another label"]
    assert suspects == [("stray.png",)]


def test_wide_objects_are_noted(folder):
    wide = np.zeros((64, 64), np.float32)
    wide[20:44, 6:58] = np.random.default_rng(0).uniform(0.5, 0.9, (24, 52))
    Image.fromarray(quantise(wide)).save(folder / "trainB" / "abdomen.png")
    noted = [finding.files for finding in _load(folder).findings if finding.topic == "not an axial head"]
    assert ("abdomen.png",) in noted


def test_bad_files_stop_with_their_names_or_are_skipped(folder):
    (folder / "trainA" / "text.png").write_text("hello")
    (folder / "trainB" / "empty.jpg").touch()
    Image.new("L", (64, 64)).save(folder / "trainB" / "black.png")
    with pytest.raises(UserError) as error:
        _load(folder)
    for words in (
        "3 files",
        "trainA/text.png: not an image",
        "trainB/empty.jpg: the file is empty",
        "black.png: constant",
        "--bad-files skip",
    ):
        assert words in str(error.value)
    files = _load(folder, bad_files="skip")
    skipped = {row.path: row.note for row in files.rows if row.split == "skipped"}
    assert skipped["trainA/text.png"] == "not an image" and len(skipped) == 3
    assert any("3 unusable files, left out" in line for line in audit_lines(files.findings))


def test_blank_slices_are_left_out(folder):
    noise = np.random.default_rng(0).uniform(0, 0.02, (64, 64))
    Image.fromarray(quantise(noise)).save(folder / "trainA" / "air.png")
    files = _load(folder)
    assert next(row for row in files.rows if row.path == "trainA/air.png").split == "skipped"


def test_missing_empty_and_tiny_folders(folder, tmp_path):
    with pytest.raises(UserError, match="no folder trainA"):
        _load(tmp_path)
    shutil.rmtree(folder / "trainB")
    (folder / "trainB").mkdir()
    with pytest.raises(UserError, match="trainB: no image files"):
        _load(folder)
    shutil.copy(folder / "trainA" / "head1.png", folder / "trainB" / "one.png")
    with pytest.raises(UserError, match="1 usable image"):
        _load(folder)


def test_manifest_round_trip(folder, tmp_path):
    rows = _load(folder).rows
    write_manifest(tmp_path / "manifest.csv", rows)
    assert read_manifest(tmp_path / "manifest.csv") == rows
    for row in rows:
        assert len(row.sha256) == 64 and len(row.phash) == 16


def test_real_data_leaks_are_found(real_data):
    """The data set's README: 63 % of the test MRIs have a near-duplicate in training, exact copies, strays."""
    files = load_unpaired(
        real_data / "ct_mri_unpaired", domains=("CT", "MRI"), split="as-given", bad_files="stop", seed=0
    )
    leaks = {finding.text.split(":")[0]: finding for finding in files.findings if finding.topic == "leak, test"}
    assert leaks["MRI"].count >= 0.6 * 250
    assert leaks["CT"].count >= 0.3 * 250
    topics = _topics(files)
    assert {"shortcut, file format", "shortcut, colour mode", "shortcut, image size", "copies", "misnamed"} <= topics
    strays = next(f.files for f in files.findings if f.topic == "looks like another label" and f.text.startswith("MRI"))
    assert {"mri2385.jpg", "mri744.jpg", "mri991.jpg"} <= set(strays)  # three CT slices among the MRI
    assert not any(row.split == "skipped" for row in files.rows)
