"""A trained detector in use: the same pictures give the same probabilities; foreign and damaged files are named."""

import json
import shutil
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.pictures.intensity import quantise
from common_tf.pictures.phantom import draw_phantom
from common_tf.pictures.readers import read_file, read_picture
from detector_tf.inference import load_detector
from detector_tf.predictions import read_predictions


@pytest.fixture(scope="module")
def finished(train, class_folders, tmp_path_factory) -> Path:
    """A run with enhancement; never written to."""
    run = tmp_path_factory.mktemp("finished") / "run"
    words = ("--data", class_folders, "--run", run, "--epochs", 2, "--set", "clahe=true", "--set", "median=3")
    assert train(*words) == 0
    return run


@pytest.fixture
def run(finished, tmp_path) -> Path:
    """A copy of it."""
    return Path(shutil.copytree(finished, tmp_path / "run"))


def test_a_loaded_run_predicts_what_it_predicted(finished, class_folders):
    detector = load_detector(finished)
    rows = read_predictions(finished).select(split="test").rows
    pictures = [read_picture(class_folders / row["path"]) for row in rows]
    np.testing.assert_allclose(detector.probabilities(pictures)[:, 1], [float(row["p_yes"]) for row in rows], atol=1e-6)


def test_explained_pictures(train, run, class_folders, save, tmp_path, capsys):
    odd = tmp_path / "a$_$b.png"
    shutil.copy(class_folders / "yes" / "yes1.png", odd)
    latin = Path(str(tmp_path / "caf") + "\udce9.png")  # a name of bytes that are no UTF-8
    shutil.copy(odd, latin)
    assert train("--run", run, "--explain", class_folders / "no" / "no1.png", odd, latin) == 0
    printed = capsys.readouterr().out
    assert (run / "explained.png").exists() and "a$_$b.png: " in printed and "caf?.png: " in printed
    flat = save(tmp_path / "flat.png", np.zeros((9, 9), np.uint8))
    for bad, line in ((tmp_path / "missing.png", "missing.png"), (flat, "constant")):
        assert train("--run", run, "--explain", bad) == 2
        assert line in (error := capsys.readouterr().err) and error.count("\n") == 1


def test_deep_copies_are_judged_as_their_8_bit_originals(train, run, save, tmp_path):
    heads = [draw_phantom(seed, size=48, lesion_probability=1.0).mri for seed in range(3)]
    eight = [read_picture(save(tmp_path / f"{i}.png", quantise(head))) for i, head in enumerate(heads)]
    files = {
        f"d{i}": save(tmp_path / f"d{i}.png", np.round(head * 4095).astype(np.uint16)) for i, head in enumerate(heads)
    }
    read = {name: read_file(file) for name, file in files.items()}
    deep, facts = [picture for picture, _ in read.values()], {name: known for name, (_, known) in read.items()}
    detector = load_detector(run)
    with pytest.raises(ValueError, match="for_files"):
        detector.probabilities(deep)
    wanted = detector.probabilities(eight)
    np.testing.assert_allclose(detector.probabilities(deep, facts), wanted, atol=0.02)
    np.testing.assert_array_equal(detector.for_files(facts).probabilities(deep), detector.probabilities(deep, facts))
    assert train("--run", run, "--explain", files["d0"]) == 0


def _with_code(path: Path) -> None:
    """A whole model with a Lambda that would write a file where it is run."""
    inputs, trace = tf.keras.Input((4,)), str(path.with_name("executed"))

    def attack(x):
        open(trace, "w").close()
        return x

    tf.keras.Model(inputs, tf.keras.layers.Lambda(attack)(inputs)).save(path)
    assert Path(trace).exists()
    Path(trace).unlink()


@pytest.mark.filterwarnings("ignore::UserWarning")  # Keras advises against one of the kinds
@pytest.mark.parametrize("kind", ["model.h5", "model.keras", "archive", "text", "empty"])
def test_a_weights_file_of_another_kind_is_refused_and_never_run(kind, train, run, class_folders, tmp_path):
    weights = next((run / "weights").glob("detector-*.weights.h5"))
    made = tmp_path / kind
    if kind.startswith("model"):
        _with_code(made)
    elif kind == "archive":
        with zipfile.ZipFile(made, "w") as archive:
            archive.write(weights, "model.weights.h5")
    else:
        made.write_text("no weights" if kind == "text" else "")
    shutil.copy(made, weights)
    with pytest.raises(UserError, match=weights.name) as caught:
        load_detector(run)
    assert "\n" not in str(caught.value)
    assert train("--data", class_folders, "--run", tmp_path / "next", "--weights", run, "--seed", 3) == 2
    file = shutil.copy(made, tmp_path / "given.h5")
    assert train("--data", class_folders, "--run", tmp_path / "next", "--weights", file) == 2
    assert not (tmp_path / "executed").exists() and not (tmp_path / "next").exists()


def test_weights_of_another_network_are_refused(run):
    record = json.loads((run / "weights" / "detector.json").read_text())
    record["network"]["filters"] = 8
    (run / "weights" / "detector.json").write_text(json.dumps(record))
    with pytest.raises(UserError, match="not the weights of this small"):
        load_detector(run)


@pytest.mark.parametrize("name", ["detector.json", "weights/detector.json", "config.yaml", "predictions.csv"])
@pytest.mark.parametrize("content", [None, "", '{"classes":', "[]", "path,label\nx,y\n"])
def test_damaged_files_are_named_in_one_line(name, content, run):
    file = run / name
    file.unlink() if content is None else file.write_text(content)
    with pytest.raises(UserError, match=Path(name).name) as caught:
        read_predictions(run) if name == "predictions.csv" else load_detector(run)
    assert "\n" not in str(caught.value) and str(run) in str(caught.value)


def test_a_cut_record_of_the_best_weights_does_not_end_in_a_traceback(train, run, class_folders):
    (run / "weights" / "best.json").write_text('{"step": 1')
    words = ("--data", class_folders, "--run", run, "--epochs", 2, "--set", "clahe=true", "--set", "median=3")
    assert train(*words) == 0
    assert load_detector(run).classes == ("no", "yes")


def test_no_code_is_loaded_anywhere():
    for file in (Path(__file__).resolve().parents[2] / "detector_tf").rglob("*.py"):
        assert "load_model" not in file.read_text(), file


def test_arrays_alone_stand_in_the_weights(finished):
    with h5py.File(next((finished / "weights").glob("*.weights.h5"))) as stored:
        kinds = set()
        stored.visititems(lambda _, item: kinds.add(item.dtype.kind if isinstance(item, h5py.Dataset) else "group"))
    assert kinds == {"group", "f"}
