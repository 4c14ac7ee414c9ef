"""The trained weights that come with the repository work on a fresh clone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import translate
from common_tf.command_line import run_script
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.pictures.picture import Picture
from common_tf.runs.config import read_config_file
from common_tf.runs.folder import CONFIG_FILE
from common_tf.runs.giving import without_places
from common_tf.runs.saved_detector import MODEL_FILE
from cyclegan_tf.config import load_translator_config
from detector_tf.config import load_detector_config
from detector_tf.inference import load_detector

SHIPPED = sorted(path.parent for path in (Path(__file__).parents[1] / "checkpoints").glob("*/config.yaml"))
DETECTORS = [run for run in SHIPPED if (run / MODEL_FILE).exists()]
TRANSLATORS = [run for run in SHIPPED if run not in DETECTORS]


def test_there_are_both():
    assert TRANSLATORS and DETECTORS


@pytest.mark.parametrize("run", DETECTORS, ids=lambda path: path.name)
def test_judges_without_training(run):
    """A clear drawn lesion moves the probabilities, which are some; its threshold lies between them."""
    detector = load_detector(run)
    heads = [draw_phantom(4, size=200, lesion_probability=share).mri for share in (0, 1)]
    found = detector.probabilities([Picture(quantise(head)) for head in heads])
    assert found.shape == (2, len(detector.classes)) and 0 < detector.threshold < 1
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    assert np.abs(found[0] - found[1]).max() > 0.02


@pytest.mark.parametrize("run", TRANSLATORS, ids=lambda path: path.name)
def test_translates_without_training(run, tmp_path):
    """Drawn heads are not what it was trained on, but bone must lose its brightness and the size must stay."""
    phantom = draw_phantom(4, size=200, lesion_probability=0)
    Image.fromarray(quantise(phantom.ct)).save(tmp_path / "head.png")
    words = ["--run", run, "--direction", "CT2MRI", "--input", tmp_path / "head.png", "--output", tmp_path / "out"]
    assert run_script(translate.main, list(map(str, words))) == 0
    output = np.asarray(Image.open(tmp_path / "out" / "head.png")) / 255
    assert output.shape == (200, 200)
    bone = (phantom.ct > 0.95) & phantom.head
    assert output[bone].mean() < phantom.ct[bone].mean() - 0.1
    assert np.abs(output - phantom.ct)[phantom.head].mean() > 0.05
    assert output[~phantom.head].mean() < 0.1 < output[phantom.head].mean()


@pytest.mark.parametrize("run", SHIPPED, ids=lambda path: path.name)
def test_is_small_documented_and_says_nothing_of_its_maker(run):
    size = sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
    assert size < 20e6
    card = (run / "README.md").read_text()
    for word in ("Data", "split", "steps", "Limits", "not for diagnosis"):
        assert word in card, word
    load = load_detector_config if run in DETECTORS else load_translator_config
    config = load(run)
    assert without_places(read_config_file(run / CONFIG_FILE)) == read_config_file(run / CONFIG_FILE)
    assert not Path(config.data.data).is_absolute()
