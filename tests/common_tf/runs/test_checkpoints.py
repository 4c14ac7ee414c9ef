"""Recovery: what a full disk, a half copy or a lost session leaves of a run's checkpoints."""

import shutil

import pytest
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.lanes import OPTIMIZER_OPTIONS
from common_tf.runs.checkpoints import Checkpoints, whole_checkpoints


class State(tf.Module):
    """A few weights and their optimizer."""

    def __init__(self, size=3):
        super().__init__()
        self.weight = tf.Variable(tf.zeros([size]), name="weight")
        self.optimizer = tf.keras.optimizers.Adam(0.1, **OPTIMIZER_OPTIONS)
        self.optimizer.build([self.weight])


def _open(folder, *, keep=3, state=None):
    state = state or State()
    lines = []
    checkpoints = Checkpoints(folder, keep=keep, state=state, trained=lambda: [state.weight])
    path = checkpoints.restore(say=lines.append)
    return checkpoints, state, path, lines


def _save(folder, steps, **options):
    checkpoints, state, _, _ = _open(folder, **options)
    for step in steps:
        checkpoints.step.assign(step)
        state.weight.assign(tf.fill([3], float(step)))
        checkpoints.save()
    return checkpoints


def _restored(folder):
    """The step that is restored, that of its weights, and what was said."""
    checkpoints, state, path, lines = _open(folder)
    return int(checkpoints.step), float(state.weight[0]), path and path.rsplit("/", 1)[1], " ".join(lines)


def _names(folder):
    return {item.name.split(".")[0] for item in (folder / "checkpoints").iterdir() if item.name != "checkpoint"}


def _cut(folder, number, ending="data-00000-of-00001", left=0.5):
    file = folder / "checkpoints" / f"ckpt-{number}.{ending}"
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * left)])


def test_an_empty_folder_starts_at_0(tmp_path):
    checkpoints, _, path, lines = _open(tmp_path)
    assert path is None and int(checkpoints.step) == 0 and checkpoints.latest() is None and not lines


def test_the_newest_is_restored_without_a_word(tmp_path):
    assert _save(tmp_path, (5, 10)).latest().endswith("ckpt-2")
    assert _restored(tmp_path) == (10, 10.0, "ckpt-2", "")


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: _cut(folder, 3),
        lambda folder: _cut(folder, 3, left=0),
        lambda folder: _cut(folder, 3, "index"),
        lambda folder: _cut(folder, 3, "index", left=0),
        lambda folder: (folder / "checkpoints" / "ckpt-3.data-00000-of-00001").unlink(),
    ],
    ids=["cut data", "empty data", "cut index", "empty index", "no data"],
)
def test_a_damaged_newest_is_passed_over_with_a_line(tmp_path, damage):
    _save(tmp_path, (5, 10, 15))
    damage(tmp_path)
    step, weight, name, line = _restored(tmp_path)
    assert (step, weight, name) == (10, 10.0, "ckpt-2")
    assert "damaged: ckpt-3 (" in line and line.endswith("going on from ckpt-2")


def test_a_flipped_bit_is_damage(tmp_path):
    _save(tmp_path, (5, 10))
    file = tmp_path / "checkpoints" / "ckpt-2.data-00000-of-00001"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert _restored(tmp_path)[:3] == (5, 5.0, "ckpt-1")


def test_after_damage_training_goes_on_and_writes_whole_ones(tmp_path):
    _save(tmp_path, (5, 10, 15))
    _cut(tmp_path, 3)
    _cut(tmp_path, 2)
    assert _restored(tmp_path)[0] == 5
    _save(tmp_path, (11,))
    assert _names(tmp_path) == {"ckpt-1", "ckpt-2"}  # what was damaged and newer is gone
    assert _restored(tmp_path) == (11, 11.0, "ckpt-2", "")


@pytest.mark.parametrize("content", [b"", b"nonsense", None], ids=["empty", "nonsense", "lost"])
def test_the_state_file_is_not_needed(tmp_path, content):
    _save(tmp_path, (5, 10))
    file = tmp_path / "checkpoints" / "checkpoint"
    file.unlink() if content is None else file.write_bytes(content)
    assert _restored(tmp_path) == (10, 10.0, "ckpt-2", "")
    _save(tmp_path, (15,))
    assert _restored(tmp_path)[0] == 15


def test_a_state_file_that_names_what_is_gone_does_no_harm(tmp_path):
    """The advice of a message on damage is often to delete the damaged one."""
    _save(tmp_path, (5, 10))
    for file in list((tmp_path / "checkpoints").glob("ckpt-2.*")):
        file.unlink()
    assert _restored(tmp_path) == (5, 5.0, "ckpt-1", "")


def test_a_moved_run_is_found_where_it_lies(tmp_path):
    _save(tmp_path / "a", (5, 10))
    shutil.move(tmp_path / "a", tmp_path / "b")
    assert _restored(tmp_path / "b")[0] == 10


def test_where_all_are_damaged_it_is_said_with_a_way_out(tmp_path):
    _save(tmp_path, (5, 10))
    for number in (1, 2):
        _cut(tmp_path, number)
    with pytest.raises(UserError, match="all 2 checkpoints are damaged: ckpt-2 .*, ckpt-1 .*; put back a copy"):
        _open(tmp_path)


def test_the_tenth_is_newer_than_the_ninth(tmp_path):
    _save(tmp_path, range(1, 12), keep=4)
    assert _names(tmp_path) == {f"ckpt-{number}" for number in (8, 9, 10, 11)}
    found = whole_checkpoints(tmp_path / "checkpoints")
    assert [path.rsplit("-", 1)[1] for path in found] == ["8", "9", "10", "11"]


@pytest.mark.parametrize("name", ["b[1]", "a*", "what?", "back\\slash", "plain", "two words"])
def test_a_folder_of_any_name_saves_rotates_and_restores(tmp_path, name):
    _save(tmp_path / name, (5, 10, 15), keep=2)
    assert _names(tmp_path / name) == {"ckpt-2", "ckpt-3"}
    assert _restored(tmp_path / name) == (15, 15.0, "ckpt-3", "")
    _save(tmp_path / name, (20, 25), keep=2)
    assert _names(tmp_path / name) == {"ckpt-4", "ckpt-5"}


def test_a_save_that_fails_leaves_the_old_ones_and_no_fragments(tmp_path, monkeypatch):
    checkpoints = _save(tmp_path, (5,))
    (tmp_path / "checkpoints" / "ckpt-2.data-00000-of-00001").write_bytes(b"half")
    (tmp_path / "checkpoints" / "ckpt-2_temp").mkdir()
    (tmp_path / "checkpoints" / "notes.txt").touch()

    def fail(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "No space left on device")

    monkeypatch.setattr(checkpoints._manager, "save", fail)
    with pytest.raises(tf.errors.ResourceExhaustedError):
        checkpoints.save()
    assert _names(tmp_path) == {"ckpt-1", "notes"}
    assert _restored(tmp_path)[0] == 5


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_never_saved(tmp_path, value):
    checkpoints, state, _, _ = _open(tmp_path)
    checkpoints.save()
    state.weight[1].assign(value)
    checkpoints.step.assign(7)
    with pytest.raises(UserError, match="step 7: a weight is not finite; .*last good state is .*ckpt-1"):
        checkpoints.save()
    assert _names(tmp_path) == {"ckpt-1"}


def test_a_checkpoint_of_something_else_is_refused(tmp_path):
    _save(tmp_path, (3,))
    other = tf.Module()
    other.weight = other.different = tf.Variable(tf.zeros([3]))
    for state in (State(size=4), other):
        with pytest.raises(UserError, match="ckpt-1: is whole but of another version or lane"):
            _open(tmp_path, state=state)


def test_the_optimizer_and_the_best_figure_come_back(tmp_path):
    checkpoints, state, _, _ = _open(tmp_path)
    state.optimizer.apply_gradients([(tf.constant([1.0, 2.0, 3.0]), state.weight)])
    checkpoints.best.assign(0.1)
    checkpoints.best_step.assign(4)
    checkpoints.seconds.assign(12.5)
    checkpoints.save()
    again, restored, _, _ = _open(tmp_path)
    assert (float(again.best), int(again.best_step), float(again.seconds)) == (0.1, 4, 12.5)
    for first, second in zip(state.optimizer.variables, restored.optimizer.variables, strict=True):
        assert (first.numpy() == second.numpy()).all()
