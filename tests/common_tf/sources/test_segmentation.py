import numpy as np
import pytest

from common_tf.errors import UserError
from common_tf.sources.dataset import open_dataset
from common_tf.sources.segmentation import segmentation_source
from common_tf.splits.finding import audit_lines
from common_tf.splits.manifest import write_manifest


@pytest.fixture
def fill(tmp_path, heads, save):
    """Three patients of two slices each, every second one with a lesion."""

    def write(value=255, channels=1, ending=".tif"):
        for index, head in enumerate(heads[:6]):
            lesion = np.zeros((48, 48), np.uint8)
            lesion[20:26, 18:30] = value * (index % 2)
            gray = np.round(head.mri * 255).astype(np.uint8)
            pixels = gray if channels == 1 else np.stack([gray // 2, gray, 255 - gray], axis=-1)
            save(tmp_path / f"P{index // 2}" / f"s{index}{ending}", pixels)
            save(tmp_path / f"P{index // 2}" / f"s{index}_mask{ending}", lesion)
        return tmp_path

    return write


def test_slices_beside_their_masks_are_cases_of_their_patient(fill):
    dataset = open_dataset(segmentation_source(fill(), channels=1))
    assert [case.name for case in dataset.cases] == [f"P{i // 2}/s{i}.tif" for i in range(6)]
    assert dataset.group_word == "patients" and dataset.groups.tolist() == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("value", [1, 255])
def test_masks_of_0_and_1_hold_the_same_lesions(fill, value):
    loaded = [case.load() for case in segmentation_source(fill(value), channels=1).cases]
    assert [int(one.lesion.sum()) for one in loaded] == [0, 72] * 3
    assert not any(one.notes for one in loaded)


def test_masks_of_labels_are_said(fill, heads, save):
    root = fill()
    labels = np.zeros((48, 48), np.uint8)
    labels[10:20], labels[30:40] = 1, 2
    save(root / "P0" / "s0_mask.tif", labels)
    dataset = open_dataset(segmentation_source(root, channels=1))
    assert any("1 files have mask values 1, 2; all but 0 is inside" in line for line in audit_lines(dataset.findings))
    assert dataset.cases[0].load().lesion.sum() == 20 * 48


def test_channels_of_a_colour_file_are_images_of_their_own(fill, heads):
    gray = np.round(heads[0].mri * 255).astype(np.uint8)
    root = fill(channels=3)
    middle = segmentation_source(root, channels=1).cases[0].load()
    np.testing.assert_array_equal(middle.pictures["slice"].pixels, gray)
    dataset = open_dataset(segmentation_source(root, channels=3))
    pictures = dataset.cases[0].load().pictures
    assert list(pictures) == ["slice", "slice 2", "slice 3"]
    np.testing.assert_array_equal(pictures["slice"].pixels, gray // 2)
    np.testing.assert_array_equal(pictures["slice 3"].pixels, 255 - gray)
    # Channels of one file are one slice to the audit, and three rows of the manifest.
    lines = audit_lines(dataset.audited(["train"] * 4 + ["test"] * 2))
    assert not any("leak" in line for line in lines)
    assert len(dataset.rows(["train"] * 6)) == 18


def test_slices_without_a_mask_and_masks_without_a_slice_are_named(fill):
    root = fill()
    (root / "P0" / "s0_mask.tif").unlink()
    (root / "P1" / "s2.tif").unlink()
    (root / "P1" / "notes.txt").touch()
    source = segmentation_source(root, channels=1)
    lines = "\n".join(audit_lines(source.findings))
    assert len(source.cases) == 4
    for words in (
        "1 slices have no mask and are left out: P0/s0.tif",
        "1 masks have no slice and are left out: P1/s2_mask",
    ):
        assert words in lines
    assert "1 other files are not read: 1 .txt" in lines


@pytest.mark.parametrize("name", ["s0", "s0_mask"])
def test_two_files_of_one_name_are_refused_and_not_lost(fill, save, heads, name):
    root = fill()
    save(root / "P0" / f"{name}.png", heads[0].mri)
    with pytest.raises(
        UserError, match=rf"2 files differ in nothing but their endings \(P0/{name}.png, P0/{name}.tif\)"
    ):
        segmentation_source(root, channels=1)


def test_a_mask_of_another_size_and_a_bad_mask_are_refused_by_name(fill, save):
    root = fill()
    save(root / "P0" / "s0_mask.tif", np.zeros((24, 48), np.uint8))
    (root / "P0" / "s1_mask.tif").write_bytes(b"II*\0")
    with pytest.raises(UserError) as error:
        open_dataset(segmentation_source(root, channels=1))
    assert "P0/s0.tif: 48x48 pixels, its mask is 48x24; mend or remove both" in str(error.value)
    assert "P0/s1.tif: its mask s1_mask.tif: not an image" in str(error.value)


def test_without_masks_or_patients_it_is_refused(tmp_path, save, heads):
    with pytest.raises(UserError, match="no slices with a"):
        segmentation_source(tmp_path, channels=1)
    save(tmp_path / "a.png", heads[0].mri)
    save(tmp_path / "a_mask.png", heads[0].mri)
    with pytest.raises(UserError, match="lies beside no patient's folder"):
        segmentation_source(tmp_path, channels=1)
    with pytest.raises(UserError, match="no such folder"):
        segmentation_source(tmp_path / "absent", channels=1)


def test_patients_csv_says_that_two_folders_are_one_patient(fill):
    root = fill()
    (root / "patients.csv").write_text("file,patient\n" + "".join(f"P{i // 2}/s{i}.tif,X\n" for i in range(4)))
    source = segmentation_source(root, channels=1)
    assert [case.patient for case in source.cases] == ["X"] * 4 + ["P2"] * 2


def test_a_changed_mask_is_a_changed_case(fill, save):
    root = fill()
    before = open_dataset(segmentation_source(root, channels=1)).rows(["train"] * 6)
    save(root / "P0" / "s1_mask.tif", np.zeros((48, 48), np.uint8))
    after = open_dataset(segmentation_source(root, channels=1)).rows(["train"] * 6)
    assert [one.path for one, other in zip(before, after) if one.sha256 != other.sha256] == ["P0/s1.tif"]


def test_slices_of_a_run_are_known_again(fill, tmp_path):
    dataset = open_dataset(segmentation_source(fill(), channels=1))
    write_manifest(tmp_path / "manifest.csv", dataset.rows(["train"] * 2 + ["validation"] * 2 + ["test"] * 2))
    assert dataset.seen(tmp_path / "manifest.csv", flag="--exclude").tolist() == [True] * 4 + [False] * 2
    kept = open_dataset(dataset.source, exclude=str(tmp_path / "manifest.csv"))
    assert [case.patient for case in kept.cases] == ["P2", "P2"]
