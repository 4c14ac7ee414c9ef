"""What can be set, and what is written down."""

import subprocess
import sys
from pathlib import Path

import pytest

from common_tf.backbones import backbones
from common_tf.errors import UserError
from common_tf.runs.config import config_difference, config_text, options_of, save_config
from detector_tf.config import CONFIGS, load_detector_config, make_config

REPOSITORY = Path(__file__).resolve().parents[2]
CLASSIFY_ONLY = {
    "split", "positive", "median", "clahe", "dropout", "head_epochs", "head_learning_rate", "fine_tune_from",
    "label_smoothing", "class_weights",
}  # fmt: skip


def test_configs_are_read_without_tensorflow():
    code = "import sys; import detector_tf.config, train_detector; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY).returncode == 0


def test_a_task_has_only_what_says_something_for_it():
    classify, segment = (set(options_of(CONFIGS[task])) for task in ("classify", "segment"))
    assert classify - segment == CLASSIFY_ONLY and not segment - classify
    assert {"bad_files", "exclude", "framing", "window"} <= segment
    with pytest.raises(UserError, match="--set median=3: not a setting of this task; task classify has it"):
        make_config({"task": "segment", "median": "3"})


@pytest.mark.parametrize("values", [
    {}, {"data": "d"}, {"backbone": "original"}, {"backbone": "vgg16", "weights": "imagenet"},
    {"folds": 3, "data": "d"}, {"weights": "runs/a", "steps": 7}, {"task": "segment"},
    {"task": "segment", "data": "d", "window": "slice=0:80"},
])  # fmt: skip
def test_a_config_is_read_as_it_was_written(values, tmp_path):
    config = make_config(values)
    save_config(tmp_path / "config.yaml", config)
    assert load_detector_config(tmp_path) == config


@pytest.mark.parametrize("values, needs", [
    ({"filters": 8, "backbone": "vgg16"}, "backbone=small"),
    ({"phantoms": 9, "data": "d"}, "data=phantom"),
    ({"modality": "CT", "data": "d"}, "data=phantom"),
    ({"bad_files": "skip"}, "data!=phantom"),
    ({"bad_files": "skip", "task": "segment"}, "data!=phantom"),
    ({"exclude": "manifest.csv"}, "data!=phantom"),
    ({"positive": "lesion"}, "data!=phantom"),
    ({"split": "as-given"}, "data!=phantom"),
    ({"split": "as-given", "data": "d", "folds": 2}, "folds=0"),
    ({"test_share": 0.3, "folds": 2}, "folds=0"),
    ({"head_epochs": 2}, "weights!=none"),
    ({"head_learning_rate": 1e-3, "weights": "imagenet", "backbone": "vgg16", "head_epochs": 0}, "head_epochs"),
    ({"fine_tune_from": "logits"}, "weights!=none"),
])  # fmt: skip
def test_what_does_nothing_cannot_be_given_and_is_not_written(values, needs):
    name = next(iter(values))
    with pytest.raises(UserError, match=f"{name.replace('_', '.')}.*does nothing here; it needs .*{needs}"):
        make_config(values)
    rest = {other: value for other, value in values.items() if other != name}
    assert f"{name}:" not in config_text(make_config(rest))


def test_defaults_follow_from_task_and_backbone():
    small, segment = make_config({}), make_config({"task": "segment"})
    assert (small.network.backbone, small.network.side, small.optimisation.batch_size) == ("small", 128, 32)
    assert (small.data.framing, small.optimisation.epochs, small.run.save_every) == ("head", 60, 5)
    assert (segment.network.backbone, segment.network.filters, segment.optimisation.batch_size) == ("unet", 16, 8)
    assert (segment.data.framing, segment.optimisation.epochs, segment.optimisation.patience) == ("whole", 60, 20)
    original = make_config({"backbone": "original"})
    assert (original.network.side, original.optimisation.epochs, original.augmentation.flip) == (50, 20, False)
    assert (original.network.dropout, original.optimisation.label_smoothing) == (0, 0)
    started = make_config({"weights": "runs/a"})
    assert (started.optimisation.head_epochs, started.optimisation.learning_rate) == (5, 3e-4)
    large = make_config({"backbone": "vgg16", "weights": "imagenet"})
    assert (large.optimisation.batch_size, large.optimisation.learning_rate) == (16, 1e-5)
    assert make_config({"steps": 9}).optimisation.epochs == 0
    for name, module in backbones().items():
        task = "segment" if module.SEGMENTS else "classify"
        assert make_config({"backbone": name, "task": task}).network.side == module.SIZE


def test_one_folder_has_one_spelling():
    first, again = (make_config({"data": "d/", "weights": "runs/a", "exclude": "m.csv"}),
                    make_config({"data": "d", "weights": "runs/a/", "exclude": "m.csv"}))  # fmt: skip
    assert first == again
    # Where data and cache lie is not what is computed.
    elsewhere = make_config({"data": "e", "cache": "c", "weights": "runs/a", "exclude": "m.csv"})
    assert not config_difference(first, elsewhere)


@pytest.mark.parametrize("text, line", [
    ("format: 2\ntask: translate\n", "not the config of a detector"),
    ("format: 9\ntask: classify\n", "of format 9"),
    ("format: 2\ntask: classify\n", "a setting is never guessed"),
    ("model: cyclegan\n", "not the config of a detector"),
])  # fmt: skip
def test_foreign_configs_are_one_line(text, line, tmp_path):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(UserError, match=line):
        load_detector_config(tmp_path)
