"""Troubles that people report of this kind of program, each through the scripts and named after it.

What lies behind each is tested where it lives; here stands that nothing of it gets lost on the way to the user. Damaged
checkpoints are in `common_tf/runs/test_checkpoints.py`, models that open elsewhere in `export_tf`.
"""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

import train_cyclegan
import train_detector
import translate
from common_tf.command_line import run_script
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from detector_tf.config import make_config
from detector_tf.tasks.segment.data import load_segmentation_data, prepare_slices
from detector_tf.tasks.task import preparations_of

REPOSITORY = Path(__file__).resolve().parents[1]
SHIPPED = REPOSITORY / "checkpoints" / "ct_mri_fast"
SMALL = ("--image-size", "32", "--set", "generator_filters=4", "--set", "discriminator_filters=4")
SMALL += ("--set", "validation_images=4", "--precision", "float32", "--set", "sample_images=1")
more = pytest.mark.more


def _run(script, *words, code: int = 0) -> None:
    assert run_script(script.main, [str(word) for word in words]) == code


def _save(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path)


def _head(seed: int, domain: str = "CT", size: int = 64, lesion: float = 0.0) -> np.ndarray:
    phantom = draw_phantom(seed, size=size, lesion_probability=lesion)
    return quantise(phantom.ct if domain == "CT" else phantom.mri)


@pytest.fixture
def two_domains(tmp_path) -> Path:
    for number, (letter, domain) in enumerate((("A", "CT"), ("B", "MRI"))):
        for k in range(8):
            _save(tmp_path / "set" / f"train{letter}" / f"{k}.png", _head(100 * number + k, domain))
    return tmp_path / "set"


@more
def test_blank_slices(tmp_path, capsys):
    """A volume exported slice by slice keeps its number and order of slices."""
    for k in range(6):
        blank = k in (0, 5)
        _save(tmp_path / "in" / f"z{k}.png", np.zeros((96, 96), np.uint8) if blank else _head(k, size=96))
    words = "--run", SHIPPED, "--direction", "CT2MRI", "--input", tmp_path / "in", "--output", tmp_path / "out"
    _run(translate, *words)
    made = {file.name: np.asarray(Image.open(file)) for file in (tmp_path / "out").glob("z*.png")}
    assert sorted(made) == [f"z{k}.png" for k in range(6)]
    assert [name for name, image in sorted(made.items()) if not image.any()] == ["z0.png", "z5.png"]
    assert "2 of 6 pictures have one value everywhere; theirs are background" in capsys.readouterr().out


def test_class_folders_unlike(tmp_path, capsys):
    for side, names in (("Training", ("glioma", "notumor", "pituitary")), ("Testing", ("glioma", "no_tumor"))):
        for number, name in enumerate(names):
            for k in range(3):
                _save(tmp_path / side / name / f"{k}.png", _head(100 * number + k + 50 * (side == "Testing"), "MRI"))
    _run(train_detector, "--data", tmp_path, "--run", tmp_path / "run", code=2)
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert all(name in said for name in ("no_tumor", "notumor", "pituitary")) and "fold" not in said.replace(
        "folder", ""
    )
    assert not (tmp_path / "run").exists()


@more
def test_data_path_spelled_otherwise(two_domains, tmp_path, capsys):
    words = (*SMALL, "--run", tmp_path / "run")
    _run(train_cyclegan, *words, "--data", two_domains, "--steps", 1)
    _run(train_cyclegan, *words, "--data", f"{two_domains}/", "--steps", 2)
    two_domains.rename(tmp_path / "moved")
    capsys.readouterr()
    _run(train_cyclegan, *words, "--data", tmp_path / "moved", "--steps", 3)
    assert "continuing after step 2" in capsys.readouterr().out
    _save(tmp_path / "moved" / "trainA" / "0.png", _head(999))
    _run(train_cyclegan, *words, "--data", tmp_path / "moved", "--steps", 4, code=2)
    assert "the data have changed" in capsys.readouterr().err


def test_masks_0_and_1(tmp_path):
    """Labels are written with 1 as often as with 255."""
    for patient in range(4):
        for k in range(3):
            phantom = draw_phantom(10 * patient + k, size=64, lesion_probability=1.0)
            lesion = np.asarray(phantom.lesion, bool)
            for name in ("ones", "full", "mixed"):
                value = 1 if name == "ones" or (name == "mixed" and patient == 3) else 255
                folder = tmp_path / name / f"P{patient}"
                _save(folder / f"s{k}.png", quantise(phantom.mri))
                _save(folder / f"s{k}_mask.png", lesion.astype(np.uint8) * value)
    found = []
    for name in ("full", "ones", "mixed"):
        given = {"task": "segment", "data": str(tmp_path / name), "image_size": 32, "cache": str(tmp_path / "cache")}
        config = make_config(given)
        data = load_segmentation_data(config)
        slices = prepare_slices(config, data.dataset, preparations_of(config, data.dataset, data.splits)[0])
        found.append(np.asarray(slices.lesions))
    assert found[0].any(axis=(1, 2)).all()
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


@more
def test_nested_and_other_formats(tmp_path, capsys):
    """What is read, and what is not, is counted; nothing is left out in silence."""
    for number, (letter, domain) in enumerate((("A", "CT"), ("B", "MRI"))):
        folder = tmp_path / "set" / f"train{letter}"
        for k, name in enumerate(
            ("a0.png", "a1.png", "b0.tif", "b1.tif", "c0.bmp", "patient0/0.png", "patient1/0.png")
        ):
            _save(folder / name, _head(1000 * number + k, domain))
        (folder / "notes.txt").write_text("none")
    words = "--data", tmp_path / "set", "--run", tmp_path / "run"
    _run(train_cyclegan, *words, *SMALL, "--steps", 1)
    said = capsys.readouterr().out
    assert "2 .txt" in said or "1 .txt" in said
    with open(tmp_path / "run" / "manifest.csv", newline="") as stream:
        assert sum("trainA" in row["path"] for row in csv.DictReader(stream)) == 7


@more
def test_patients_unknown_to_the_split(tmp_path, capsys):
    """Names that look like patients are warned of; patients.csv keeps each on one side."""
    rows = []
    for patient in range(10):
        label = "yes" if patient % 2 else "no"
        for k in range(3):
            name = f"{label}/P{patient:02d}_{k:02d}.png"
            _save(tmp_path / "set" / name, _head(100 * patient + k, "MRI", lesion=float(patient % 2)))
            rows.append((name, f"P{patient:02d}"))
    words = "--data", tmp_path / "set", "--folds", 5, "--image-size", 32, "--epochs", 1
    _run(train_detector, *words, "--run", tmp_path / "without")
    assert "patients.csv" in capsys.readouterr().out
    with open(tmp_path / "set" / "patients.csv", "w", newline="") as stream:
        csv.writer(stream).writerows([("file", "patient"), *rows])
    _run(train_detector, *words, "--run", tmp_path / "with")
    for manifest in (tmp_path / "with").glob("fold-*/manifest.csv"):
        with open(manifest, newline="") as stream:
            found = [(row["split"], Path(row["path"]).name[:3]) for row in csv.DictReader(stream)]
        sides = {side: {patient for where, patient in found if where == side} for side in ("train", "test")}
        assert sides["train"] and sides["test"] and not sides["train"] & sides["test"]


@more
def test_segment_new_slices(tmp_path, capsys):
    for patient in range(6):
        for k in range(2):
            phantom = draw_phantom(10 * patient + k, size=64, lesion_probability=1.0)
            _save(tmp_path / "set" / f"P{patient}" / f"s{k}.png", quantise(phantom.mri))
            _save(tmp_path / "set" / f"P{patient}" / f"s{k}_mask.png", np.asarray(phantom.lesion, np.uint8) * 255)
    run = tmp_path / "run"
    words = "--task", "segment", "--data", tmp_path / "set", "--image-size", 32, "--epochs", 1, "--set", "filters=4"
    _run(train_detector, *words, "--run", run)
    _save(tmp_path / "new" / "one.png", _head(77, "MRI", size=80))
    capsys.readouterr()
    _run(train_detector, "--run", run, "--explain", tmp_path / "new" / "one.png", code=2)
    assert "a segmentation run" in capsys.readouterr().err
    _run(train_detector, "--run", run, "--predict", tmp_path / "new", "--output", tmp_path / "masks")
    mask = np.asarray(Image.open(tmp_path / "masks" / "one_mask.png"))
    assert mask.shape == (80, 80) and set(np.unique(mask)) <= {0, 255}


def _as_hounsfield(seed: int) -> np.ndarray:
    phantom = draw_phantom(seed, size=64, lesion_probability=0.0)
    unit = phantom.ct.astype(np.float64)
    return np.where(unit > 0.9, 1200.0, np.where(unit < 0.05, -1000.0, 60 * unit))


@more
def test_signed_ct_as_offset_png(two_domains, tmp_path, capsys):
    """HU in 16-bit files: refused or warned of with the flag that helps, and never one gray for the whole head."""
    for k in range(8):
        stored = np.round(_as_hounsfield(k) + 1024).astype(np.uint16)
        cv2.imwrite(str(two_domains / "trainA" / f"{k}.png"), stored)
    _run(train_cyclegan, "--data", two_domains, "--run", tmp_path / "run", *SMALL, "--steps", 1)
    assert "--window CT=" in capsys.readouterr().out
    for k in range(8):
        stored = np.round(_as_hounsfield(k) + 32768).astype(np.uint16)
        cv2.imwrite(str(two_domains / "trainA" / f"{k}.png"), stored)
    _run(train_cyclegan, "--data", two_domains, "--run", tmp_path / "other", *SMALL, "--steps", 1, code=2)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--window CT=" in said


@more
def test_sixteen_bit_into_8bit_run(tmp_path, capsys):
    """The same head in 8, 12 and 16 bits is translated alike; what cannot be scaled is refused by name."""
    phantom = draw_phantom(1, size=192, lesion_probability=0.0)
    words = "--run", SHIPPED, "--direction", "CT2MRI"
    scaled = []
    for name, top in (("8", 255), ("12", 4095), ("16", 65535)):
        (tmp_path / name).mkdir()
        kind = np.uint8 if top == 255 else np.uint16
        cv2.imwrite(str(tmp_path / name / "s.png"), np.round(phantom.ct * top).astype(kind))
        _run(translate, *words, "--input", tmp_path / name, "--output", tmp_path / f"out{name}")
        image = cv2.imread(str(tmp_path / f"out{name}" / "s.png"), cv2.IMREAD_UNCHANGED)
        scaled.append(image / np.iinfo(image.dtype).max)
    for other in scaled[1:]:
        assert np.abs(other - scaled[0])[phantom.head].mean() < 3 / 255
    (tmp_path / "offset").mkdir()
    cv2.imwrite(str(tmp_path / "offset" / "s.png"), np.round(31744 + phantom.ct * 3000).astype(np.uint16))
    capsys.readouterr()
    _run(translate, *words, "--input", tmp_path / "offset", "--output", tmp_path / "none", code=2)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and "--window CT=" in said


@more
def test_strip_order(tmp_path, capsys):
    """Which tile is which domain is said before anything is trained."""
    for k in range(8):
        _save(tmp_path / "strips" / f"{k}.png", np.hstack([_head(k, "CT", 96), _head(k, "MRI", 96)]))
    words = ("--model", "pix2pix", *SMALL, "--steps", 1)
    _run(train_cyclegan, *words, "--data", tmp_path / "strips", "--run", tmp_path / "run")
    said = capsys.readouterr().out
    assert "strips are read from the left as " in said, said
