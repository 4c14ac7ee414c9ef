"""The Python door gives what the scripts give."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import ctmri
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom

REPOSITORY = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def translator():
    return ctmri.load_translator(REPOSITORY / "checkpoints" / "ct_mri_fast")


def test_an_array_translates_as_its_file_does(translator, tmp_path):
    pixels = quantise(draw_phantom(3, size=96).ct)
    Image.fromarray(pixels).save(tmp_path / "head.png")
    done = ctmri.translate_path(translator, tmp_path / "head.png", direction="CT2MRI", output=tmp_path / "out")
    assert done.count == 1
    from_file = np.asarray(Image.open(tmp_path / "out" / "head.png"))
    result = ctmri.translate_array(translator, pixels, direction="CT2MRI")
    assert result.shape == pixels.shape and result.dtype == np.float32
    np.testing.assert_array_equal(quantise(result), from_file)
    stack = ctmri.translate_array(translator, np.stack([pixels] * 2) / 255.0, direction="ct2mri")
    np.testing.assert_array_equal(quantise(stack[1]), from_file)
    deep = ctmri.translate_array(translator, pixels.astype(np.uint16) * 10, direction="CT2MRI", window=(0, 2550))
    np.testing.assert_array_equal(quantise(deep), from_file)


def test_a_window_is_applied_once(translator):
    """Also with a run that was trained with a window of its own."""
    pixels = quantise(draw_phantom(3, size=96).ct)
    wanted = ctmri.translate_array(translator, pixels, direction="CT2MRI")
    own = replace(translator.preparations["CT"], depth=0, low=0.0, high=80.0)
    windowed = replace(translator, preparations={**translator.preparations, "CT": own})
    units = pixels.astype(np.float32) * 80 / 255
    found = ctmri.translate_array(windowed, units, direction="CT2MRI", window=(0, 80))
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    for window in ((0, 0), (80, 0), (0, np.inf)):
        with pytest.raises(ValueError, match="black below its white"):
            ctmri.translate_array(translator, pixels, direction="CT2MRI", window=window)


def test_what_cannot_be_is_said(translator, tmp_path):
    with pytest.raises(ctmri.UserError, match="CT2MRI and MRI2CT"):
        ctmri.translate_array(translator, np.zeros((8, 8)), direction="CT2PET")
    with pytest.raises(ValueError, match="wanted"):
        ctmri.translate_array(translator, np.zeros(8), direction="CT2MRI")
    with pytest.raises(ValueError, match="window"):
        ctmri.translate_array(translator, np.zeros((8, 8), np.int16), direction="CT2MRI")
    for function in (ctmri.load_translator, ctmri.load_detector):
        with pytest.raises(ctmri.UserError, match="no such folder"):
            function(tmp_path / "none")
    with pytest.raises(ctmri.UserError, match="nothing to evaluate"):
        ctmri.evaluate(output=tmp_path / "report")
    with pytest.raises(ctmri.UserError, match="--detector d: does not go with --compare"):
        ctmri.evaluate(output=tmp_path / "report", compare=["a", "b"], detector="d")


def test_importing_it_does_not_import_tensorflow():
    code = "import sys, ctmri; assert 'tensorflow' not in sys.modules; assert len(ctmri.__all__) == 6"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0
