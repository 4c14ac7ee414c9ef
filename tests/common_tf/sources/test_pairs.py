import numpy as np
import pytest

from common_tf.errors import UserError
from common_tf.sources.dataset import open_dataset
from common_tf.sources.pairs import holds_pairs, pair_source, split_place
from common_tf.splits.assignment import assign_splits
from common_tf.splits.finding import audit_lines
from common_tf.splits.manifest import write_manifest

DOMAINS = ("CT", "MRI")


@pytest.fixture
def tiles(random):
    return random.integers(0, 255, (3, 2, 16, 16)).astype(np.uint8)


def _source(folder, **options):
    return pair_source(folder, domains=DOMAINS, **options)


def _problems(folder, **options) -> str:
    with pytest.raises(UserError) as error:
        open_dataset(_source(folder, **options))
    return str(error.value)


def _pixels(source, domain):
    return np.stack([case.load().pictures[domain].pixels for case in source.cases])


def _splits(dataset):
    return assign_splits(["pair"] * len(dataset.cases), dataset.given, dataset.groups, policy="grouped", seed=0)


def test_strips_come_apart_in_the_order_that_is_said(tmp_path, tiles, save):
    for number, (mri, ct) in enumerate(tiles):
        mask = np.full((16, 16), 255 * (number % 2 == 0), np.uint8)
        mask[0, 0] = 9
        save(tmp_path / "test" / f"{number}.png", np.hstack([mri, ct, mask]))
    (tmp_path / "patients.csv").write_text("file,patient\ntest/0.png,a\ntest/1.png,a\ntest/2.png,b\n")
    place = split_place(tmp_path, "test")
    assert place == tmp_path / "test" == split_place(tmp_path / "test", "test")
    source = _source(place)
    np.testing.assert_array_equal(_pixels(source, "MRI"), tiles[:, 0])
    np.testing.assert_array_equal(_pixels(source, "CT"), tiles[:, 1])
    heads = [case.load().pictures["CT"].head for case in source.cases]
    assert heads[0][5, 5] and not heads[1][5, 5]
    assert [case.patient for case in source.cases] == ["a", "a", "b"]
    assert split_place(tmp_path, "train") is None and split_place(tmp_path / "test", "train") is None
    swapped = _source(tmp_path / "test", order="CT,MRI,mask")
    np.testing.assert_array_equal(_pixels(swapped, "CT"), tiles[:, 0])
    assert "strips are read from the left as MRI, CT, mask; --set pair_order=" in source.findings[0].text


def test_two_folders_pair_by_name(tmp_path, tiles, save):
    for number, (a, b) in enumerate(tiles):
        save(tmp_path / "A" / f"{number}.png", a)
        save(tmp_path / "B" / "sub" / f"{number}.tif", b)
    (tmp_path / "A" / "sub").mkdir()
    for number in range(3):
        (tmp_path / "A" / f"{number}.png").rename(tmp_path / "A" / "sub" / f"{number}.png")
    source = _source(tmp_path)
    assert [case.name for case in source.cases] == ["sub/0", "sub/1", "sub/2"]
    np.testing.assert_array_equal(_pixels(source, "MRI"), tiles[:, 1])
    assert source.is_aligned and source.cases[0].files == {"CT": "A/sub/0.png", "MRI": "B/sub/0.tif"}
    assert not any(case.patient for case in source.cases)
    (tmp_path / "B" / "sub" / "1.tif").rename(tmp_path / "B" / "sub" / "9.tif")
    with pytest.raises(UserError, match=r"2 images have no partner of the same name \(sub/1, sub/9\)"):
        _source(tmp_path)


def test_folders_of_splits_keep_their_cases_apart(tmp_path, tiles, save):
    for split, (a, b) in zip(("train", "val", "test"), tiles):
        save(tmp_path / split / "CT" / "0.png", a)
        save(tmp_path / split / "MRI" / "0.png", b)
    source = _source(tmp_path)
    assert {case.name: case.given_split for case in source.cases} == {
        "test/0": "test", "train/0": "train", "val/0": "validation",
    }  # fmt: skip
    assert holds_pairs(tmp_path, DOMAINS) and holds_pairs(tmp_path / "train", DOMAINS)


def test_two_files_of_one_name_are_refused_and_not_lost(tmp_path, tiles, save):
    for name in ("s0.png", "s1.png"):
        save(tmp_path / "CT" / name, tiles[0, 0])
        save(tmp_path / "MRI" / name, tiles[0, 1])
    save(tmp_path / "MRI" / "s0.bmp", tiles[1, 1])
    with pytest.raises(UserError, match=r"MRI: 2 files differ in nothing but their endings \(s0.bmp, s0.png\)"):
        _source(tmp_path)


def test_one_strip_without_a_mask_keeps_the_masks_of_the_others(tmp_path, heads, save):
    outline = np.zeros((48, 48))
    outline[8:40, 10:38] = 1
    for index, head in enumerate(heads[:4]):
        save(tmp_path / f"{index}.png", np.hstack([head.mri, head.ct, outline] if index else [head.mri, head.ct]))
    dataset = open_dataset(_source(tmp_path))
    found = [case.load().pictures["CT"].head for case in dataset.cases]
    for head in found[1:]:
        np.testing.assert_array_equal(head, outline > 0)
    assert (found[0] != (outline > 0)).any() and found[0].any()
    assert any("1 files have no mask, so their head is found" in line for line in audit_lines(dataset.findings))


@pytest.mark.parametrize("value", [1, 255])
def test_head_masks_of_0_and_1_are_those_of_0_and_255(tmp_path, heads, save, value):
    outline = np.zeros((48, 48), np.uint8)
    outline[8:40, 10:38] = value
    save(tmp_path / "CT" / "0.png", heads[0].ct)
    save(tmp_path / "MRI" / "0.png", heads[0].mri)
    save(tmp_path / "mask" / "0.png", outline)
    loaded = _source(tmp_path).cases[0].load()
    np.testing.assert_array_equal(loaded.pictures["MRI"].head, outline > 0)
    assert not loaded.notes


def test_an_empty_mask_is_no_head(tmp_path, heads, save):
    save(tmp_path / "CT" / "0.png", heads[0].ct)
    save(tmp_path / "MRI" / "0.png", heads[0].mri)
    save(tmp_path / "mask" / "0.png", np.zeros((48, 48)))
    loaded = _source(tmp_path).cases[0].load()
    assert loaded.pictures["CT"].head.any() and loaded.notes == ("an empty mask, so their head is found",)


def test_unequal_sizes_and_single_images_are_refused_by_name(tmp_path, tiles, save):
    save(tmp_path / "A" / "0.png", tiles[0, 0])
    save(tmp_path / "B" / "0.png", tiles[0, 1][:8])
    assert "A/0.png: a pair and its mask must have one size, found 16x8, 16x16" in _problems(tmp_path)
    save(tmp_path / "single" / "0.png", tiles[0, 0])
    assert "0.png: 16x16 pixels are no strip" in _problems(tmp_path / "single")
    (tmp_path / "empty").mkdir()
    for folder, reason in ((tmp_path / "empty", "no pairs"), (tmp_path / "none", "no such folder")):
        with pytest.raises(UserError, match=reason):
            _source(folder)
    assert not holds_pairs(tmp_path / "none", DOMAINS)


def test_the_bad_one_of_a_pair_is_the_one_that_is_named(tmp_path, tiles, save):
    for number in range(3):
        save(tmp_path / "CT" / f"{number}.png", tiles[0, 0])
        save(tmp_path / "MRI" / f"{number}.png", tiles[0, 1])
    (tmp_path / "MRI" / "0.png").write_text("hello")
    (tmp_path / "MRI" / "1.png").unlink()
    (tmp_path / "MRI" / "1.png").symlink_to(tmp_path / "nowhere")
    save(tmp_path / "mask" / "2.png", tiles[0, 0]).write_bytes(b"")
    problems = _problems(tmp_path)
    assert "CT/0.png: its MRI 0.png: not an image" in problems
    assert "CT/1.png: its MRI 1.png: cannot be read (No such file or directory)" in problems
    assert "CT/2.png: its mask 2.png: the file is empty" in problems


@pytest.mark.parametrize(
    "height, width, order, tiles",
    [
        (40, 80, "MRI,CT,mask", 2),
        (40, 120, "MRI,CT,mask", 3),
        (40, 64, "MRI,CT", 2),  # portrait
        (40, 96, "MRI,CT", 2),  # landscape
        (40, 132, "MRI,CT,mask", 3),
        (40, 64, "MRI,CT,mask", 2),
    ],
)
def test_tiles_need_not_be_square_where_their_number_is_clear(tmp_path, random, save, height, width, order, tiles):
    pixels = random.integers(0, 255, (height, width)).astype(np.uint8)
    save(tmp_path / "0.png", pixels)
    ct = _pixels(_source(tmp_path, order=order), "CT")[0]
    np.testing.assert_array_equal(ct, pixels[:, width // tiles : 2 * width // tiles])


def test_a_strip_that_could_be_cut_in_two_ways_is_refused(tmp_path, random, save):
    """Three tiles of 32x40, or two of 48x40."""
    save(tmp_path / "0.png", random.integers(0, 255, (40, 96)).astype(np.uint8))
    assert "96x40 pixels could be 2 or 3 tiles" in _problems(tmp_path)
    assert _pixels(_source(tmp_path, order="MRI,CT"), "CT").shape == (1, 40, 48)


@pytest.mark.parametrize("order", ["CT", "CT,CT,MRI", "CT,mask", "CT,MRI,PET", "CT,MRI,mask,mask"])
def test_orders_that_do_not_name_both_domains_once_are_refused(tmp_path, tiles, save, order):
    save(tmp_path / "0.png", np.hstack(tiles[0]))
    with pytest.raises(UserError, match=f"--set pair_order={order}: wants CT and MRI once each"):
        _source(tmp_path, order=order)


def test_a_constant_tile_is_refused(tmp_path, tiles, save):
    save(tmp_path / "0.png", np.hstack([tiles[0, 0], np.full((16, 16), 7, np.uint8)]))
    assert "0.png: its tile CT is constant (every pixel is 7)" in _problems(tmp_path)


def test_folders_beside_those_of_the_pairs_are_named(tmp_path, tiles, save):
    for folder in ("CT", "MRI", "PET"):
        save(tmp_path / "train" / folder / "0.png", tiles[0, 0])
    save(tmp_path / "train" / "loose.png", tiles[0, 0])
    save(tmp_path / "more" / "0.png", tiles[0, 0])
    (tmp_path / "train" / "CT" / "notes.txt").touch()
    lines = "\n".join(audit_lines(_source(tmp_path).findings))
    for words in (
        "train: 1 folders are not read: PET",
        "1 image files beside the folders are not read: loose.png",
        "1 folders are not read: more",
        "train: 1 other files are not read: 1 .txt",
    ):
        assert words in lines, words


def _every_pair_twice(folder, heads, save):
    for index, head in enumerate(heads[:8]):
        for copy in ("", "again "):
            save(folder / f"{copy}{index}.png", np.hstack([head.mri, head.ct]))


def test_pairs_are_grouped_and_copies_stay_on_one_side(tmp_path, heads, save):
    _every_pair_twice(tmp_path, heads, save)
    dataset = open_dataset(_source(tmp_path))
    assert len(dataset.cases) == 16 and len(set(dataset.groups.tolist())) == 8
    sides = dict(zip((case.name for case in dataset.cases), _splits(dataset)))
    assert all(sides[f"{index}.png"] == sides[f"again {index}.png"] for index in range(8))
    assert set(sides.values()) == {"train", "validation", "test"}
    lines = "\n".join(audit_lines(dataset.audited(list(sides.values()))))
    for words in ("CT: 8 files are byte-for-byte copies", "MRI: 8 near-duplicate groups among 16 files"):
        assert words in lines
    assert "nothing found" not in lines


def test_a_split_that_tears_copies_apart_is_a_leak(tmp_path, heads, save):
    _every_pair_twice(tmp_path, heads, save)
    dataset = open_dataset(_source(tmp_path))
    torn = ["test" if case.name.startswith("again 0") else "train" for case in dataset.cases]
    leaks = [finding for finding in dataset.audited(torn) if finding.severity == "leak"]
    assert {finding.text.split(":")[0] for finding in leaks} == set(DOMAINS)


def test_partners_are_no_near_duplicates_to_be_warned_of(tmp_path, heads, save):
    for index, head in enumerate(heads[:6]):
        save(tmp_path / "CT" / f"{index}.png", head.ct)
        save(tmp_path / "MRI" / f"{index}.png", head.ct)
    dataset = open_dataset(_source(tmp_path))
    assert not any(finding.topic == "shared" for finding in dataset.audited(_splits(dataset)))


def test_domains_of_one_first_word_are_two_domains(tmp_path, heads, save):
    """The two tiles of a strip share their file and may share a word; both are audited."""
    for index, head in enumerate(heads[:4]):
        save(tmp_path / f"{index}.png", np.hstack([head.mri, head.ct]))
    dataset = open_dataset(pair_source(tmp_path, domains=("MRI T1", "MRI T2"), order="MRI T1,MRI T2"))
    torn = ["test" if case.name == "0.png" else "train" for case in dataset.cases]
    save(tmp_path / "more.png", np.hstack([heads[9].mri, heads[0].ct]))
    dataset = open_dataset(pair_source(tmp_path, domains=("MRI T1", "MRI T2"), order="MRI T1,MRI T2"))
    groups = {case.name: group for case, group in zip(dataset.cases, dataset.groups)}
    assert groups["more.png"] == groups["0.png"]
    leaks = [finding.text for finding in dataset.audited([*torn, "train"]) if finding.severity == "leak"]
    assert any(text.startswith("MRI T2: 1 of 1 test files") for text in leaks)


def test_pairs_of_a_run_are_known_again(tmp_path, heads, save):
    """Also as two folders, in other files: tile by tile they are the same pictures."""
    for index, head in enumerate(heads[:6]):
        save(tmp_path / "strips" / f"{index}.png", np.hstack([head.mri, head.ct]))
        save(tmp_path / "folders" / "CT" / f"{index}.png", head.ct)
        save(tmp_path / "folders" / "MRI" / f"{index}.png", head.mri)
    dataset = open_dataset(_source(tmp_path / "strips"))
    write_manifest(tmp_path / "manifest.csv", dataset.rows(["train", "validation", "test", "test", "test", "train"]))
    expected = [True, True, False, False, False, True]
    for folder in ("strips", "folders"):
        again = open_dataset(_source(tmp_path / folder))
        assert again.seen(tmp_path / "manifest.csv", flag="--pairs").tolist() == expected
        excluded = open_dataset(_source(tmp_path / folder), exclude=str(tmp_path / "manifest.csv"))
        assert len(excluded.cases) == 3


def test_deep_strips_share_one_scale(tmp_path, heads, save):
    for index, head in enumerate(heads[:2]):
        strip = np.hstack([head.mri, head.ct]) * (4095 if index else 1000)
        save(tmp_path / f"{index}.png", np.round(strip).astype(np.uint16))
    dataset = open_dataset(_source(tmp_path))
    for domain in DOMAINS:
        preparation = dataset.preparation(domain, [0], framing="whole")
        assert (preparation.depth, preparation.high) == (16, 4095)
