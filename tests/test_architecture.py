"""The house: imports point down, and the scripts say what they are."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
_ABOVE = {
    "common_tf": {"cyclegan_tf", "detector_tf", "evaluation_tf"},
    "cyclegan_tf": {"detector_tf", "evaluation_tf"},
    "detector_tf": {"cyclegan_tf", "evaluation_tf"},
}


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
    for file in (REPOSITORY / package).rglob("*.py"):
        assert not _imported(file) & _ABOVE[package], file


def test_the_loop_names_no_system():
    """Neither the ground floor nor the trainer compares anything with a system's name."""
    sys.path.insert(0, str(REPOSITORY))
    from cyclegan_tf.translators import REGISTRY

    names = ("training.py", "validation.py", "inference.py", "truth.py")
    trainer = [REPOSITORY / "cyclegan_tf" / name for name in names]
    for file in [*(REPOSITORY / "common_tf").rglob("*.py"), *trainer]:
        words = {node.value for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Constant)}
        assert not words & set(REGISTRY), file


@pytest.mark.parametrize("script", ["train_cyclegan.py", "train_detector.py", "translate.py", "evaluate.py"])
def test_help(script):
    done = subprocess.run([sys.executable, script, "--help"], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0
    assert "usage:" in done.stdout and not done.stderr


def test_import_prints_nothing():
    code = (
        "import common_tf, detector_tf.training, evaluation_tf.evaluation, evaluation_tf.comparison; "
        "import cyclegan_tf.training, cyclegan_tf.networks.addons as a; "
        "import tensorflow as tf; "
        "a.spectral_normalization(tf.keras.layers.Conv2D(1, 1)); import keras_cv"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
