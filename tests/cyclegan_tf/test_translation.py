import contextlib
import csv
import io
import json
import shutil

import cv2
import numpy as np
import pytest
import skimage.data
from PIL import Image

import train_cyclegan
import translate
from common_tf.command_line import run_script
from common_tf.pictures.intensity import quantise

TINY = ["--image-size", "32", "--set", "generator=unet", "--set", "generator_filters=4"]
TINY += ["--set", "discriminator_filters=4"]


def _disc(level: float, seed: int, shape=(60, 80)) -> np.ndarray:
    """A textured disc on black: the simplest thing with a head."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    inside = np.hypot(y - shape[0] / 2, x - shape[1] / 2) < min(shape) * 0.4
    return np.where(inside, level + np.random.default_rng(seed).uniform(-0.08, 0.08, shape), 0).astype(np.float32)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run that has learnt that CT discs are dim and MRI discs are bright."""
    data = tmp_path_factory.mktemp("discs")
    for letter, level in (("A", 0.3), ("B", 0.8)):
        (data / f"train{letter}").mkdir()
        for seed in range(8):
            Image.fromarray(quantise(_disc(level, seed))).save(data / f"train{letter}" / f"{seed}.png")
    run = tmp_path_factory.mktemp("runs") / "run"
    words = [*TINY, "--data", data, "--run", run, "--steps", 80, "--save-every", 0, "--set", "ema_decay=0.5"]
    words += ["--set", "learning_rate=0.002", "--set", "decay_start=1", "--set", "validate_every_steps=1000"]
    words += ["--split", "as-given"]
    with contextlib.redirect_stdout(io.StringIO()):
        assert run_script(train_cyclegan.main, list(map(str, words))) == 0
    return run


@pytest.fixture
def inputs(tmp_path):
    """One file of each kind, all dim discs; some in a sub-folder."""
    folder = tmp_path / "in"
    folder.mkdir()
    dim = quantise(_disc(0.3, 50))
    Image.fromarray(dim).save(folder / "gray.png")
    Image.fromarray(dim).convert("RGB").save(folder / "colour.jpg", quality=95)
    Image.fromarray(quantise(_disc(0.3, 51, (45, 41)))).save(folder / "small.png")
    Image.fromarray(dim).convert("P").save(folder / "palette.png")
    cv2.imwrite(str(folder / "deep.png"), dim.astype(np.uint16) * 257)
    (folder / "patient1").mkdir()
    Image.fromarray(dim).save(folder / "patient1" / "page.tif")
    return folder


def _files(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def _loaded(path) -> Image.Image:
    with Image.open(path) as image:
        image.load()
    return image


def _translate(run, source, output, direction="CT2MRI", *more):
    words = ["--run", run, "--direction", direction, "--input", source, "--output", output, *more]
    return run_script(translate.main, list(map(str, words)))


def test_one_png_an_input_of_its_size_in_the_right_direction(run, inputs, tmp_path, capsys):
    assert _translate(run, inputs, tmp_path / "out") == 0
    assert "6 images translated" in capsys.readouterr().out
    for path in _files(inputs):
        place = path.relative_to(inputs).with_suffix(".png")
        before, after = _loaded(path), _loaded(tmp_path / "out" / place)
        assert after.size == before.size and after.mode == "L"
        height, width = after.size[1], after.size[0]
        centre = np.asarray(after)[height // 2 - 8 : height // 2 + 8, width // 2 - 8 : width // 2 + 8]
        assert centre.mean() > 130, path.name  # dim became bright
        assert np.asarray(after)[:2].mean() < 40  # and black stayed black


def test_the_other_direction(run, tmp_path):
    Image.fromarray(quantise(_disc(0.8, 9))).save(tmp_path / "bright.png")
    assert _translate(run, tmp_path / "bright.png", tmp_path / "out", "mri2ct") == 0
    assert np.asarray(Image.open(tmp_path / "out" / "bright.png"))[26:34, 36:44].mean() < 130


def test_what_is_no_head_is_said_by_name(run, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    Image.fromarray(skimage.data.text()).save(folder / "letter.png")
    Image.fromarray(quantise(_disc(0.8, 9))).save(folder / "head.png")
    assert _translate(run, folder, tmp_path / "out") == 0
    assert "1 pictures are unlike a head (letter.png: " in capsys.readouterr().out
    with open(tmp_path / "out" / "synthetic.csv", newline="") as stream:
        notices = {row["input"]: row["notice"] for row in csv.DictReader(stream)}
    assert "unlike a head" in notices["letter.png"] and "unlike a head" not in notices["head.png"]


def test_outputs_are_marked_as_synthetic(run, inputs, tmp_path):
    _translate(run, inputs, tmp_path / "out")
    for path in (tmp_path / "out").rglob("*.png"):
        text = Image.open(path).text
        assert text["Synthetic"] == "true" and "not for diagnosis" in text["Comment"]
    with open(tmp_path / "out" / "synthetic.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert {row["input"] for row in rows} == {path.relative_to(inputs).as_posix() for path in _files(inputs)}
    assert all(row["direction"] == "CT2MRI" and row["step"] == "80" for row in rows)
    assert (tmp_path / "out" / "contact_sheet.png").exists()


def test_batch_size_does_not_matter(run, inputs, tmp_path):
    for size in (1, 3):
        assert _translate(run, inputs, tmp_path / str(size), "CT2MRI", "--batch-size", size) == 0
    for path in inputs.glob("*.*"):
        first, second = (np.asarray(Image.open(tmp_path / s / f"{path.stem}.png")).astype(int) for s in "13")
        assert np.abs(first - second).max() <= 1


def test_weights_and_config_are_all_that_is_needed(run, inputs, tmp_path):
    shipped = tmp_path / "shipped"
    (shipped / "weights").mkdir(parents=True)
    for name in ("config.yaml", "preparation.yaml", "weights/best.json"):
        shutil.copy(run / name, shipped / name)
    for name in json.loads((run / "weights" / "best.json").read_text())["files"].values():
        shutil.copy(run / "weights" / name, shipped / "weights" / name)
    assert _translate(shipped, inputs, tmp_path / "a") == 0 and _translate(run, inputs, tmp_path / "b") == 0
    for path in (tmp_path / "a").glob("*.png"):
        np.testing.assert_array_equal(Image.open(path), Image.open(tmp_path / "b" / path.name))


def test_names_that_would_collide(run, inputs, tmp_path):
    shutil.copy(inputs / "gray.png", inputs / "colour.png")
    shutil.copy(inputs / "gray.png", inputs / "contact_sheet.png")
    assert _translate(run, inputs, tmp_path / "out") == 0
    names = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert {"colour.png.png", "colour.jpg.png", "contact_sheet.png.png", "contact_sheet.png"} <= names


def test_every_input_has_an_output_of_its_own(run, inputs, tmp_path):
    dim = Image.open(inputs / "gray.png")
    folder = tmp_path / "alike"
    folder.mkdir()
    for name in ("a.png", "a.jpg", "a.png.jpg", "A.bmp"):
        dim.save(folder / name)
    assert _translate(run, folder, tmp_path / "out") == 0
    assert len([path for path in (tmp_path / "out").glob("*.png") if path.name != "contact_sheet.png"]) == 4


def test_a_translation_replaces_only_its_own(run, inputs, tmp_path, capsys):
    assert _translate(run, inputs, tmp_path / "out") == 0
    before = {path: path.read_bytes() for path in _files(tmp_path / "out")}
    assert _translate(run, inputs, tmp_path / "out", "MRI2CT") == 2
    assert "was made of something else" in capsys.readouterr().err
    assert _translate(run, inputs, inputs / "out") == 2
    assert "lies inside the input" in capsys.readouterr().err and not (inputs / "out").exists()
    assert {path: path.read_bytes() for path in _files(tmp_path / "out")} == before
    assert _translate(run, inputs, tmp_path / "out") == 0
    assert set(_files(tmp_path / "out")) == set(before)


def test_a_window_of_the_other_domain_is_refused(run, inputs, tmp_path, capsys):
    assert _translate(run, inputs, tmp_path / "out", "CT2MRI", "--window", "MRI=0:100") == 2
    assert "--window MRI=0:100: wants one of CT" in capsys.readouterr().err


def test_somebody_elses_pictures_are_not_replaced(run, inputs, tmp_path, capsys):
    real = tmp_path / "real"
    real.mkdir()
    shutil.copy(inputs / "gray.png", real / "gray.png")
    before = (real / "gray.png").read_bytes()
    assert _translate(run, inputs, real) == 2
    assert "holds 1 files that are no translations (gray.png)" in capsys.readouterr().err
    assert (real / "gray.png").read_bytes() == before and len(list(real.iterdir())) == 1
    # A folder of translations may get more, and the same again.
    for source in (inputs, inputs, inputs / "small.png"):
        assert _translate(run, source, tmp_path / "out") == 0
    with open(tmp_path / "out" / "synthetic.csv", newline="") as stream:
        assert len(list(csv.DictReader(stream))) == 6
    (tmp_path / "out" / "letter.txt").write_text("mine")
    assert _translate(run, inputs, tmp_path / "out") == 2


@pytest.mark.parametrize("stored", ["12 of 16", "16 of 16", "offset"])
def test_deep_copies_of_a_head_translate_as_it_does_or_are_refused(run, tmp_path, capsys, stored):
    disc = _disc(0.3, 50)
    disc[28:32, 38:42] = 1  # as white as the scale goes
    for name in ("8bit", "deep"):
        (tmp_path / name).mkdir()
    Image.fromarray(quantise(disc)).save(tmp_path / "8bit" / "s.png")
    deep = {"12 of 16": disc * 4095, "16 of 16": disc * 65535, "offset": 31744 + disc * 3000}[stored]
    cv2.imwrite(str(tmp_path / "deep" / "s.png"), np.round(deep).astype(np.uint16))
    assert _translate(run, tmp_path / "8bit", tmp_path / "a") == 0
    capsys.readouterr()
    done = _translate(run, tmp_path / "deep", tmp_path / "b")
    printed = capsys.readouterr()
    if stored == "offset":
        assert done == 2 and "--window CT=31744:" in printed.err
        assert _translate(run, tmp_path / "deep", tmp_path / "b", "CT2MRI", "--window", "CT=31744:34744") == 0
    else:
        assert done == 0 and "0 is black and" in printed.out
    first, second = (np.asarray(Image.open(tmp_path / name / "s.png")).astype(int) for name in "ab")
    assert np.abs(first - second).mean() < 1


def test_files_that_are_not_read_are_counted(run, inputs, tmp_path, capsys):
    (inputs / "scan.dcm").write_bytes(bytes(128) + b"DICM")
    (inputs / "notes.txt").write_text("mine")
    assert _translate(run, inputs, tmp_path / "out") == 0
    assert "2 other files are not read: 1 .dcm, 1 .txt" in capsys.readouterr().out
    for path in _files(inputs):
        if path.suffix not in (".dcm", ".txt"):
            path.unlink()
    assert _translate(run, inputs, tmp_path / "more") == 2
    assert "no image files" in (error := capsys.readouterr().err) and "1 .dcm, 1 .txt" in error


def test_bad_input_is_one_line_and_writes_nothing(run, inputs, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    (tmp_path / "norun").mkdir()
    cases = [
        ((run, tmp_path / "empty", tmp_path / "out"), "no image files"),
        ((run, tmp_path / "absent", tmp_path / "out"), "no such file or folder"),
        ((tmp_path / "absent", inputs, tmp_path / "out"), "no such folder"),
        ((tmp_path / "norun", inputs, tmp_path / "out"), "config.yaml: not found"),
        ((run, inputs, tmp_path / "out", "CT2PET"), "translates CT2MRI and MRI2CT"),
        ((run, inputs, inputs), "that are no translations"),
        ((run, inputs, inputs / "gray.png"), "is a file"),
        ((run, inputs, tmp_path / "out", "CT2MRI", "--batch-size", 0), "--batch-size 0"),
    ]
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "text.png").write_text("no image")
    shutil.copy(inputs / "gray.png", tmp_path / "bad" / "good.png")
    cases.append(((run, tmp_path / "bad", tmp_path / "out"), "text.png: not an image"))
    for words, message in cases:
        assert _translate(*words) == 2
        printed = capsys.readouterr().err
        assert message in printed and printed.count("\n") == 1
        assert not (tmp_path / "out").exists()
        assert not list(tmp_path.glob(".writing*"))


def test_blank_slices_are_kept_as_background_and_counted(run, inputs, tmp_path, capsys):
    Image.fromarray(np.full((30, 40), 7, np.uint8)).save(inputs / "end.png")
    words = ["--run", run, "--direction", "CT2MRI", "--input", inputs, "--output", tmp_path / "out"]
    assert run_script(translate.main, list(map(str, words))) == 0
    assert "1 of 7 pictures have one value everywhere" in capsys.readouterr().out
    with Image.open(tmp_path / "out" / "end.png") as picture:
        assert picture.size == (40, 30) and np.array(picture).max() == 0
    with Image.open(tmp_path / "out" / "gray.png") as picture:
        assert np.array(picture).max() > 0
