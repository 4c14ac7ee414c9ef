import os
import shutil

import numpy as np
import pytest
from PIL import Image

from common_tf.errors import UserError
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.sources.dataset import open_dataset, split_lines
from common_tf.sources.folders import folder_source, is_two_domains
from common_tf.splits.assignment import assign_splits
from common_tf.splits.finding import audit_lines
from common_tf.splits.manifest import read_manifest, write_manifest


class _Opened:
    """A data set with its splits, as a training opens it."""

    def __init__(self, folder, split="grouped", **options):
        self.dataset = open_dataset(folder_source(folder, domains=("CT", "MRI")), **options)
        labels = [case.labels[0] for case in self.dataset.cases]
        splits = assign_splits(labels, self.dataset.given, self.dataset.groups, policy=split, seed=0)
        self.rows, self.findings = self.dataset.rows(splits), self.dataset.audited(splits)
        self.counts = self.dataset.counts(splits, ("CT", "MRI"))
        self.lines = audit_lines(self.findings)

    def topics(self):
        return {finding.topic for finding in self.findings}

    def files(self, topic):
        return [finding.files for finding in self.findings if finding.topic == topic]


@pytest.fixture
def folder(phantom_folder, tmp_path):
    return shutil.copytree(phantom_folder, tmp_path / "data")


def test_clean_folders(folder):
    opened = _Opened(folder)
    assert opened.counts["CT"] == {"train": 10, "validation": 2, "test": 4}
    assert split_lines(opened.counts)[0].split() == ["CT", "10", "train,", "2", "validation,", "4", "test"]
    assert not any(finding.severity != "note" for finding in opened.findings)
    assert {row.split for row in opened.rows} == {"train", "validation", "test"}


def test_a_leak_is_found_and_mended_or_kept(folder):
    shutil.copy(folder / "trainB" / "head100.png", folder / "testB" / "leak.png")
    grouped = _Opened(folder)
    assert next(row for row in grouped.rows if row.path == "testB/leak.png").split != "test"
    assert any("1 of 5 test files (20%) share a slice with training" in line for line in grouped.lines)
    as_given = _Opened(folder, split="as-given")
    leak = next(finding for finding in as_given.findings if finding.severity == "leak")
    assert leak.files == ("leak.png",) and leak.topic == "leak, test"
    assert as_given.findings[0] is leak  # the worst first


def test_copies_and_format_shortcuts_are_found(folder):
    shutil.copy(folder / "trainB" / "head101.png", folder / "trainB" / "again.png")
    for path in list((folder / "trainB").iterdir()):
        Image.open(path).convert("RGB").save(path.with_suffix(".jpg"))
        path.unlink()
    assert {"shortcut, file format", "shortcut, colour mode", "copies"} <= _Opened(folder).topics()


def test_a_ct_among_the_mri_is_suspected(folder):
    for seed in range(400, 440):
        phantom = draw_phantom(seed, size=64)
        Image.fromarray(quantise(phantom.ct)).save(folder / "trainA" / f"more{seed}.png")
        Image.fromarray(quantise(draw_phantom(seed + 100, size=64).mri)).save(folder / "trainB" / f"more{seed}.png")
    Image.fromarray(quantise(draw_phantom(999, size=64).ct)).save(folder / "trainB" / "stray.png")
    assert _Opened(folder).files("looks like another label") == [("stray.png",)]


def test_wide_objects_are_noted(folder):
    wide = np.zeros((64, 64), np.float32)
    wide[20:44, 6:58] = np.random.default_rng(0).uniform(0.5, 0.9, (24, 52))
    Image.fromarray(quantise(wide)).save(folder / "trainB" / "abdomen.png")
    assert ("abdomen.png",) in _Opened(folder).files("not an axial head")


def test_bad_files_stop_with_their_names_or_are_skipped(folder):
    (folder / "trainA" / "text.png").write_text("hello")
    (folder / "trainB" / "empty.jpg").touch()
    Image.new("L", (64, 64)).save(folder / "trainB" / "black.png")
    (folder / "trainB" / "gone.png").symlink_to(folder / "nowhere.png")
    with pytest.raises(UserError) as error:
        _Opened(folder)
    for words in (
        "4 files",
        "trainA/text.png: not an image",
        "trainB/empty.jpg: the file is empty",
        "black.png: constant",
        "gone.png: cannot be read (No such file",
        "--bad-files skip",
    ):
        assert words in str(error.value)
    opened = _Opened(folder, bad_files="skip")
    skipped = {row.path: row.note for row in opened.rows if row.split == "skipped"}
    assert skipped["trainA/text.png"].startswith("not an image") and len(skipped) == 4
    assert any("4 unusable files, left out" in line for line in opened.lines)


def test_a_name_that_is_no_text_is_refused_by_what_can_be_printed(folder, tmp_path):
    odd = os.fsencode(folder / "trainA") + b"/t\xeate 1.png"
    shutil.copy(folder / "trainA" / "head1.png", odd)
    with pytest.raises(UserError, match=r"trainA/t\?te 1.png: its name is not valid UTF-8; rename it"):
        _Opened(folder)
    opened = _Opened(folder, bad_files="skip")
    write_manifest(tmp_path / "manifest.csv", opened.rows)
    assert "\n".join(opened.lines).encode()
    assert [row.path for row in read_manifest(tmp_path / "manifest.csv") if row.split == "skipped"] == [
        "trainA/t?te 1.png"
    ]


def test_blank_slices_are_left_out(folder):
    noise = np.random.default_rng(0).uniform(0, 0.02, (64, 64))
    Image.fromarray(quantise(noise)).save(folder / "trainA" / "air.png")
    opened = _Opened(folder)
    assert next(row for row in opened.rows if row.path == "trainA/air.png").split == "skipped"
    assert any("1 blank slices, left out: trainA/air.png" in line for line in opened.lines)


def test_sub_folders_and_other_formats_are_read_and_the_rest_is_counted(folder):
    for letter in "AB":
        place = folder / f"train{letter}"
        for index, path in enumerate(sorted(place.iterdir())):
            ending = (".tif", ".bmp", ".png")[index % 3]
            (place / "series 1" / "deep").mkdir(parents=True, exist_ok=True)
            target = place / ("series 1/deep" if index % 2 else "series 1") / f"{path.stem}{ending}"
            Image.open(path).save(target)
            path.unlink()
    for name in ("a.dcm", "b.dcm", "series 1/notes.txt", "LICENSE"):
        (folder / "trainA" / name).touch()
    (folder / "trainA" / ".hidden").mkdir()
    (folder / "trainA" / ".hidden" / "x.png").touch()
    (folder / "trainA" / ".DS_Store").touch()
    opened = _Opened(folder)
    assert opened.counts["CT"]["train"] == 10
    assert any("CT: 4 other files are not read: 2 .dcm, 1 without an ending, 1 .txt" in line for line in opened.lines)
    assert not any("MRI" in line and "not read" in line for line in opened.lines)


def test_folders_and_files_beside_the_data_are_named(folder):
    (folder / "valid").mkdir()
    shutil.copy(folder / "trainA" / "head1.png", folder / "loose.png")
    lines = "\n".join(_Opened(folder).lines)
    assert (
        "1 folders are not read: valid" in lines and "1 image files beside the folders are not read: loose.png" in lines
    )


def test_folders_of_validation_count_as_such(folder):
    (folder / "testA").rename(folder / "valA")
    opened = _Opened(folder)
    assert opened.counts["CT"]["validation"] == 4


def test_a_link_to_a_folder_above_does_not_go_round(folder):
    (folder / "trainA" / "round").symlink_to(folder / "trainA")
    assert _Opened(folder).counts["CT"]["train"] == 10


def test_missing_and_empty_folders(folder, tmp_path):
    assert is_two_domains(folder) and not is_two_domains(tmp_path)
    with pytest.raises(UserError, match="no folder trainA"):
        folder_source(tmp_path, domains=("CT", "MRI"))
    with pytest.raises(UserError, match="absent: no such folder"):
        folder_source(tmp_path / "absent", domains=("CT", "MRI"))
    shutil.rmtree(folder / "trainB")
    (folder / "trainB").mkdir()
    (folder / "trainB" / "a.dcm").touch()
    with pytest.raises(UserError, match="trainB: no image files .* but 1 .dcm"):
        folder_source(folder, domains=("CT", "MRI"))


def test_deep_files_with_an_offset_are_grouped_and_want_a_window(folder):
    """Signed values stored with 32768 added: the scan finds the heads, the preparation asks for black and white."""
    for path in (folder / "trainA").iterdir():
        pixels = np.asarray(Image.open(path)).astype(np.uint16) * 12 + 31744
        Image.fromarray(pixels).save(path)
    opened = _Opened(folder)
    assert not any("blank" in line for line in opened.lines)
    chosen = [index for index, case in enumerate(opened.dataset.cases) if "CT" in case.files]
    with pytest.raises(UserError, match="CT: .*--window CT=31744:"):
        opened.dataset.preparation("CT", chosen, framing="head")
    window = opened.dataset.preparation("CT", chosen, framing="head", window=(31744, 34804))
    assert (window.low, window.high, window.depth) == (31744, 34804, 0)


def test_a_deep_copy_of_a_slice_is_its_near_duplicate(folder):
    source = np.asarray(Image.open(folder / "trainA" / "head1.png"))
    for name, deep in (("twelve", source.astype(np.uint16) * 16), ("offset", source.astype(np.uint16) * 12 + 31744)):
        Image.fromarray(deep).save(folder / "testA" / f"{name}.png")
    dataset = _Opened(folder).dataset
    groups = {case.name: group for case, group in zip(dataset.cases, dataset.groups)}
    assert groups["trainA/head1.png"] == groups["testA/twelve.png"] == groups["testA/offset.png"]


def test_the_scale_of_deep_files_is_that_of_the_whole_set(folder):
    """A test slice may be brighter than every training slice: it must be neither clipped nor refused."""
    for path in sorted((folder / "trainA").iterdir()) + sorted((folder / "testA").iterdir()):
        scale = 8 if path.parent.name == "trainA" else 16
        Image.fromarray(np.asarray(Image.open(path)).astype(np.uint16) * scale).save(path)
    dataset = _Opened(folder).dataset
    training = [i for i, case in enumerate(dataset.cases) if case.name.startswith("trainA")]
    assert dataset.preparation("CT", training, framing="whole").high == 4095
    mixed = _Opened(folder).dataset.preparation("MRI", training, framing="whole")
    assert (mixed.depth, mixed.high) == (8, 255)


def test_manifest_round_trip(folder, tmp_path):
    rows = _Opened(folder).rows
    write_manifest(tmp_path / "manifest.csv", rows)
    assert read_manifest(tmp_path / "manifest.csv") == rows
    for row in rows:
        assert len(row.sha256) == 64 and len(row.phash) == 16


def test_excluding_what_another_run_has_trained_on(folder, tmp_path):
    first = _Opened(folder)
    train = [row for row in first.rows if row.split == "train" and row.label == "MRI"][:2]
    write_manifest(tmp_path / "manifest.csv", train)
    second = _Opened(folder, exclude=str(tmp_path / "manifest.csv"))
    assert {row.path for row in second.rows if row.note.startswith("excluded")} == {row.path for row in train}
    assert any("2 files share a group with the training files of" in line for line in second.lines)
    seen = first.dataset.seen(tmp_path / "manifest.csv", flag="--x")
    assert {case.name for case, yes in zip(first.dataset.cases, seen) if yes} == {row.path for row in train}
    write_manifest(tmp_path / "manifest.csv", [row for row in first.rows])
    shutil.rmtree(folder / "testA")
    shutil.rmtree(folder / "testB")
    with pytest.raises(UserError, match="leaves nothing of"):
        _Opened(folder, exclude=str(tmp_path / "manifest.csv"))


@pytest.mark.more
def test_real_data_leaks_are_found(real_data):
    """The data set's README: 63 % of the test MRIs have a near-duplicate in training, exact copies, strays."""
    opened = _Opened(real_data / "ct_mri_unpaired", split="as-given")
    leaks = {finding.text.split(":")[0]: finding for finding in opened.findings if finding.topic == "leak, test"}
    assert leaks["MRI"].count >= 0.6 * 250
    assert leaks["CT"].count >= 0.3 * 250
    topics = opened.topics()
    assert {"shortcut, file format", "shortcut, colour mode", "shortcut, image size", "copies", "misnamed"} <= topics
    suspects = [finding for finding in opened.findings if finding.topic == "looks like another label"]
    strays = next(finding.files for finding in suspects if finding.text.startswith("MRI"))
    assert {"mri2385.jpg", "mri744.jpg", "mri991.jpg"} <= set(strays)  # three CT slices among the MRI
    assert not any(row.split == "skipped" for row in opened.rows)
