import os
import shutil

import numpy as np
import pytest

from common_tf.errors import UserError
from common_tf.sources.classes import class_source
from common_tf.sources.dataset import open_dataset
from common_tf.sources.folders import folder_source
from common_tf.sources.pairs import pair_source
from common_tf.splits.finding import audit_lines


@pytest.fixture
def strips(tmp_path, heads, save):
    """Six strips under train/ and two under test/."""
    for index, head in enumerate(heads[:8]):
        save(tmp_path / "data" / ("train" if index < 6 else "test") / f"s{index}.png", np.hstack([head.mri, head.ct]))
    return tmp_path / "data"


def _table(file, rows):
    file.write_text("file,patient\n" + "".join(f"{name},{patient}\n" for name, patient in rows))


def _patients(folder, source=None):
    source = source or pair_source(folder, domains=("CT", "MRI"))
    return {case.name.rsplit("/", 1)[-1]: case.patient for case in source.cases}


EXPECTED = {f"s{index}.png": f"p{index // 2}" for index in range(8)}


@pytest.mark.parametrize(
    "spelled",
    [
        lambda folder, split, stem: f"{split}/{stem}.png",
        lambda folder, split, stem: f"{split}/{stem}",
        lambda folder, split, stem: f"{stem}.png",
        lambda folder, split, stem: stem,
        lambda folder, split, stem: f"./{split}/{stem}.png",
        lambda folder, split, stem: f"{split}\\{stem}.png",
        lambda folder, split, stem: f"{folder}/{split}/{stem}.png",
    ],
    ids=["path", "path without ending", "name", "stem", "with a dot", "with backslashes", "full path"],
)
def test_files_may_be_named_in_many_ways(strips, spelled):
    rows = [(spelled(strips, "train" if index < 6 else "test", f"s{index}"), f"p{index // 2}") for index in range(8)]
    _table(strips / "patients.csv", rows)
    source = pair_source(strips, domains=("CT", "MRI"))
    assert _patients(strips, source) == EXPECTED
    assert not any(finding.topic == "patients" for finding in source.findings)


def test_the_folder_of_a_split_finds_the_table_above_it(strips):
    _table(strips / "patients.csv", [(f"{'train' if i < 6 else 'test'}/s{i}.png", f"p{i // 2}") for i in range(8)])
    source = pair_source(strips / "test", domains=("CT", "MRI"))
    assert _patients(strips, source) == {"s6.png": "p3", "s7.png": "p3"}
    assert not any(finding.topic == "patients" for finding in source.findings)


def test_tables_may_lie_in_the_folders_below(strips):
    _table(strips / "train" / "patients.csv", [(f"s{i}.png", f"p{i // 2}") for i in range(6)])
    (strips / "test" / "deep").mkdir()
    for index in (6, 7):
        (strips / "test" / f"s{index}.png").rename(strips / "test" / "deep" / f"s{index}.png")
    _table(strips / "test" / "deep" / "patients.csv", [(f"s{i}", f"p{i // 2}") for i in (6, 7)])
    assert _patients(strips) == EXPECTED


def test_a_missing_row_leaves_the_others_their_patients_and_is_said(strips):
    _table(strips / "patients.csv", [(name, patient) for name, patient in EXPECTED.items() if name != "s3.png"])
    source = pair_source(strips, domains=("CT", "MRI"))
    assert _patients(strips, source) == {**EXPECTED, "s3.png": ""}
    lines = "\n".join(audit_lines(source.findings))
    assert "patients.csv names 7 of 8; the others stand by near-duplicates alone: train/s3.png" in lines
    dataset = open_dataset(source)
    assert dataset.group_word == "near-duplicate groups"
    groups = {case.name: group for case, group in zip(dataset.cases, dataset.groups)}
    assert groups["train/s0.png"] == groups["train/s1.png"] != groups["train/s2.png"]


def test_rows_that_name_no_file_are_said(strips):
    _table(strips / "patients.csv", [*EXPECTED.items(), ("s99.png", "p9")])
    lines = "\n".join(audit_lines(pair_source(strips, domains=("CT", "MRI")).findings))
    assert "patients.csv: 1 rows name no file of this data: s99.png" in lines


def test_a_short_name_that_could_be_several_files_is_refused(strips):
    shutil.copy(strips / "train" / "s1.png", strips / "test" / "s1.png")
    _table(strips / "patients.csv", EXPECTED.items())
    with pytest.raises(UserError, match=r"patients.csv: s1.png could be 2 files \(test/s1.png, train/s1.png\)"):
        pair_source(strips, domains=("CT", "MRI"))
    _table(strips / "patients.csv", [*EXPECTED.items(), ("test/s1.png", "other"), ("train/s1.png", "p0")])
    source = pair_source(strips, domains=("CT", "MRI"))
    assert {case.name: case.patient for case in source.cases}["test/s1.png"] == "other"


def test_the_nearest_and_the_longest_name_counts(strips):
    _table(strips / "patients.csv", [*EXPECTED.items(), ("train/s0.png", "longer")])
    assert _patients(strips) == {**EXPECTED, "s0.png": "longer"}
    _table(strips / "train" / "patients.csv", [("s1", "nearer")])
    assert _patients(strips)["s1.png"] == "nearer"


@pytest.mark.parametrize(
    "text, reason",
    [
        ("", "wants the columns file and patient"),
        ("file;patient\na;b\n", "wants the columns file and patient"),
        ("file,patient\n", "a row a file"),
        ("file,patient\ns0.png,a\ns0.png,b\n", "s0.png has two patients"),
        (b"file,patient\ns\xe9.png,a\n", "save it as UTF-8"),
    ],
)
def test_tables_that_say_nothing_or_two_things_are_refused_by_name(strips, text, reason):
    (strips / "patients.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError, match=f"patients.csv.*{reason}"):
        pair_source(strips, domains=("CT", "MRI"))


def test_a_byte_order_mark_and_further_columns_do_no_harm(strips):
    rows = "".join(f"{name},x,{patient}\n" for name, patient in EXPECTED.items())
    (strips / "patients.csv").write_text("\ufefffile,age,patient\n" + rows)
    assert _patients(strips) == EXPECTED


def test_pairs_in_two_folders_may_be_named_by_either_side_or_by_the_pair(tmp_path, heads, save):
    for index, head in enumerate(heads[:3]):
        save(tmp_path / "CT" / f"{index}.png", head.ct)
        save(tmp_path / "MRI" / f"{index}.png", head.mri)
    _table(tmp_path / "patients.csv", [("CT/0.png", "a"), ("MRI/1.png", "b"), ("2", "c")])
    source = pair_source(tmp_path, domains=("CT", "MRI"))
    assert [case.patient for case in source.cases] == ["a", "b", "c"]
    _table(tmp_path / "patients.csv", [("CT/0.png", "a"), ("MRI/0.png", "b")])
    with pytest.raises(UserError, match="patients.csv: 0 has two patients"):
        pair_source(tmp_path, domains=("CT", "MRI"))


def test_patients_are_the_groups_also_of_folders_and_classes(tmp_path, heads, save):
    for letter in "AB":
        for index in range(6):
            save(tmp_path / "two" / f"train{letter}" / f"{letter}{index}.png", heads[index + 6 * (letter == "B")].ct)
    _table(tmp_path / "two" / "patients.csv", [(f"{a}{i}.png", f"p{i // 3}") for a in "AB" for i in range(6)])
    dataset = open_dataset(folder_source(tmp_path / "two", domains=("CT", "MRI")))
    assert dataset.group_word == "patients" and len(set(dataset.groups.tolist())) == 2
    (tmp_path / "two" / "trainA").rename(tmp_path / "two" / "yes")
    (tmp_path / "two" / "trainB").rename(tmp_path / "two" / "no")
    classes = open_dataset(class_source(tmp_path / "two"))
    assert classes.group_word == "patients" and len(set(classes.groups.tolist())) == 2


def test_slices_of_two_patients_that_look_alike_are_said_and_copies_join_them(tmp_path, heads, save):
    for index in range(6):
        save(tmp_path / "trainA" / f"{index}.png", heads[index].ct)
        save(tmp_path / "trainB" / f"{index}.png", heads[index + 6].mri)
    save(tmp_path / "trainA" / "brighter.png", np.clip(heads[0].ct * 1.02, 0, 1))
    shutil.copy(tmp_path / "trainA" / "1.png", tmp_path / "trainA" / "copy.png")
    who = {"0": "a", "1": "b", "2": "c", "3": "d", "4": "e", "5": "f", "brighter": "g", "copy": "h"}
    rows = [(f"trainA/{stem}.png", patient) for stem, patient in who.items()]
    _table(tmp_path / "patients.csv", [*rows, *((f"trainB/{i}.png", f"m{i}") for i in range(6))])
    dataset = open_dataset(folder_source(tmp_path, domains=("CT", "MRI")))
    groups = {case.name: group for case, group in zip(dataset.cases, dataset.groups)}
    assert groups["trainA/0.png"] != groups["trainA/brighter.png"]
    assert groups["trainA/1.png"] == groups["trainA/copy.png"]
    alike = next(finding for finding in dataset.findings if finding.topic == "alike patients")
    assert alike.files == ("trainA/0.png", "trainA/brighter.png")


@pytest.mark.parametrize("nested", [False, True])
def test_names_that_look_like_patients_are_warned_of(tmp_path, heads, save, nested):
    for number in range(24):
        who, letter = number % 4, "A" if number % 4 < 2 else "B"
        name = f"head{who}/{number}.png" if nested else f"P{who:02d}_{number:02d}.png"
        save(tmp_path / f"train{letter}" / name, heads[number].ct)
    findings = folder_source(tmp_path, domains=("CT", "MRI")).findings
    assert [finding.severity for finding in findings] == ["warning"]
    assert "look like 4 patients" in findings[0].text and "patients.csv" in findings[0].text


def test_plain_numbers_do_not_look_like_patients(tmp_path, heads, save):
    for number in range(12):
        save(tmp_path / f"train{'AB'[number % 2]}" / f"ct{number}.png", heads[number].ct)
    assert not folder_source(tmp_path, domains=("CT", "MRI")).findings


def test_a_name_of_any_bytes_can_be_said(strips):
    odd = os.fsdecode(b"t\xeate.png")
    shutil.copy(strips / "train" / "s0.png", strips / "train" / odd)
    _table(strips / "patients.csv", EXPECTED.items())
    lines = audit_lines(pair_source(strips, domains=("CT", "MRI")).findings)
    assert any("train/t?te.png" in line for line in lines) and "\n".join(lines).encode()
