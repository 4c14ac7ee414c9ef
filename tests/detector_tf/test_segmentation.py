import json

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

import train_detector
from common_tf.command_line import run_script
from common_tf.images.intensity import quantise
from common_tf.images.phantom import draw_phantom
from detector_tf.losses import classification_loss, segmentation_loss
from detector_tf.segmentation import best_intensity_threshold, patient_dice

TINY = ("--task", "segment", "--image-size", "32", "--set", "filters=4", "--batch-size", "4")


def _train(*words) -> int:
    return run_script(train_detector.main, [str(word) for word in words])


@pytest.fixture(scope="module")
def patients(tmp_path_factory):
    """Four patients with three slices each: RGB images beside masks."""
    folder = tmp_path_factory.mktemp("patients")
    for patient in range(4):
        place = folder / f"patient{patient}"
        place.mkdir()
        for number in range(3):
            head = draw_phantom(10 * patient + number, size=48, lesion_probability=1.0)
            Image.fromarray(np.stack([quantise(head.mri)] * 3, -1)).save(place / f"slice{number}.tif")
            Image.fromarray(head.lesion.astype(np.uint8) * 255).save(place / f"slice{number}_mask.tif")
    return folder


def test_folds_by_patient(patients, tmp_path, capsys):
    run = tmp_path / "run"
    assert _train("--data", patients, "--run", run, "--folds", 4, "--epochs", 1, "--channels", 3, *TINY) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    assert set(metrics["per_patient"]) == {f"patient{i}" for i in range(4)}
    assert metrics["dice"]["n"] == 4 and metrics["slices"] == 12
    assert np.mean(list(metrics["per_patient"].values())) == pytest.approx(metrics["dice"]["value"])
    assert (run / "segmentation.png").exists()
    assert "intensity threshold" in capsys.readouterr().out


def test_phantoms_and_continuation(tmp_path):
    run = tmp_path / "run"
    words = ["--run", run, "--set", "phantoms=16", *TINY]
    assert _train(*words, "--epochs", 1) == 0
    assert _train(*words, "--epochs", 2) == 0
    status = json.loads((run / "status.json").read_text())
    assert status["step"] == status["total_steps"]


def test_bad_folders_are_one_line(patients, tmp_path, capsys):
    assert _train("--data", tmp_path, "--run", tmp_path / "run", *TINY) == 2
    assert "_mask" in capsys.readouterr().err
    assert _train("--data", patients, "--run", tmp_path / "run", "--folds", 9, *TINY) == 2
    assert "4 patients" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_patient_dice_pools_the_slices_of_a_patient():
    truth, found = np.zeros((3, 2, 2), bool), np.zeros((3, 2, 2), bool)
    truth[0], found[0, 0], found[1, 0, 0] = True, True, True
    values = patient_dice(found, truth, np.array(["a", "a", "b"]))
    assert values == {"a": pytest.approx(2 * 2 / (3 + 4)), "b": 1.0}


def test_intensity_floor_finds_the_best_level():
    random = np.random.default_rng(0)
    images = random.integers(0, 256, (3, 16, 16), dtype=np.uint8)
    masks = images > random.normal(180, 20, images.shape)
    best = best_intensity_threshold(images, masks)
    overlaps = [2 * ((images >= t) & masks).sum() / ((images >= t).sum() + masks.sum()) for t in range(256)]
    assert overlaps[best] == pytest.approx(max(overlaps))


def test_segmentation_loss_by_hand():
    logits = tf.constant([[[[0.0], [20.0]]]])
    masks = tf.constant([[[[0.0], [1.0]]]])
    loss, overlap = segmentation_loss(logits, masks)
    assert float(overlap) == pytest.approx((2 * 1 + 1) / (1.5 + 1 + 1), rel=1e-5)
    assert float(loss) == pytest.approx(np.log(2) / 2 + 1 - 3 / 3.5, rel=1e-5)


@pytest.mark.parametrize("classes", [2, 3])
def test_classification_loss_against_keras(classes):
    random = np.random.default_rng(0)
    labels = random.integers(0, classes, 7)
    logits = random.normal(size=(7, 1 if classes == 2 else classes)).astype(np.float32)
    weights = np.linspace(0.5, 2, classes).astype(np.float32)
    loss, accuracy = classification_loss(
        tf.constant(logits), tf.constant(labels, tf.int32), classes=classes, class_weights=weights, label_smoothing=0.1
    )
    if classes == 2:
        keras = tf.keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1)
        expected = keras(labels[:, None], logits, sample_weight=weights[labels])
        right = (logits[:, 0] > 0) == labels
    else:
        keras = tf.keras.losses.CategoricalCrossentropy(from_logits=True, label_smoothing=0.1)
        expected = keras(np.eye(classes)[labels], logits, sample_weight=weights[labels])
        right = logits.argmax(axis=1) == labels
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    assert float(accuracy) == pytest.approx(right.mean())
