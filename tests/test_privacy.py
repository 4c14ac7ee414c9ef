"""Nothing that is handed on knows a patient's name or a path of the machine: every file of every output is searched.

The name stands in the path of the data, in the EXIF, XMP and text of the pictures, and in the tags of the DICOM series;
file names are the user's own and go with the results.
"""

import base64
import gzip
import io
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pydicom
import pytest
from PIL import Image, PngImagePlugin

import evaluate
import export
import train_cyclegan
import train_detector
import translate
from common_tf.command_line import run_script
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.runs import giving
from common_tf.volumes.phantom import draw_head, write_drawn

pytestmark = pytest.mark.more

NAME = "Mustermann"
_EMBEDDED = re.compile(rb"base64,([A-Za-z0-9+/=]{20,})")
_TINY = ("--image-size", "32", "--set", "generator_filters=4", "--set", "discriminator_filters=4", "--steps", "2")


def _known_by_name(content: bytes, name: str) -> Iterator[str]:
    """Where the name stands in a file, looking into what is packed in it."""
    spelled = (NAME.encode(), NAME.encode("utf-16-le"), NAME.upper().encode())
    if any(word in content for word in spelled):
        yield name
    if content[:2] == b"\x1f\x8b":
        yield from _known_by_name(gzip.decompress(content), f"{name}, unpacked")
    elif content[:4] == b"PK\3\4":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for one in archive.namelist():
                yield from _known_by_name(archive.read(one), f"{name}: {one}")
    elif content[:8] == b"\x89PNG\r\n\x1a\n":
        text = " ".join(map(str, Image.open(io.BytesIO(content)).info.items()))  # packed texts and EXIF too
        yield from _known_by_name(text.encode(), f"{name}, its text")
    elif content[:4] == b"\x89HDF":
        with h5py.File(io.BytesIO(content)) as stream:
            words: list[str] = []
            stream.visititems(lambda place, item: words.append(f"{place} {dict(item.attrs)}"))
        yield from _known_by_name(" ".join(words).encode(), f"{name}, its names")
    for number, packed in enumerate(_EMBEDDED.findall(content)):
        yield from _known_by_name(base64.b64decode(packed), f"{name}, picture {number}")


def _names(folder: Path) -> list[str]:
    files = [file for file in folder.rglob("*") if file.is_file()]
    assert files
    return [where for file in files for where in _known_by_name(file.read_bytes(), file.relative_to(folder).as_posix())]


def _save(file: Path, image: np.ndarray) -> None:
    """With the name in whatever the format has room for."""
    file.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    exif[0x010E], exif[0x013B] = f"head of {NAME}", NAME  # description, artist
    text = PngImagePlugin.PngInfo()
    text.add_text("Patient", NAME)
    more = {"pnginfo": text} if file.suffix == ".png" else {"quality": 95, "comment": NAME.encode()}
    Image.fromarray(quantise(image)).save(file, exif=exif, **more)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A folder that is called like the patient, with every kind of data and a run of each kind."""
    place = tmp_path_factory.mktemp("of") / NAME
    for number in range(8):
        for split, letter, first, side in (
            ("train", "A", 0, "ct"),
            ("train", "B", 100, "mri"),
            ("test", "A", 50, "ct"),
            ("test", "B", 150, "mri"),
        ):
            image = getattr(draw_phantom(first + number, size=64), side)
            _save(place / "two" / f"{split}{letter}" / f"{number}.jpg", image)
        for side in ("CT", "MRI"):
            _save(
                place / "pairs" / "test" / side / f"{number}.png",
                getattr(draw_phantom(200 + number, size=64), side.lower()),
            )
        for label, chance in (("yes", 1.0), ("no", 0.0)):
            head = draw_phantom(300 + 20 * number + int(chance), size=64, lesion_probability=chance)
            _save(place / "classes" / label / f"{number}.png", head.mri)
    series = write_drawn(place / "volumes", draw_head(1, spacing=(6.0, 6.0, 12.0)).ct, name="one", as_dicom=True)
    for file in series.iterdir():
        dataset = pydicom.dcmread(file)
        for tag in (
            "PatientName",
            "PatientID",
            "InstitutionName",
            "OperatorsName",
            "StudyDescription",
            "PatientComments",
        ):
            setattr(dataset, tag, NAME)
        dataset.add_new((0x0009, 0x0010), "LO", NAME)
        dataset.save_as(file)
    detector = ("--image-size", "32", "--set", "filters=4", "--batch-size", "8", "--steps", "2")
    _run(train_cyclegan, "--data", place / "two", "--run", place / "translator", *_TINY, "--set", "shows=CT=0:80")
    _run(train_detector, "--data", place / "classes", "--run", place / "detector", *detector)
    return place


def _run(script, *words) -> None:
    assert run_script(script.main, [str(word) for word in words]) == 0


def test_the_search_finds_names(place, tmp_path):
    """Else the tests below could not fail."""
    assert _names(place / "two") and _names(place / "pairs") and _names(place / "volumes")
    (tmp_path / "a.nii.gz").write_bytes(gzip.compress(f"by {NAME}".encode()))
    (tmp_path / "b.html").write_text(
        f'<img src="data:;base64,{base64.b64encode(f"{NAME} and more".encode()).decode()}">'
    )
    with h5py.File(tmp_path / "c.h5", "w") as stream:
        stream.create_dataset("kernel", data=[1.0]).attrs["origin"] = np.bytes_(NAME)
    assert {where.partition(",")[0] for where in _names(tmp_path)} == {"a.nii.gz", "b.html", "c.h5"}


@pytest.mark.parametrize(("given", "extra"), [("two/trainA", ()), ("volumes", ()), ("volumes", ("--format", "nifti"))])
def test_translations(place, tmp_path, given, extra):
    words = (
        "--run",
        place / "translator",
        "--direction",
        "CT2MRI",
        "--input",
        place / given,
        "--output",
        tmp_path / "out",
    )
    _run(translate, *words, *extra)
    assert not _names(tmp_path / "out")


def test_a_report(place, tmp_path):
    words = "--translator", place / "translator", "--detector", place / "detector", "--pairs", place / "pairs"
    _run(evaluate, *words, "--data", place / "two", "--labelled", place / "classes", "--output", tmp_path / "out")
    assert not _names(tmp_path / "out")


def test_a_report_on_finished_pictures(place, tmp_path):
    sides = place / "pairs" / "test"
    _run(evaluate, "--real", sides / "CT", "--fake", sides / "MRI", "--paired", "--output", tmp_path / "out")
    assert not _names(tmp_path / "out")


def test_verdicts(place, tmp_path):
    _run(train_detector, "--run", place / "detector", "--predict", place / "classes", "--output", tmp_path / "out")
    assert not _names(tmp_path / "out")


@pytest.mark.parametrize("run", ["translator", "detector"])
def test_what_is_given_away_and_taken_away(place, tmp_path, run):
    _run(giving, place / run, tmp_path / "given")
    _run(export, "--run", place / run, "--format", "tflite", "--output", tmp_path / "taken")
    _run(export, "--run", place / run, "--format", "savedmodel", "--output", tmp_path / "saved")
    assert not [*_names(tmp_path / "given"), *_names(tmp_path / "taken"), *_names(tmp_path / "saved")]


def test_a_run_folder_but_for_the_place_of_its_data(place):
    """It may be handed on as it is; where the data lie is in its settings, which giving away drops."""
    for run in ("translator", "detector"):
        assert {where.partition(",")[0] for where in _names(place / run)} <= {"config.yaml"}
