import numpy as np
import pytest

from common_tf.errors import UserError
from common_tf.sources.classes import class_source, ordered_classes
from common_tf.sources.dataset import open_dataset
from common_tf.splits.finding import audit_lines


@pytest.fixture
def fill(tmp_path, heads, save):
    def write(*folders, count=3):
        for number, folder in enumerate(folders):
            for index in range(count):
                save(tmp_path / folder / f"{index}.png", heads[(number * count + index) % 24].mri)
        return tmp_path

    return write


def test_folders_are_the_labels(fill):
    dataset = open_dataset(class_source(fill("no", "yes")))
    assert [case.labels for case in dataset.cases] == [("no",)] * 3 + [("yes",)] * 3
    assert set(dataset.given) == {"train"}
    assert dataset.counts(["train"] * 6, ("no", "yes"))["yes"] == {"train": 3, "validation": 0, "test": 0}


def test_folders_of_splits_are_the_splits(fill):
    root = fill("Training/a", "Training/b", "Testing/a", "Testing/b", "val/a", "val/b")
    source = class_source(root)
    assert {case.name.split("/")[0]: case.given_split for case in source.cases} == {
        "Training": "train", "Testing": "test", "val": "validation",
    }  # fmt: skip
    assert not source.findings


def test_classes_that_are_named_unlike_are_refused_by_name(fill):
    root = fill("Training/glioma", "Training/notumor", "Training/pituitary", "Testing/glioma", "Testing/no_tumor")
    with pytest.raises(UserError) as error:
        class_source(root)
    assert str(error.value) == (
        "Testing/ has no_tumor, which Training/ has not; Training/ has notumor, pituitary, which Testing/ has not; "
        "name the folders alike"
    )


def test_a_class_without_test_images_is_a_warning(fill):
    lines = "\n".join(audit_lines(class_source(fill("train/a", "train/b", "train/c", "test/a")).findings))
    assert "2 of 3 classes have no images in test/" in lines and lines.endswith("b, c")


def test_a_class_without_images_is_said(fill):
    root = fill("a", "b")
    (root / "c").mkdir()
    (root / "c" / "slice.dcm").touch()
    lines = "\n".join(audit_lines(class_source(root).findings))
    assert "1 folders are not read: c" in lines and "1 other files are not read: 1 .dcm" in lines


def test_images_beside_the_class_folders_are_said(fill, heads, save):
    root = fill("Training/a", "Training/b", "more/a")
    save(root / "loose.png", heads[0].ct)
    save(root / "Training" / "loose.png", heads[0].ct)
    lines = "\n".join(audit_lines(class_source(root).findings))
    assert lines.count("1 image files beside the folders are not read: loose.png") == 2
    assert "1 folders are not read: more" in lines


@pytest.mark.parametrize("folders", [(), ("only",), ("Testing/a", "Testing/b")])
def test_too_few_classes_or_no_training_are_refused(fill, folders, tmp_path):
    with pytest.raises(UserError, match="two or more classes is wanted, found|no Training/ or train/ beside it"):
        class_source(fill(*folders))
    with pytest.raises(UserError, match="absent: no such folder"):
        class_source(tmp_path / "absent")


def test_which_class_is_positive():
    assert ordered_classes(["no", "yes"], positive="") == ("no", "yes")
    assert ordered_classes(["healthy", "tumour"], positive="") == ("healthy", "tumour")
    assert ordered_classes(["tumor", "zebra"], positive="") == ("zebra", "tumor")
    assert ordered_classes(["no", "yes"], positive="no") == ("yes", "no")
    assert ordered_classes(["a", "b", "c"], positive="") == ("a", "b", "c")
    for names, positive, reason in (
        (["a", "b"], "", "which one is positive"),
        (["a", "b"], "c", "no such class"),
        (["a", "b", "c"], "a", "does nothing with 3 classes"),
    ):
        with pytest.raises(UserError, match=reason):
            ordered_classes(names, positive=positive)


def test_a_slice_in_two_classes_is_a_warning(fill):
    root = fill("no", "yes")
    (root / "yes" / "copy.png").write_bytes((root / "no" / "0.png").read_bytes())
    dataset = open_dataset(class_source(root))
    lines = "\n".join(audit_lines(dataset.audited(["train"] * 7)))
    assert "2 files have a near-duplicate under another label (no, yes): no/0.png, copy.png" in lines
    assert len(np.unique(dataset.groups)) == 6
