"""Which slices a translator is judged on: never what it was trained on, and always the files that it says."""

import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from common_tf.errors import UserError
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.pictures.picture import Picture
from common_tf.pictures.preparation import prepare
from common_tf.pictures.readers import read_picture
from common_tf.sources.drawn import drawn_case
from common_tf.splits.manifest import read_manifest
from evaluation_tf.cache import ArrayCache
from evaluation_tf.pairs import own_pairs
from evaluation_tf.slices import load_test_set
from evaluation_tf.translations import Translations


@pytest.fixture(scope="module")
def run(untrained, phantom_folder, tmp_path_factory):
    """A run on two folders."""
    return untrained(tmp_path_factory.mktemp("run") / "run", data=str(phantom_folder))


@pytest.fixture
def load(tmp_path):
    """Loads the test set of a run."""
    return lambda run, data: load_test_set(Translations(run, ArrayCache(tmp_path / "cache")), str(data))


def _square(translator, path, label, size=32):
    """The square that a network sees, uint8."""
    return quantise(prepare(read_picture(path), translator.preparations[label], size=size).pixels)


def test_drawn_test_heads_are_in_no_training_of_their_run(drawn_run, tmp_path):
    translations = Translations(drawn_run, ArrayCache(tmp_path))
    test = load_test_set(translations, "phantom")
    rows = read_manifest(drawn_run / "manifest.csv")
    trained = {row.path for row in rows if row.split != "test"}
    tested = {case.name for case in translations.held_out_heads}
    assert len(trained) == 2 * (24 + 64) and len(tested) == 48 and not trained & tested
    for label, slices in test.slices.items():
        assert len(slices.squares) == 48 and len(slices.training) == 24
        seed = int(translations.held_out_heads[5].name.split("/")[1])
        # As in training: the head is found in each picture, and not known from both.
        alone = drawn_case(seed, size=32, sides={label: label.lower()}, split="test").load().pictures[label]
        square = prepare(alone, translations.translator.preparations[label], size=32)
        np.testing.assert_array_equal(slices.squares.pixels[5], quantise(square.pixels))
        np.testing.assert_array_equal(slices.masks.pixels[5], square.mask)


def test_the_slices_are_those_of_the_manifest_wherever_the_folder_lies(run, load, phantom_folder, tmp_path):
    moved = shutil.copytree(phantom_folder, tmp_path / "moved")
    test = load(run, moved)
    rows = [row for row in read_manifest(run / "manifest.csv") if row.split == "test"]
    translator = Translations(run, ArrayCache(tmp_path / "other")).translator
    for label, slices in test.slices.items():
        mine = [row for row in rows if row.label == label]
        assert slices.groups.tolist() == [row.group for row in mine]
        for row, square in zip(mine, slices.squares.pixels):
            np.testing.assert_array_equal(square, _square(translator, phantom_folder / row.path, label))
        assert len(slices.training) == len(mine)
    assert not test.warnings and "own manifest" in test.origin
    # A test folder alone is enough: what is compared with is then half of it.
    for letter in "AB":
        shutil.rmtree(moved / f"train{letter}")
    alone = load(run, moved)
    assert all(len(slices.training) == 0 for slices in alone.slices.values()) and "own manifest" in alone.origin
    np.testing.assert_array_equal(alone.slices["CT"].squares.pixels, test.slices["CT"].squares.pixels)


def test_training_pictures_under_test_names_are_refused_by_name(run, load, phantom_folder, tmp_path):
    few, every = (shutil.copytree(phantom_folder, tmp_path / name) for name in ("few", "every"))
    files = sorted((few / "testA").iterdir())
    training = sorted((few / "trainA").iterdir())
    shutil.copy(training[0], files[1])
    with pytest.raises(UserError, match=rf"1 files are not the ones .* \(testA/{files[1].name}\)"):
        load(run, few)
    for letter in "AB":
        for source, target in zip((every / f"train{letter}").iterdir(), (every / f"test{letter}").iterdir()):
            shutil.copy(source, target)
    with pytest.raises(UserError, match="8 files are not the ones"):
        load(run, every)
    changed = shutil.copytree(phantom_folder, tmp_path / "changed")
    for file in (changed / "trainB").iterdir():
        Image.fromarray(np.asarray(Image.open(file)) // 2).save(file)
    with pytest.raises(UserError, match="trainB/"):
        load(run, changed)


def test_new_test_files_are_counted(run, load, phantom_folder, tmp_path):
    grown = shutil.copytree(phantom_folder, tmp_path / "grown")
    Image.fromarray(quantise(draw_phantom(4000, size=64).ct)).save(grown / "testA" / "new.png")
    assert load(run, grown).warnings == ("1 CT test files of grown are not in the run's manifest; left out",)


def test_other_data_leave_out_what_the_run_has_seen(run, load, save, phantom_folder, tmp_path):
    """Also what has the names of the run's own files, and copies in another format or mirrored."""
    other = tmp_path / "other"
    for letter, side in (("A", "ct"), ("B", "mri")):
        for number, file in enumerate(sorted((phantom_folder / f"test{letter}").iterdir())):
            save(other / f"test{letter}" / file.name, quantise(getattr(draw_phantom(7000 + number, size=48), side)))
    seen = np.asarray(Image.open(sorted((phantom_folder / "trainA").iterdir())[2]))
    save(other / "testA" / "mirrored.png", np.ascontiguousarray(seen[:, ::-1]))
    Image.fromarray(seen).save(other / "testA" / "copy.bmp")
    (other / "testA" / "cut.png").write_bytes((other / "testA" / "mirrored.png").read_bytes()[:300])
    test = load(run, other)
    assert {name: len(slices.squares) for name, slices in test.slices.items()} == {"CT": 4, "MRI": 4}
    said = " | ".join(test.warnings)
    assert "not the data that the run was trained on" in said
    assert "2 of 6 CT slices are in the run's training; left out" in said and "1 unusable files, left out" in said
    for letter in "AB":
        shutil.rmtree(other / f"test{letter}")
        shutil.copytree(phantom_folder / f"train{letter}", other / f"test{letter}")
    with pytest.raises(UserError, match="no usable CT slice in it that the run has not trained on"):
        load(run, other)


def test_leaks_of_given_folders_stand_in_the_head_of_the_report(untrained, report, phantom_folder, tmp_path):
    data = shutil.copytree(phantom_folder, tmp_path / "data")
    for name in ("head0.png", "head1.png"):
        shutil.copy(data / "trainA" / name, data / "testA" / name)
    run = untrained(tmp_path / "run", data=str(data), split="as-given")
    record = report(tmp_path / "out", "--translator", run)
    assert record["warnings"][0] == "2 of 6 CT test slices share a group with slices that the run was trained on"
    assert "2 of 6 CT test slices" in (tmp_path / "out" / "report.html").read_text().split("<section")[1]
    assert "pairs" not in record["sections"]
    # Six slices a side: distances of features would be refused with the reason, the rest still comes.
    assert record["sections"]["distribution"]["tables"]["distribution_CT2MRI"]["rows"][0]["swd"]["n"] == 4


@pytest.mark.parametrize("model", ["pix2pix", "cyclegan"])
def test_a_run_on_strips_is_judged_on_tiles(model, untrained, load, pairs, tmp_path):
    """Not on whole strips, and of the pairs that it held out."""
    run = untrained(tmp_path / "run", model=model, data=str(pairs))
    test = load(run, pairs)
    translations = Translations(run, ArrayCache(tmp_path / "other"))
    rows = [row for row in read_manifest(run / "manifest.csv") if row.split == "test"]
    names = [row.path for row in rows if row.label == "CT"]
    assert names == [f"test/{seed}.png" for seed in range(50, 56)]
    for number, name in enumerate(names):
        mri, ct, mask = np.split(np.asarray(Image.open(pairs / name)), 3, axis=1)
        for label, pixels in (("CT", ct), ("MRI", mri)):
            picture = Picture(pixels, head=mask > 0)
            square = prepare(picture, translations.translator.preparations[label], size=32)
            np.testing.assert_array_equal(test.slices[label].squares.pixels[number], quantise(square.pixels))
            np.testing.assert_array_equal(test.slices[label].masks.pixels[number], square.mask)
    aligned, fitting = own_pairs(test, translations)
    assert len(aligned) == 6 and aligned.group_count == 3 and len(fitting) > 2
    np.testing.assert_array_equal(aligned.images["CT"].pixels[-1], ct)
    np.testing.assert_array_equal(aligned.mask.pixels[-1], mask > 0)
    trained = {row.path for row in read_manifest(run / "manifest.csv") if row.split == "train"}
    assert {case.name for case in test.training_cases} == trained


def test_a_run_on_folders_of_pairs_is_judged_whole(untrained, report, save, pairs, tmp_path):
    for file in sorted(pairs.rglob("*.png")):
        for label, tile in zip(("MRI", "CT", "mask"), np.split(np.asarray(Image.open(file)), 3, axis=1)):
            save(tmp_path / "pairs" / file.parent.name / label / file.name, tile)
    run = untrained(tmp_path / "run", model="pix2pix", data=str(tmp_path / "pairs"), direction="both")
    record = report(tmp_path / "out", "--translator", run)
    tables = record["sections"]["pairs"]["tables"]
    assert {row["key"]: row["mae"]["n"] for row in tables["pairs_MRI2CT_head"]["rows"]} == dict.fromkeys(
        ("translator", "copy", "black", "table", "mean", "stranger"), 6
    )
    errors = []
    for seed in range(50, 56):
        mri, ct, mask = np.split(np.asarray(Image.open(pairs / "test" / f"{seed}.png")) / 255, 3, axis=1)
        errors.append(np.abs(mri - ct)[mask > 0].mean())
    assert tables["pairs_MRI2CT_head"]["rows"][1]["mae"]["value"] == pytest.approx(np.mean(errors), rel=1e-6)
    assert "the run's own test pairs" in record["provenance"]["Data and splits"]


def test_deep_files_are_judged_as_their_8_bit_copies(run, load, save, tmp_path):
    for seed in range(3):
        head = draw_phantom(8000 + seed, size=48)
        for letter, image in (("A", head.ct), ("B", head.mri)):
            save(tmp_path / "8" / f"test{letter}" / f"{seed}.png", quantise(image))
            (tmp_path / "12" / f"test{letter}").mkdir(parents=True, exist_ok=True)
            deep = np.round(image * 4095).astype(np.uint16)
            assert cv2.imwrite(str(tmp_path / "12" / f"test{letter}" / f"{seed}.png"), deep)
    shallow, deep = (load(run, tmp_path / bits) for bits in ("8", "12"))
    for label in ("CT", "MRI"):
        first, second = (test.slices[label].squares.pixels.astype(int) for test in (shallow, deep))
        assert first.max() > 150 and np.abs(first - second).mean() < 1.5
