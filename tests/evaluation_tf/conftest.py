"""What the tests of the report share: runs that cost no training, and small data sets that are drawn here."""

import contextlib
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import evaluate
import train_detector
from common_tf.command_line import run_script
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import Phantom, draw_phantom
from common_tf.pictures.preparation import PREPARATION_FILE, save_preparations
from common_tf.runs.folder import RunFolder
from common_tf.runs.weights import save_weights
from cyclegan_tf.config import load_translator_config, make_config
from cyclegan_tf.data import load_training_data
from cyclegan_tf.systems import system_class
from cyclegan_tf.truth import score_phantom_run
from evaluation_tf import two_sample

_SMALL = {"image_size": 32, "generator": "unet", "generator_filters": 2, "precision": "float32"}


def _save(path: Path, pixels: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def _run(main: Callable, *words: object) -> int:
    with contextlib.redirect_stdout(io.StringIO()):
        return run_script(main, [str(word) for word in words])


@pytest.fixture(scope="session", autouse=True)
def _short_two_sample_tests():
    """What the network learns is asked in test_two_sample.py; reports are about what becomes of its answer."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(two_sample, "SIDE", 16)
        patch.setattr(two_sample, "EPOCHS", 2)
        yield


@pytest.fixture(scope="session")
def quietly() -> Callable[..., int]:
    """Runs a script's main function with words; returns its exit code."""
    return _run


@pytest.fixture(scope="session")
def save() -> Callable[[Path, np.ndarray], Path]:
    """Writes pixels as a picture file, with the folders above it."""
    return _save


@pytest.fixture
def refused(capsys) -> Callable[..., str]:
    """Runs evaluate.py with words that it must refuse, in one line; returns the line."""

    def check(*words: object) -> str:
        capsys.readouterr()
        assert _run(evaluate.main, *words) == 2, words
        complaint = capsys.readouterr().err
        assert complaint.startswith("error: ") and complaint.count("\n") == 1, complaint
        return complaint

    return check


@pytest.fixture(scope="session")
def report() -> Callable[..., dict]:
    """Runs evaluate.py into a folder; returns report.json."""

    def make(output: Path, *words: object) -> dict:
        assert _run(evaluate.main, *words, "--output", output) == 0, words
        return json.loads((output / "report.json").read_text())

    return make


@pytest.fixture(scope="session")
def untrained() -> Callable[..., Path]:
    """Makes the folder of a translator's run as its training would, with the weights it starts from."""

    def make(folder: Path, **given: object) -> Path:
        config = make_config({**_SMALL, **given})
        system = system_class(config.model)
        with RunFolder(folder, config, resume="never", load=load_translator_config) as run, _silence():
            data = load_training_data(config, paired=system.wants_pairs)
            counts = data.dataset.counts(data.splits, config.data.domain_names)
            run.begin(data.dataset.rows(data.splits), data.findings, counts=counts)
            save_preparations(folder / PREPARATION_FILE, {one.name: one.preparation for one in (data.a, data.b)})
            save_weights(folder, "best", system.build_inference(config, policy="float32"), {"step": 1})
        return folder

    return make


@pytest.fixture(scope="session")
def drawn_run(untrained, tmp_path_factory) -> Path:
    """A translator's run on drawn heads, with its scores."""
    run = untrained(tmp_path_factory.mktemp("runs") / "translator", phantoms=24)
    with _silence():
        score_phantom_run(run, load_translator_config(run))
    return run


@pytest.fixture(scope="session")
def detector_run(tmp_path_factory) -> Path:
    """A detector, trained for a moment on drawn heads."""
    run = tmp_path_factory.mktemp("runs") / "detector"
    words = ("--data", "phantom", "--image-size", 32, "--precision", "float32", "--epochs", 1)
    words += ("--set", "phantoms=60", "--set", "filters=4")
    assert _run(train_detector.main, "--run", run, *words) == 0
    return run


@pytest.fixture(scope="session")
def draw_pairs() -> Callable[..., Path]:
    """Draws strips of MRI, CT and head mask."""

    def make(folder: Path, seeds: Sequence[int]) -> Path:
        for seed in seeds:
            _save(folder / f"{seed}.png", np.hstack(sides(draw_phantom(seed, size=32))))
        return folder

    return make


def sides(head: Phantom) -> list[np.ndarray]:
    """MRI, CT and head mask of a drawn head, uint8."""
    return [quantise(head.mri), quantise(head.ct), 255 * head.head.astype(np.uint8)]


@pytest.fixture(scope="session")
def pairs(draw_pairs, tmp_path_factory) -> Path:
    """Strips of drawn heads under train/ and test/; two slices a patient."""
    folder = tmp_path_factory.mktemp("pairs")
    rows = ["file,patient"]
    for split, start, count in (("train", 0, 10), ("test", 50, 6)):
        draw_pairs(folder / split, range(start, start + count))
        rows += [f"{split}/{seed}.png,patient{seed // 2}" for seed in range(start, start + count)]
    (folder / "patients.csv").write_text("\n".join(rows))
    return folder


def _silence():
    return contextlib.redirect_stdout(io.StringIO())
