"""The trained weights that come with the repository work on a fresh clone."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import translate
from common_tf.command_line import run_script
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from cyclegan_tf.config import load_translator_config

SHIPPED = sorted(path.parent for path in (Path(__file__).parents[1] / "checkpoints").glob("*/config.yaml"))


def test_there_is_one():
    assert SHIPPED


@pytest.mark.parametrize("run", SHIPPED, ids=lambda path: path.name)
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
    assert size < 10e6
    card = (run / "README.md").read_text()
    for word in ("Data", "split", "steps", "Limits", "not for diagnosis"):
        assert word in card, word
    assert not Path(load_translator_config(run).data.data).is_absolute()
