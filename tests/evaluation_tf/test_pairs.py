"""Aligned pairs from outside: never those that a run has seen, whatever their shape and depth."""

import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from common_tf.errors import UserError
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.pictures.picture import Picture
from common_tf.splits.manifest import read_manifest, write_manifest
from evaluation_tf.cache import ArrayCache
from evaluation_tf.images import Images
from evaluation_tf.pairs import folder_pairs, open_pairs
from evaluation_tf.seen import seen_cases_by
from evaluation_tf.translations import Translations


@pytest.fixture(scope="module")
def run(untrained, pairs, tmp_path_factory):
    """A run on strips, which translates from CT only."""
    return untrained(tmp_path_factory.mktemp("run") / "run", model="pix2pix", data=str(pairs))


def _renamed(source, target, change=lambda image: image, ending="png"):
    """The same pictures under other names, perhaps as other files."""
    target.mkdir(parents=True)
    for number, file in enumerate(sorted(source.glob("*.png"))):
        change(Image.open(file)).save(target / f"slice{number}.{ending}")
    return target


def _section(record):
    return record["sections"]["pairs"]


def test_pairs_that_the_run_has_seen_are_left_out(run, report, refused, pairs, tmp_path):
    """Also under other names, mirrored and in another format."""
    for name, change, ending in (
        ("copied", lambda image: image, "png"),
        ("mirrored", lambda image: Image.fromarray(np.hstack(
            [tile[:, ::-1] for tile in np.split(np.asarray(image), 3, axis=1)])), "bmp"),
    ):  # fmt: skip
        seen = _renamed(pairs / "train", tmp_path / name, change, ending)
        complaint = refused("--translator", run, "--pairs", seen, "--output", tmp_path / "no")
        assert "was trained on all 10 of these pairs" in complaint
    mixed = _renamed(pairs / "train", tmp_path / "mixed")
    for file in (pairs / "test").glob("*.png"):
        shutil.copy(file, mixed)
    record = report(tmp_path / "out", "--translator", run, "--pairs", mixed)
    assert f"10 of 16 pairs are (nearly) in the training of {run.name}; left out" in record["warnings"]
    assert all(row["mae"]["n"] == 6 for row in _section(record)["tables"]["pairs_CT2MRI_head"]["rows"])
    # Without a training folder each floor is fitted on the other groups.
    assert "fitted on the other" in _section(record)["tables"]["pairs_CT2MRI_head"]["rows"][3]["name"]


def test_what_a_run_held_out_it_has_not_seen_however_alike(run, pairs, tmp_path):
    """Outlines of two patients may be alike; the run's own manifest says who is who."""
    opened = open_pairs(pairs, domains=("CT", "MRI"), usual="MRI,CT,mask")
    rows = read_manifest(run / "manifest.csv")
    alike = {row.label: row.phash for row in rows if row.path == "test/50.png"}
    first = next(row.path for row in rows if row.split == "train")

    def seen(*, group=""):
        changed = [
            replace(row, phash=alike[row.label], group=group or row.group) if row.path == first else row for row in rows
        ]
        write_manifest(tmp_path / "manifest.csv", changed)
        found = seen_cases_by(tmp_path, opened.dataset, flag="--translator")
        return [case.name for case, mine in zip(opened.dataset.cases, found) if mine]

    assert seen() == []
    (group,) = {row.group for row in rows if row.path == "test/50.png"}
    assert "test/50.png" in seen(group=group), "a leak of the split is one"
    (tmp_path / "copy").mkdir()
    Image.open(pairs / "test" / "50.png").save(tmp_path / "copy" / "other.bmp")
    opened = open_pairs(tmp_path / "copy", domains=("CT", "MRI"), usual="MRI,CT,mask")
    assert seen() == ["other.bmp"], "another file is not known to be held out"


def test_groups_of_slices_are_not_those_of_the_pairs_beside_them(run, pairs, tmp_path):
    """Both are numbered from 0; pairs of a held-out patient were lost to the first slices of the training."""
    opened = open_pairs(pairs, domains=("CT", "MRI"), usual="MRI,CT,mask")
    rows = read_manifest(run / "manifest.csv")
    tested = next(row for row in rows if row.path == "test/50.png" and row.label == "CT")
    learned = next(row for row in rows if row.split == "train" and row.label == "CT")
    write_manifest(
        tmp_path / "pairs.csv", [replace(row, phash=tested.phash) if row is learned else row for row in rows]
    )

    def seen(slices, *, inherited=()):
        write_manifest(tmp_path / "manifest.csv", slices)
        write_manifest(tmp_path / "inherited.csv", inherited)
        found = seen_cases_by(tmp_path, opened.dataset, flag="--translator")
        return {case.name for case, mine in zip(opened.dataset.cases, found) if mine and case.given_split == "test"}

    far = "".join(f"{int(digit, 16) ^ 15:x}" for digit in tested.phash)
    slices = replace(learned, path="slice.png", sha256="b" * 64, phash=far, group=tested.group)
    assert seen([slices]) == set()
    # Nobody has compared them with the slices beside, or with those behind the start weights, but by their hash.
    alike = replace(slices, phash=tested.phash)
    assert seen([alike]) == {"test/50.png"} == seen([slices], inherited=[replace(alike, sha256="c" * 64)])
    assert seen([slices], inherited=[row for row in rows if row.split == "train"]) == set(), "those of its own, again"
    # A file behind the start weights is not used by the run's own test, and was trained on all the same.
    for split in ("unused", "test"):
        write_manifest(tmp_path / "pairs.csv", [replace(row, split=split) if row is tested else row for row in rows])
        assert seen([slices], inherited=[replace(tested, split="train")]) == {"test/50.png"}


def test_test_folders_bring_their_training_folders_for_the_floors(run, pairs, tmp_path):
    translations = Translations(run, ArrayCache(tmp_path))
    for folder, count in ((pairs, 6), (pairs / "test", 6), (pairs / "train", 10)):
        test, fitting = folder_pairs(open_pairs(folder, domains=("CT", "MRI"), usual="MRI,CT,mask"), [translations])
        assert len(test) == count and test.group_word == "patients"
        assert fitting is None if folder.name == "train" else len(fitting) == 10


@pytest.mark.parametrize("shape", [(40, 28), (28, 40)], ids=["portrait", "landscape"])
def test_pictures_need_not_be_square(shape, run, report, save, tmp_path):
    """Every pixel counts: half a picture with other contents gives other distances."""
    height, width = shape
    for seed in range(6):
        head = draw_phantom(900 + seed, size=40)
        top, left = (40 - height) // 2, (40 - width) // 2
        crop = slice(top, top + height), slice(left, left + width)
        for side, image in (("CT", head.ct), ("MRI", head.mri), ("mask", head.head)):
            save(tmp_path / "pairs" / side / f"{seed}.png", quantise(image.astype(float)[crop]))
    record = report(tmp_path / "out", "--translator", run, "--pairs", tmp_path / "pairs")
    rows = {row["key"]: row for row in _section(record)["tables"]["pairs_CT2MRI_full"]["rows"]}
    files = sorted((tmp_path / "pairs" / "MRI").iterdir())
    errors = [np.asarray(Image.open(file), float).mean() / 255 for file in files]
    assert rows["black"]["mae"]["value"] == pytest.approx(np.mean(errors), rel=1e-6)
    assert rows["black"]["mae"]["n"] == 6
    other = shutil.copytree(run, tmp_path / "other")
    record = report(tmp_path / "compared", "--compare", run, other, "--pairs", tmp_path / "pairs")
    compared = {row["key"]: row for row in record["sections"]["comparison"]["tables"]["compare_CT2MRI"]["rows"]}
    head = {row["key"]: row for row in _section(_json(tmp_path / "out"))["tables"]["pairs_CT2MRI_head"]["rows"]}
    assert compared["pix2pix (run)"]["mae"] == compared["pix2pix (other)"]["mae"] == head["translator"]["mae"]
    assert compared["copy"]["ssim"] == head["copy"]["ssim"] and compared["pix2pix (run)"]["swd"]["value"] > 0


def _json(output):
    return json.loads((output / "report.json").read_text())


def test_deep_pairs_share_one_scale_and_masks_may_be_0_and_1(run, save, pairs, tmp_path):
    """Of 12 bits in 16, also where no single slice reaches white."""
    heads = [draw_phantom(950 + seed, size=40) for seed in range(4)]
    for number, head in enumerate(heads):
        dim = 1.0 if number else 0.6
        save(tmp_path / "8" / "CT" / f"{number}.png", quantise(dim * head.ct))
        (tmp_path / "12" / "CT").mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(tmp_path / "12" / "CT" / f"{number}.png"), np.round(dim * head.ct * 4095).astype(np.uint16))
        for bits in ("8", "12"):
            save(tmp_path / bits / "MRI" / f"{number}.png", quantise(head.mri))
            save(tmp_path / bits / "mask" / f"{number}.png", head.head.astype(np.uint8) * (1 if bits == "12" else 255))
    translations = Translations(run, ArrayCache(tmp_path / "cache"))
    shallow, deep = (
        folder_pairs(open_pairs(tmp_path / bits, domains=("CT", "MRI"), usual="MRI,CT,mask"), [translations])[0]
        for bits in ("8", "12")
    )
    difference = shallow.images["CT"].pixels.astype(int) - deep.images["CT"].pixels
    assert np.abs(difference).max() <= 1 and deep.images["CT"].pixels.dtype == np.uint8
    np.testing.assert_array_equal(shallow.mask.pixels, np.stack([head.head for head in heads]))
    np.testing.assert_array_equal(shallow.mask.pixels, deep.mask.pixels)


def test_empty_pairs_are_counted_and_broken_ones_refused(run, refused, draw_pairs, save, tmp_path):
    folder = draw_pairs(tmp_path / "pairs", range(60, 64))
    save(folder / "blank.png", np.hstack([np.zeros((32, 64), np.uint8), np.ones((32, 32), np.uint8)]))
    opened = open_pairs(folder, domains=("CT", "MRI"), usual="MRI,CT,mask")
    assert len(opened.dataset.cases) == 4
    assert opened.warnings == ["1 pairs without a head on one of their sides are left out: blank.png"]
    (folder / "60.png").write_bytes((folder / "60.png").read_bytes()[:300])
    complaint = refused("--translator", run, "--pairs", folder, "--output", tmp_path / "out")
    assert "1 files cannot be used (60.png: truncated" in complaint


def test_strips_that_are_read_the_wrong_way_round_are_said_to_be(save, tmp_path):
    """All figures would be of the wrong direction."""
    for seed in range(12):
        head = draw_phantom(seed, size=96)
        save(tmp_path / f"{seed}.png", np.hstack([quantise(head.mri), quantise(head.ct)]))
    for order, says in (("MRI,CT,mask", False), ("CT,MRI,mask", True)):
        opened = open_pairs(tmp_path, domains=("CT", "MRI"), usual="CT,MRI,PET", order=order)
        assert any("MRI and CT look swapped" in warning for warning in opened.warnings) is says


def test_an_order_of_tiles_is_for_strips_alone(save, tmp_path):
    """Of a user; a run's own says nothing of folders."""
    for seed in range(3):
        head = draw_phantom(seed, size=48)
        for name, values in (("CT", head.ct), ("MRI", head.mri)):
            save(tmp_path / name / f"{seed}.png", quantise(values))
    assert len(open_pairs(tmp_path, domains=("CT", "MRI"), usual="CT,MRI").dataset.cases) == 3
    with pytest.raises(UserError, match="--pair-order CT,MRI: is for strips"):
        open_pairs(tmp_path, domains=("CT", "MRI"), usual="MRI,CT,mask", order="CT,MRI")


def test_the_translator_gets_pairs_as_files_come(run, pairs, tmp_path):
    """Without the head that both sides know: translate.py gives the same pictures."""
    translations = Translations(run, ArrayCache(tmp_path))
    test, _ = folder_pairs(open_pairs(pairs, domains=("CT", "MRI"), usual="MRI,CT,mask"), [translations])
    made = translations.pictures(test.images["CT"].pictures(), "CT").images()
    network = translations.translator.network("CT")
    alone = translations.translator.translate_pictures(
        [Picture(test.images["CT"].pixels[0])], source="CT", network=network
    )
    np.testing.assert_array_equal(made.pixels[0], quantise(alone[0]))
    assert isinstance(made, Images) and translations.pictures(test.images["CT"].pictures(), "CT").digest == made.digest
