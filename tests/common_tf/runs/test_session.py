"""The training loop: continuation, recovery, and records that say what happened."""

import json
import os
import shutil
import signal

import numpy as np
import pytest
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.runs.environment import enter_environment
from common_tf.runs.history import read_history
from common_tf.runs.schedule import Schedule
from common_tf.runs.session import Session, read_status
from common_tf.runs.weights import load_weights, save_weights, weights_record


class Counter:
    """Adds up its batches; its exports are a network of one weight, the sum."""

    def __init__(self, folder, *, fail_at=None, scores=None):
        self.folder, self.fail_at, self.scores = folder, fail_at, scores or {}
        self.state = tf.Module()
        self.state.total = tf.Variable(0.0)
        self.exported = []

    def trained(self):
        return [self.state.total]

    def train_step(self, batch, step):
        self.state.total.assign_add(float(batch))
        return {"loss": tf.constant(float("nan") if int(step) + 1 == self.fail_at else float(batch))}

    def validate(self, step):
        return {"score": self.scores.get(step, 1.0), "other": float(step)}

    def export(self, kind, record):
        self.exported.append((kind, record["step"]))
        save_weights(self.folder, kind, {"net": _network(float(self.state.total))}, record)


def _network(value=0.0):
    network = tf.keras.Sequential([tf.keras.Input((1,)), tf.keras.layers.Dense(1, use_bias=False, name="total")])
    network.set_weights([np.array([[value]], np.float32)])
    return network


def _session(folder, *, total=20, counter=None, saves=3, validates=1000, patience=0, figure="a score", **options):
    schedule = Schedule(
        total_steps=total,
        steps_per_epoch=5,
        save_every_epochs=0,
        save_every_steps=saves,
        validate_every_steps=validates,
        log_every=4,
        patience_steps=patience,
    )
    environment = enter_environment(folder, "float32", deterministic=False)
    counter = counter or Counter(folder)
    folder.mkdir(exist_ok=True, parents=True)
    return Session(folder, counter, schedule, environment, keep=2, figure=figure, **options)


def _run(folder, **options):
    session = _session(folder, **options)
    return session.run(lambda start: iter(range(start, 10**6))), session.trainable


def _total(folder):
    network = _network()
    record = json.loads((folder / "weights" / "last.json").read_text())
    network.load_weights(str(folder / "weights" / record["files"]["net"]))
    return network.get_weights()[0].item()


def _status(folder):
    status = read_status(folder)
    return status["state"], status["step"], status["checkpoint"]


def _lines(folder):
    """The history without its times."""
    return [{name: value for name, value in line.items() if name != "seconds"} for line in read_history(folder)]


def test_it_trains_saves_and_goes_on_where_it_stopped(tmp_path):
    first, counter = _run(tmp_path / "a", total=7)
    assert (first.done, first.step, first.trained) == (True, 7, True) and first.minutes >= 0
    assert [step for kind, step in counter.exported if kind == "last"] == [3, 6, 7]
    second, _ = _run(tmp_path / "a", total=20)
    whole, _ = _run(tmp_path / "b", total=20)
    assert (second.done, second.step) == (whole.done, whole.step) == (True, 20)
    assert _total(tmp_path / "a") == _total(tmp_path / "b") == sum(range(20))
    # The lines of the stop after step 7 apart, the histories are one.
    steps = {line["step"] for line in _lines(tmp_path / "b")}
    assert {line["step"] for line in _lines(tmp_path / "a")} == steps | {7}
    assert _status(tmp_path / "a")[:2] == ("complete", 20)


def test_a_complete_run_is_not_trained_and_says_its_own_length(tmp_path):
    _run(tmp_path, total=7)
    session = _session(tmp_path, total=3)
    assert session.is_complete
    outcome = session.run(lambda start: pytest.fail("asked for batches"))
    assert (outcome.done, outcome.step, outcome.trained) == (True, 7, False)
    status = read_status(tmp_path)
    assert (status["state"], status["step"], status["total_steps"]) == ("complete", 7, 7)


def test_a_killed_run_equals_an_uninterrupted_one(tmp_path):
    """Killed between two saves: what was not saved is done again, and its records are written again."""
    scores = {5: 0.5, 10: 0.25, 15: 0.75, 20: 0.2}

    class Killed(BaseException):
        pass

    def die(number, *_):
        if number == 2:  # after step 10; the last save was after step 9
            raise Killed

    for folder in (tmp_path / "killed", tmp_path / "whole"):
        options = dict(validates=5, counter=Counter(folder, scores=scores))
        if folder.name == "killed":
            with pytest.raises(Killed):
                _run(folder, epoch_lines=die, **options)
            assert _status(folder) == ("unfinished", 9, "checkpoints/ckpt-3")
            assert weights_record(folder)["step"] == 10  # a best that the checkpoint does not know
            options["counter"] = Counter(folder, scores=scores)
        _run(folder, **options)
    assert _lines(tmp_path / "killed") == _lines(tmp_path / "whole")
    for name in ("weights/best.json", "weights/last.json"):
        assert (tmp_path / "killed" / name).read_text() == (tmp_path / "whole" / name).read_text()
    assert _total(tmp_path / "killed") == _total(tmp_path / "whole")


def test_a_stop_at_any_moment_of_a_step_is_saved(tmp_path):
    """Also when it comes after that step's chance to save: then the next step ends the run."""

    def interrupt(*_):
        os.kill(os.getpid(), signal.SIGINT)

    outcome, counter = _run(tmp_path, epoch_lines=interrupt)
    assert (outcome.done, outcome.step) == (False, 6)
    assert [step for kind, step in counter.exported if kind == "last"] == [3, 6]
    assert _status(tmp_path)[:2] == ("unfinished", 6)
    _run(tmp_path, total=8)
    assert _total(tmp_path) == sum(range(8))


def test_a_loss_that_is_not_finite_stops_and_keeps_the_last_good_state(tmp_path):
    with pytest.raises(UserError, match="step 8: the loss is not finite .*ckpt-2; try a lower"):
        _run(tmp_path, counter=Counter(tmp_path, fail_at=8))
    assert _status(tmp_path) == ("unfinished", 6, "checkpoints/ckpt-2")
    with pytest.raises(UserError, match="step 1: .* nothing had been saved yet"):
        _run(tmp_path / "new", counter=Counter(tmp_path / "new", fail_at=1))


def test_epochs_report_their_means(tmp_path):
    lines = []
    _run(
        tmp_path,
        total=12,
        epoch_lines=lambda number, seconds, means, path, display: lines.append((number, means, path)),
    )
    assert [(number, means) for number, means, _ in lines] == [(1, {"loss": 2.0}), (2, {"loss": 7.0})]
    assert [path for _, _, path in lines] == [None, None]


def test_an_equal_score_is_not_better(tmp_path):
    """Also where it has been computed in single precision, of which the double of the best is not the nearest."""
    scores = {step: np.float32(0.1) for step in (2, 4)} | {6: tf.constant(0.1), 8: 0.2}
    _, counter = _run(tmp_path, total=8, validates=2, counter=Counter(tmp_path, scores=scores))
    assert [step for kind, step in counter.exported if kind == "best"] == [2]
    assert read_status(tmp_path)["best_step"] == 2
    _, again = _run(tmp_path, total=10, validates=2, counter=Counter(tmp_path, scores={10: np.float32(0.1)}))
    assert not [step for kind, step in again.exported if kind == "best"]


def test_another_figure_chooses_anew(tmp_path, capsys):
    """Scores of two figures are no numbers of one scale."""
    _run(tmp_path, total=4, validates=2, counter=Counter(tmp_path, scores={2: 0.1, 4: 0.2}))
    assert weights_record(tmp_path)["step"] == 2
    capsys.readouterr()
    _run(tmp_path, total=8, validates=2, figure="other", counter=Counter(tmp_path, scores={6: 50.0, 8: 60.0}))
    assert weights_record(tmp_path)["step"] == 6 and capsys.readouterr().out.count("chosen by another figure") == 1
    _run(tmp_path, total=10, validates=2, figure="other", counter=Counter(tmp_path, scores={10: 55.0}))
    assert weights_record(tmp_path)["step"] == 6


def test_a_score_that_is_not_defined_is_no_best_and_no_nan_in_the_records(tmp_path):
    scores = {2: float("nan"), 4: float("inf"), 6: 0.5}
    _run(tmp_path, total=6, validates=2, counter=Counter(tmp_path, scores=scores))
    assert weights_record(tmp_path)["step"] == 6
    assert [line["validation_score"] for line in read_history(tmp_path) if "validation_score" in line] == [
        None,
        None,
        0.5,
    ]
    new = _session(tmp_path / "new")
    assert new.restored is None and read_status(tmp_path / "new")["best_score"] is None


def test_patience_ends_a_run_and_it_stays_ended(tmp_path):
    scores = {2: 0.5, 4: 0.4, 6: 0.6, 8: 0.7}
    options = dict(validates=2, patience=4, total=20)
    outcome, _ = _run(tmp_path, counter=Counter(tmp_path, scores=scores), **options)
    assert (outcome.done, outcome.step) == (True, 8)
    assert _status(tmp_path)[0] == "complete"
    assert _session(tmp_path, **options).is_complete


# What a lost session leaves.


def test_a_status_that_a_kill_left_behind_is_written_again(tmp_path):
    """Killed between the checkpoint and its record: the files say more than the status."""
    _run(tmp_path, total=9)
    stale = (
        (tmp_path / "status.json").read_text().replace('"step": 9', '"step": 6').replace('"complete"', '"unfinished"')
    )
    (tmp_path / "status.json").write_text(stale)
    assert _status(tmp_path)[:2] == ("unfinished", 6)
    _session(tmp_path, total=9)
    assert _status(tmp_path) == ("complete", 9, "checkpoints/ckpt-3")


def test_weights_that_a_kill_left_behind_are_exported_again(tmp_path):
    """Killed between the last checkpoint and its export: nothing would be trained, and so nothing exported, again."""
    _run(tmp_path / "run", total=6)
    shutil.copytree(tmp_path / "run" / "weights", tmp_path / "old")
    _run(tmp_path / "run", total=9)
    shutil.rmtree(tmp_path / "run" / "weights")
    shutil.copytree(tmp_path / "old", tmp_path / "run" / "weights")
    session = _session(tmp_path / "run", total=9)
    assert session.is_complete and session.trainable.exported == [("last", 9)]
    assert _total(tmp_path / "run") == sum(range(9))
    assert not _session(tmp_path / "run", total=9).trainable.exported


def test_a_run_with_saved_steps_and_no_checkpoint_never_starts_at_0(tmp_path):
    _run(tmp_path, total=9)
    shutil.rmtree(tmp_path / "checkpoints")
    history = (tmp_path / "history.jsonl").read_text()
    for lost in (None, "history.jsonl", "status.json"):
        if lost:
            (tmp_path / "kept").mkdir(exist_ok=True)
            (tmp_path / lost).rename(tmp_path / "kept" / lost)
        with pytest.raises(UserError, match="holds no checkpoint, but .* says that the run has made steps; put back"):
            _session(tmp_path)
        if lost:
            (tmp_path / "kept" / lost).rename(tmp_path / lost)
    assert (tmp_path / "history.jsonl").read_text() == history
    assert _status(tmp_path)[1] == 9


def test_a_run_killed_before_its_first_save_starts_again(tmp_path):
    """Also one whose best weights were exported; they are no checkpoint."""

    class Killed(BaseException):
        pass

    def die(*_):
        raise Killed

    with pytest.raises(Killed):
        _run(tmp_path, saves=100, validates=4, epoch_lines=die)
    assert len(read_history(tmp_path)) == 1 and (tmp_path / "weights" / "best.json").exists()
    outcome, _ = _run(tmp_path, saves=100, total=8)
    assert outcome.step == 8 and _total(tmp_path) == sum(range(8))
    assert [line["step"] for line in read_history(tmp_path)] == [4, 8]


@pytest.mark.parametrize("content", ["", '{"step": 9', "[]"])
def test_a_damaged_status_is_written_again_or_named_with_a_way_out(tmp_path, content):
    _run(tmp_path, total=9)
    (tmp_path / "status.json").write_text(content)
    with pytest.raises(UserError, match="status.json: .*continue the run, which writes it again"):
        read_status(tmp_path)
    _session(tmp_path)
    assert _status(tmp_path)[1] == 9
    (tmp_path / "status.json").write_text(content)
    shutil.rmtree(tmp_path / "checkpoints")
    with pytest.raises(UserError, match="status.json: .*put back a copy of it, or choose another --run folder"):
        _session(tmp_path)


def test_a_damaged_newest_checkpoint_costs_the_steps_behind_it_and_nothing_else(tmp_path, capsys):
    _run(tmp_path / "a", total=9)
    data = tmp_path / "a" / "checkpoints" / "ckpt-3.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:10])
    session = _session(tmp_path / "a", total=9)
    assert session.start == 6 and _status(tmp_path / "a")[:2] == ("unfinished", 6)
    assert "going on from ckpt-2" in capsys.readouterr().out
    _run(tmp_path / "a", total=9)
    _run(tmp_path / "b", total=9)
    assert _total(tmp_path / "a") == _total(tmp_path / "b")
    assert _lines(tmp_path / "a") == _lines(tmp_path / "b")


def test_a_folder_whose_name_is_a_pattern_goes_on(tmp_path):
    _run(tmp_path / "b[1]", total=7)
    outcome, _ = _run(tmp_path / "b[1]", total=9)
    assert outcome.step == 9 and _total(tmp_path / "b[1]") == sum(range(9))


# Weights and environment.


def test_best_weights_come_before_the_last(tmp_path):
    for kind, step, value in (("last", 9, 1.0), ("best", 3, 2.0), ("best", 5, 3.0)):
        save_weights(tmp_path, kind, {"net": _network(value)}, {"step": step, "score": float("nan")})
        loaded = _network()
        assert load_weights(tmp_path, {"net": loaded})["step"] == step
        assert loaded.get_weights()[0].item() == value
    names = sorted(path.name for path in (tmp_path / "weights").glob("best*"))
    assert names == ["best-0000005-net.weights.h5", "best.json"]
    assert json.loads((tmp_path / "weights" / "best.json").read_text())["score"] is None


def test_weights_missing_damaged_or_of_another_network_are_refused(tmp_path):
    with pytest.raises(UserError, match="no weights"):
        load_weights(tmp_path, {})
    save_weights(tmp_path, "best", {"net": _network()}, {"step": 1})
    with pytest.raises(UserError, match="not the weights of the network net"):
        load_weights(tmp_path, {"net": tf.keras.Sequential([tf.keras.Input((3,)), tf.keras.layers.Dense(7)])})
    with pytest.raises(UserError, match="not the weights of the network other"):
        load_weights(tmp_path, {"other": _network()})
    record = json.loads((tmp_path / "weights" / "best.json").read_text())
    file = tmp_path / "weights" / record["files"]["net"]
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(UserError, match=f"{file.name}: missing, damaged"):
        load_weights(tmp_path, {"net": _network()})
    file.unlink()
    with pytest.raises(UserError, match=f"{file.name}: missing"):
        load_weights(tmp_path, {"net": _network()})


@pytest.mark.parametrize(
    "content", ["", "{", "[]", "{}", '{"step": 1}', '{"step": 1, "files": 3}', '{"step": "x", "files": {}}']
)
def test_a_damaged_record_of_weights_is_named(tmp_path, content):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "best.json").write_text(content)
    with pytest.raises(UserError, match="best.json: .*remove it"):
        weights_record(tmp_path)


def test_a_record_that_names_a_file_of_another_kind_loads_nothing(tmp_path):
    """Keras reads a name without an ending as a checkpoint, and is silent about what it does not find in it."""
    (tmp_path / "weights").mkdir()
    tf.train.Checkpoint(x=tf.Variable(1.0)).write(str(tmp_path / "weights" / "ckpt"))
    for name in ('"ckpt"', "7"):
        (tmp_path / "weights" / "best.json").write_text(f'{{"step": 1, "files": {{"net": {name}}}}}')
        with pytest.raises(UserError, match="not the weights of the network net"):
            load_weights(tmp_path, {"net": _network()})


def test_a_run_goes_on_in_its_own_arithmetic(tmp_path, capsys):
    _run(tmp_path, total=3)
    other = enter_environment(tmp_path, "mixed_bfloat16", deterministic=False)
    assert other.policy == "float32"
    assert "going on in float32" in capsys.readouterr().out
    assert enter_environment(tmp_path, "float32", deterministic=False).policy == "float32"
    assert capsys.readouterr().out.startswith("arithmetic: float32 on ")
    assert enter_environment(tmp_path / "new", "mixed_float16", deterministic=False).policy == "mixed_float16"


def test_a_run_of_another_lane_is_refused_and_another_tensorflow_is_said(tmp_path, capsys):
    _run(tmp_path, total=3)
    file = tmp_path / "environment.json"
    record = json.loads(file.read_text())
    file.write_text(json.dumps({**record, "tensorflow": "2.9"}))
    enter_environment(tmp_path, "float32", deterministic=False)
    assert "begun with TensorFlow 2.9" in capsys.readouterr().out
    file.write_text(json.dumps({**record, "lane": "other", "keras": "9.0"}))
    with pytest.raises(UserError, match="begun with Keras 9.0.*continue it in its own lane"):
        enter_environment(tmp_path, "float32", deterministic=False)
    for content in ("", json.dumps({**record, "policy": "mixed_nonsense"}), json.dumps({**record, "policy": 7})):
        file.write_text(content)
        with pytest.raises(UserError, match="environment.json: .*restore it"):
            enter_environment(tmp_path, "float32", deterministic=False)
