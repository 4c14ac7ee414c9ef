"""Networks as files: they give what the run gives, run without this package, and are refused in a line where not."""

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import export
import train_cyclegan
import train_detector
from common_tf.command_line import run_script
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.pictures.picture import Picture
from cyclegan_tf.inference import load_translator
from detector_tf.inference import load_detector
from export_tf.formats import load
from export_tf.networks import networks_of

_HAS_ONNX = all(importlib.util.find_spec(name) for name in ("tf2onnx", "onnxruntime"))
FORMATS = [
    "savedmodel",
    "tflite",
    pytest.param(
        "onnx", marks=pytest.mark.skipif(not _HAS_ONNX, reason="wants tf2onnx and onnxruntime: pip install .[onnx]")
    ),
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[str, Path]:
    """A translator, a detector and a segmenter, all tiny."""
    folder = tmp_path_factory.mktemp("runs")
    words = ["--image-size", "64", "--steps", "1", "--set", "phantoms=16", "--set", "generator_filters=4"]
    words += ["--set", "discriminator_filters=4"]
    assert run_script(train_cyclegan.main, [*words, "--run", str(folder / "translator")]) == 0
    words = ["--image-size", "32", "--steps", "2", "--set", "phantoms=40", "--set", "filters=4", "--batch-size", "8"]
    assert run_script(train_detector.main, [*words, "--run", str(folder / "detector")]) == 0
    assert run_script(train_detector.main, [*words, "--task", "segment", "--run", str(folder / "segmenter")]) == 0
    return {name: folder / name for name in ("translator", "detector", "segmenter")}


def _export(*words: object) -> int:
    return run_script(export.main, [str(word) for word in words])


@pytest.mark.more
@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("name", ["translator", "detector", "segmenter"])
def test_a_file_gives_what_the_run_gives(runs, tmp_path, capsys, kind, name):
    out = tmp_path / "out"
    assert _export("--run", runs[name], "--format", kind, "--output", out) == 0
    assert "differ by at most" in capsys.readouterr().out
    for network in networks_of(runs[name]):
        about = json.loads((out / f"{network.name}.json").read_text())
        assert about["format"] == kind and about["input"]["shape"] == [1, network.side, network.side, 1]
        run = load(out / about["file"], kind)
        for seed in range(4):
            square = draw_phantom(seed, size=network.side).ct.astype(np.float32)
            made, wanted = run(square), network(square)
            np.testing.assert_allclose(made, wanted, atol=5e-4)
            assert np.abs(np.round(made * 255) - np.round(wanted * 255)).max() <= 1


def test_the_functions_are_those_of_the_runs(runs):
    squares = np.stack([draw_phantom(seed, size=64).ct for seed in range(3)]).astype(np.float32)
    translator = load_translator(runs["translator"])
    for network in networks_of(runs["translator"]):
        wanted = translator.translate(squares, translator.direction(network.name)[2])
        np.testing.assert_allclose([network(one)[..., 0] for one in squares], wanted, atol=1e-5)
    detector = load_detector(runs["detector"])
    (network,) = networks_of(runs["detector"])
    heads = [quantise(draw_phantom(seed, size=32).mri) for seed in range(3)]
    made = [network(detector.source.square(Picture(head)).astype(np.float32) / 255) for head in heads]
    np.testing.assert_allclose(made, detector.probabilities([Picture(head) for head in heads]), atol=1e-5)


@pytest.mark.more
@pytest.mark.parametrize("kind", FORMATS)
def test_the_example_runs_without_this_package(runs, tmp_path, kind):
    head = tmp_path / "head.png"
    Image.fromarray(quantise(draw_phantom(3, size=80).ct)).save(head)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    for name, example, more in (("translator", "CT2MRI", ["made.png"]), ("detector", "detector", [])):
        out = tmp_path / name
        assert _export("--run", runs[name], "--format", kind, "--output", out) == 0
        words = [sys.executable, "-I", f"example_{example}.py", str(head), *more]
        done = subprocess.run(words, cwd=out, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        if more:
            made = np.array(Image.open(out / "made.png"))
            assert made.shape == (64, 64) and made.max() > 0
        else:
            chances = eval(done.stdout)  # noqa: S307 (a dictionary that the example prints)
            assert set(chances) == {"healthy", "lesion"} and sum(chances.values()) == pytest.approx(1, abs=2e-3)
        assert "common_tf" not in (out / f"example_{example}.py").read_text()
        assert len((out / f"example_{example}.py").read_text().splitlines()) <= 38


@pytest.mark.more
def test_eight_bits_are_smaller_and_say_what_they_cost(runs, tmp_path, capsys):
    pictures = tmp_path / "pictures"
    pictures.mkdir()
    for seed in range(6):
        Image.fromarray(quantise(draw_phantom(seed, size=64).mri)).save(pictures / f"{seed}.png")
    sizes = {}
    for quantised, more in (("none", ()), ("dynamic", ()), ("int8", ("--calibrate", pictures))):
        out = tmp_path / quantised
        words = ("--run", runs["detector"], "--format", "tflite", "--output", out, "--quantise", quantised)
        assert _export(*words, *more) == 0
        sizes[quantised] = (out / "detector.tflite").stat().st_size
        about = json.loads((out / "detector.json").read_text())
        assert about["quantised"] == quantised and 0 <= about["largest_difference_from_the_run"] < 0.2
    assert sizes["int8"] < sizes["none"]


def test_what_cannot_be_exported_is_refused_and_leaves_nothing(runs, tmp_path, capsys, monkeypatch):
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").write_text("")
    run, out = runs["detector"], tmp_path / "out"
    for words, line in (
        (("--run", tmp_path / "none", "--format", "tflite", "--output", out), "no such folder"),
        (("--run", tmp_path / "used", "--format", "tflite", "--output", out), "config.yaml"),
        (("--run", run, "--format", "tflite", "--output", tmp_path / "used"), "is in use"),
        (("--run", run, "--format", "onnx", "--output", out, "--quantise", "dynamic"), "is for --format tflite"),
        (("--run", run, "--format", "tflite", "--output", out, "--quantise", "int8"), "want each other"),
        (("--run", run, "--format", "tflite", "--output", out, "--calibrate", tmp_path), "want each other"),
    ):
        assert _export(*words) == 2
        assert line in (error := capsys.readouterr().err) and error.count("\n") == 1
    words = ("--run", runs["translator"], "--format", "tflite", "--output", out, "--quantise", "int8")
    assert _export(*words, "--calibrate", tmp_path) == 2 and "has no folder CT" in capsys.readouterr().err
    monkeypatch.setattr("export_tf.formats._tflite", lambda *_: 1 / 0)
    assert _export("--run", run, "--format", "tflite", "--output", out) == 2
    assert "cannot be written as tflite (division by zero)" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    assert _export("--run", run, "--format", "onnx", "--output", out) == 2
    assert "pip install tf2onnx" in capsys.readouterr().err
    assert not out.exists() and not list(tmp_path.glob(".writing*"))
