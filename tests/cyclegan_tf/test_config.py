"""The config of a translator's training: written, read, and taken over from earlier versions."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from common_tf.errors import UserError
from common_tf.runs.config import FORMAT, config_text, save_config, values_of
from cyclegan_tf.config import load_translator_config, make_config
from cyclegan_tf.conversion import convert_run
from cyclegan_tf.systems import system_names, system_settings

REPOSITORY = Path(__file__).resolve().parents[2]
OLD = Path(__file__).with_name("data") / "old_checkpoint"


def test_configs_and_systems_are_known_without_tensorflow():
    code = (
        "import sys, cyclegan_tf.config as c; c.make_config({}); [c.config_type(n) for n in c.system_names()]; "
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("model", system_names())
def test_every_preset_comes_back_from_its_file(model, tmp_path):
    for preset in system_settings(model).PRESETS:
        config = make_config({"model": model, "preset": preset})
        save_config(tmp_path / "config.yaml", config)
        again = load_translator_config(tmp_path)
        assert config_text(again) == config_text(config)
        written = yaml.safe_load((tmp_path / "config.yaml").read_text())
        assert written["format"] == FORMAT and written["system"]


def test_nothing_is_written_that_does_nothing():
    text = config_text(make_config({}))
    for name in ("extractor", "edge_start", "tutorial_bottleneck", "bad_files", "split", "pair_order"):
        assert f"{name}:" not in text
    assert "extractor: efficientnetlite0" in config_text(make_config({"model": "medgan"}))


def _old(folder: Path, **changes) -> Path:
    run = shutil.copytree(OLD, folder / "run")
    values = yaml.safe_load((run / "config.yaml").read_text())
    values.update({name: value for name, value in changes.items() if value is not None})
    for name in [name for name, value in changes.items() if value is None]:
        del values[name]
    (run / "config.yaml").write_text(yaml.safe_dump(values))
    return run


def test_a_checkpoint_of_the_flat_form_is_read_and_converted(tmp_path):
    run = _old(tmp_path)
    before = load_translator_config(run)
    values = yaml.safe_load((run / "config.yaml").read_text())
    mine = values_of(before)
    # Without a weight the extractor says nothing, and its default is another now.
    assert all(mine[name] == value for name, value in values.items() if name in mine and name != "extractor")
    convert_run(run)
    assert yaml.safe_load((run / "config.yaml").read_text())["format"] == FORMAT
    assert load_translator_config(run) == before
    assert yaml.safe_load((run / "preparation.yaml").read_text())["CT"] == {
        "framing": "head", "reference": 0.90234375, "depth": 8, "low": 0.0, "high": 255.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "changes, message",
    [
        (dict(generator="resnet9"), "weights of resnet9 of an earlier version, which moved the picture"),
        (dict(model="unit"), "weights of unit of an earlier version"),
        (dict(learning_rate=None), "lacks learning_rate; restore the file"),
        (dict(speed=3), "unknown settings \\(speed\\)"),
        (dict(image_size="abc"), "image_size"),
    ],
)
def test_what_would_mean_something_else_now_is_refused(tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        load_translator_config(_old(tmp_path, **changes))


def test_unfinished_runs_of_the_flat_form_are_refused(tmp_path):
    run = _old(tmp_path)
    (run / "status.json").write_text('{"state": "unfinished", "step": 5}')
    with pytest.raises(UserError, match="an unfinished run of an earlier version"):
        load_translator_config(run)
    (run / "status.json").write_text('{"state": "complete", "step": 5}')
    assert load_translator_config(run).model == "cyclegan"


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda values: values["data"].pop("flip"), "lacks flip"),
        (lambda values: values["data"].update(speed=3), "unknown settings \\(speed\\)"),
        (lambda values: values["data"].update(image_size="abc"), "image_size: abc is no value"),
        (lambda values: values["data"].update(image_size=4), "must be 32 or more"),
        (lambda values: values.update(format=99), "of format 99"),
        (lambda values: values.update(model="nobody"), "--model nobody"),
    ],
)
def test_a_damaged_config_is_never_filled_with_todays_defaults(tmp_path, change, message):
    save_config(tmp_path / "config.yaml", make_config({}))
    values = yaml.safe_load((tmp_path / "config.yaml").read_text())
    change(values)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(values))
    with pytest.raises(UserError, match=message):
        load_translator_config(tmp_path)
