import argparse
import errno
import json
import os
import signal
from dataclasses import dataclass

import numpy as np
import pytest
import tensorflow as tf

from common_tf.command_line import run_script
from common_tf.errors import UserError
from common_tf.runs.checkpoints import Checkpoints, load_weights, save_weights
from common_tf.runs.config import add_flags, check_values, given_values, load_config, option, save_config
from common_tf.runs.files import replace_file
from common_tf.runs.folder import RunFolder
from common_tf.runs.history import History, read_history
from common_tf.runs.loop import Schedule, train


@dataclass(frozen=True)
class Config:
    steps: int = option(5, "length", flag=True, minimum=1)
    rate: float = option(0.5, "rate of 5 %")
    kind: str = option("x", "which", flag=True, choices=("x", "y"))
    fancy: bool = option(False, "switch")


def _parse(*words):
    parser = argparse.ArgumentParser()
    add_flags(parser, Config)
    return given_values(Config, parser.parse_args(words))


def test_flags_follow_from_fields():
    assert _parse() == {}
    assert _parse("--steps", "7", "--set", "rate=0.25", "--set", "fancy=true") == dict(steps=7, rate=0.25, fancy=True)


@pytest.mark.parametrize(
    "words, message",
    [
        (("--steps", "many"), "--steps many: must be a whole number"),
        (("--set", "speed=1"), "FIELD=VALUE with a field among"),
        (("--set", "rate"), "FIELD=VALUE"),
        (("--set", "fancy=maybe"), "true or false"),
    ],
)
def test_bad_flags(words, message):
    with pytest.raises(UserError, match=message):
        _parse(*words)


def test_values_are_checked():
    with pytest.raises(UserError, match="--kind z: must be one of x, y"):
        check_values(Config(kind="z"))
    with pytest.raises(UserError, match="--steps 0: must be 1 or more"):
        check_values(Config(steps=0))


def test_config_round_trip(tmp_path):
    config = Config(rate=0.1, fancy=True)
    save_config(tmp_path / "c.yaml", config)
    assert load_config(tmp_path / "c.yaml", Config) == config
    (tmp_path / "c.yaml").write_text("speed: 3\n")
    with pytest.raises(UserError, match="unknown settings"):
        load_config(tmp_path / "c.yaml", Config)


def test_replace_file_leaves_the_old_one_when_writing_fails(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def fail(path):
        path.write_text("half")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError):
        replace_file(target, fail)
    assert target.read_text() == "old" and os.listdir(tmp_path) == ["a.txt"]


def _open(path, config=Config(), resume="auto"):
    return RunFolder(path, config, resume=resume, budget=("steps",))


def test_folder_is_continued_refused_or_new(tmp_path):
    run = tmp_path / "run"
    with _open(run) as folder:
        assert not folder.resumed
        folder.begin()
    with _open(run, Config(steps=9)) as folder:
        assert folder.resumed
    with pytest.raises(UserError, match=r"another config \(rate: 0.5 -> 0.6\)"):
        _open(run, Config(rate=0.6))
    with pytest.raises(UserError, match="holds a run already"):
        _open(run, resume="never")


def test_a_folder_that_never_began_leaves_nothing(tmp_path):
    with pytest.raises(UserError), _open(tmp_path / "a" / "run"):
        raise UserError("bad data")
    assert not (tmp_path / "a" / "run").exists()


def test_foreign_folders_and_files_are_refused(tmp_path):
    (tmp_path / "thesis.txt").touch()
    with pytest.raises(UserError, match="no run folder"):
        _open(tmp_path)
    with pytest.raises(UserError, match="is a file"):
        _open(tmp_path / "thesis.txt")


def test_two_processes_cannot_train_in_one_folder(tmp_path):
    with _open(tmp_path / "run"), pytest.raises(UserError, match="another process"):
        _open(tmp_path / "run")


def _history(folder, step, every=4):
    return History(folder, every=every, step=step)


def _log(history, steps, flush=()):
    for step in steps:
        history.add(step, epoch=1, seconds=step, losses={"x": step}, flush=step in flush, figures={})


def test_history_means_flushes_and_continues(tmp_path):
    history = _history(tmp_path, 0)
    _log(history, range(1, 12), flush=(6,))
    history.close()
    assert [(line["step"], line["x"]) for line in read_history(tmp_path)] == [(4, 2.5), (6, 5.5), (8, 7.5)]
    with open(tmp_path / "history.jsonl", "a") as stream:
        stream.write('{"step": 10, "x"')  # a killed run's half line
    history = _history(tmp_path, 6)
    _log(history, range(7, 13))
    history.close()
    assert [(line["step"], line["x"]) for line in read_history(tmp_path)] == [(4, 2.5), (6, 5.5), (8, 7.5), (12, 10.5)]


def test_validation_figures_are_in_their_step(tmp_path):
    history = _history(tmp_path, 0)
    history.add(1, epoch=1, seconds=0.5, losses={"x": 1.0}, flush=False, figures={"score": 2.0})
    history.close()
    assert read_history(tmp_path) == [{"step": 1, "epoch": 1, "seconds": 0.5, "x": 1.0, "validation_score": 2.0}]


def test_schedule():
    schedule = Schedule(
        total_steps=25, steps_per_epoch=10, save_every_epochs=2, save_every_steps=7, validate_every_steps=0
    )
    assert [step for step in range(1, 26) if schedule.saves(step)] == [7, 14, 20, 21, 25]
    assert [step for step in range(1, 26) if schedule.validates(step)] == [10, 20, 25]
    assert [schedule.epoch(step) for step in (1, 10, 11, 25)] == [1, 1, 2, 3]


class _Counter(tf.Module):
    def __init__(self):
        super().__init__()
        self.value = tf.Variable(0.0)


def _run(folder, counter, total, fail_at=None, epoch_ended=lambda *_: None):
    checkpoints = Checkpoints(folder, keep=2, trainables={"counter": counter})
    checkpoints.restore()
    start = int(checkpoints.step)

    def step_function(batch, step):
        counter.value.assign_add(float(batch))
        return {"loss": tf.constant(float("nan") if int(step) + 1 == fail_at else 1.0)}

    saves = []
    history = _history(folder, start)
    try:
        done = train(
            train_step=step_function,
            batches=iter(range(start, 10**6)),
            schedule=Schedule(total, 5, 0, 3, 1000),
            checkpoints=checkpoints,
            history=history,
            validate=lambda step: {},
            saved=lambda step, path: saves.append(step),
            epoch_ended=epoch_ended,
        )
    finally:
        history.close()
    return done, saves


def test_loop_trains_saves_and_continues(tmp_path, capsys):
    counter = _Counter()
    assert _run(tmp_path, counter, 7) == (True, [3, 6, 7])
    again = _Counter()
    assert _run(tmp_path, again, 10) == (True, [9, 10])
    assert float(again.value) == sum(range(10))


def test_a_stop_at_any_moment_of_a_step_is_saved(tmp_path):
    """Also when it comes after that step's chance to save: then the next step ends the run."""

    def interrupt(*_):
        os.kill(os.getpid(), signal.SIGINT)

    counter = _Counter()
    assert _run(tmp_path, counter, 20, epoch_ended=interrupt) == (False, [3, 6])
    again = _Counter()
    assert _run(tmp_path, again, 8) == (True, [8])
    assert float(again.value) == sum(range(8))


def test_non_finite_loss_stops_and_keeps_the_last_good_state(tmp_path):
    with pytest.raises(UserError, match="step 8: the loss is not finite .*ckpt-2"):
        _run(tmp_path, _Counter(), 20, fail_at=8)
    kept = _Counter()
    _run(tmp_path, kept, 6)
    assert float(kept.value) == sum(range(6))


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    _run(tmp_path, _Counter(), 3)
    other = tf.Module()
    other.different = tf.Variable(tf.zeros([3]))
    with pytest.raises(UserError, match="cannot be restored"):
        Checkpoints(tmp_path, keep=2, trainables={"counter": other}).restore()


def _network():
    return tf.keras.Sequential([tf.keras.layers.Dense(2, input_shape=(3,))])


def test_weights_best_before_last(tmp_path):
    first, second, loaded = _network(), _network(), _network()
    save_weights(tmp_path, "last", {"net": first}, {"step": 9})
    assert load_weights(tmp_path, {"net": loaded})["step"] == 9
    save_weights(tmp_path, "best", {"net": first}, {"step": 3})
    save_weights(tmp_path, "best", {"net": second}, {"step": 5})
    assert load_weights(tmp_path, {"net": loaded})["step"] == 5
    np.testing.assert_array_equal(loaded.get_weights()[0], second.get_weights()[0])
    assert sorted(path.name for path in (tmp_path / "weights").glob("best*")) == [
        "best-0000005-net.weights.h5",
        "best.json",
    ]


def test_weights_missing_or_of_another_network(tmp_path):
    with pytest.raises(UserError, match="no weights"):
        load_weights(tmp_path, {})
    save_weights(tmp_path, "best", {"net": _network()}, {"step": 1})
    with pytest.raises(UserError, match="another network"):
        load_weights(tmp_path, {"net": tf.keras.Sequential([tf.keras.layers.Dense(7, input_shape=(3,))])})
    record = json.loads((tmp_path / "weights" / "best.json").read_text())
    (tmp_path / "weights" / record["files"]["net"]).unlink()
    with pytest.raises(UserError, match="missing"):
        load_weights(tmp_path, {"net": _network()})


def _raise(error):
    def main(argv):
        raise error

    return main


@pytest.mark.parametrize(
    "error, words",
    [
        (UserError("a file\nis bad"), "error: a file is bad\n"),
        (OSError(errno.ENOSPC, "No space left on device", "x.h5"), "error: x.h5: no space left on the disk"),
        (PermissionError(errno.EACCES, "Permission denied", "runs"), "error: runs: no permission"),
        (tf.errors.ResourceExhaustedError(None, None, "ckpt; No space left on device"), "no space left on the disk"),
    ],
)
def test_what_the_user_can_mend_is_one_line_and_code_2(error, words, capsys):
    assert run_script(_raise(error)) == 2
    printed = capsys.readouterr().err
    assert words in printed and printed.count("\n") == 1


def test_other_ends(capsys):
    assert run_script(lambda argv: None) == 0
    assert run_script(_raise(KeyboardInterrupt())) == 130
    with pytest.raises(ZeroDivisionError):
        run_script(_raise(ZeroDivisionError()))
