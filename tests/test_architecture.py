"""The house: imports point down, files stay small, and the scripts say what they are."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from cyclegan_tf.systems import system_names

REPOSITORY = Path(__file__).resolve().parents[1]
PACKAGES = ("common_tf", "cyclegan_tf", "detector_tf", "evaluation_tf", "export_tf", "serving_tf", "ctmri")
SCRIPTS = ("train_cyclegan.py", "train_detector.py", "translate.py", "evaluate.py", "export.py", "serve.py")
_ABOVE = {
    "common_tf": {"cyclegan_tf", "detector_tf", "evaluation_tf", "export_tf", "serving_tf", "ctmri"},
    "cyclegan_tf": {"detector_tf", "evaluation_tf", "export_tf", "serving_tf", "ctmri"},
    "detector_tf": {"cyclegan_tf", "evaluation_tf", "export_tf", "serving_tf", "ctmri"},
    "evaluation_tf": {"export_tf", "serving_tf", "ctmri"},
    "export_tf": {"evaluation_tf", "serving_tf", "ctmri"},
    "serving_tf": {"evaluation_tf", "export_tf"},
}
_LONGEST = 400


def _imported(file: Path) -> set:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", sorted(_ABOVE))
def test_imports_point_down(package):
    scripts = {name.removesuffix(".py") for name in SCRIPTS}
    for file in (REPOSITORY / package).rglob("*.py"):
        assert not _imported(file) & (_ABOVE[package] | scripts), file


def test_no_file_is_long():
    places = [*PACKAGES, "tests", "benchmarks"]
    files = [file for place in places for file in (REPOSITORY / place).rglob("*.py")]
    long = {str(file): lines for file in files if (lines := len(file.read_text().splitlines())) > _LONGEST}
    assert not long


def test_the_trainer_names_no_system():
    """Neither the ground floor nor the trainer compares anything with a system's name."""
    names = ("training.py", "trainable.py", "validation.py", "inference.py", "translation.py", "truth.py", "data.py")
    trainer = [REPOSITORY / "cyclegan_tf" / name for name in (*names, "adversarial.py", "translator.py")]
    for file in [*(REPOSITORY / "common_tf").rglob("*.py"), *trainer]:
        words = {node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)}
        assert not words & set(system_names()), file


def test_random_numbers_come_from_named_streams():
    """No generator is seeded by hand where something is trained or measured; drawn heads are a definition."""
    for package in PACKAGES:
        for file in (REPOSITORY / package).rglob("*.py"):
            if file.name not in ("randomness.py", "phantom.py"):
                assert "default_rng(" not in file.read_text(), file


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(script):
    done = subprocess.run([sys.executable, script, "--help"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0
    assert "usage:" in done.stdout and not done.stderr


def test_import_prints_nothing():
    code = (
        "import common_tf, detector_tf.training, evaluation_tf.evaluation, evaluation_tf.comparison, ctmri; "
        "import cyclegan_tf.training, cyclegan_tf.networks.spectral_normalization as a; "
        "import tensorflow as tf; "
        "a.spectral_normalization(tf.keras.layers.Conv2D(1, 1)); "
        "from detector_tf.augmentation import Augmentation"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
