"""The loop touches Python only when something is due, and nothing that is not finite is saved."""

import pytest
import tensorflow as tf

from common_tf.errors import UserError
from common_tf.runs.environment import enter_environment
from common_tf.runs.history import read_history
from common_tf.runs.schedule import Schedule
from common_tf.runs.session import Session, read_status


class Counter:
    """Adds up its batches; one of them may give a loss that is not finite."""

    def __init__(self, fail_at=None):
        self.fail_at = fail_at
        self.state = tf.Module()
        self.state.total = tf.Variable(0.0)

    def trained(self):
        return [self.state.total]

    def train_step(self, batch, step):
        self.state.total.assign_add(float(batch))
        return {"loss": tf.constant(float("nan") if int(step) + 1 == self.fail_at else float(batch))}

    def validate(self, step):
        return {"score": 1.0}

    def export(self, kind, record):
        pass


def _run(folder, *, total=20, counter=None, saves=3, **options):
    """Lines every 4 steps, epochs of 5."""
    schedule = Schedule(
        total_steps=total, steps_per_epoch=5, save_every_epochs=0, save_every_steps=saves, validate_every_steps=1000,
        log_every=4,
    )  # fmt: skip
    environment = enter_environment(folder, "float32", deterministic=False)
    folder.mkdir(exist_ok=True, parents=True)
    session = Session(folder, counter or Counter(), schedule, environment, keep=2, figure="a score", **options)
    return session.run(lambda start: iter(range(start, 10**6)))


def test_losses_are_fetched_only_when_something_is_due(tmp_path):
    """Lines every 4 steps, saves every 3, epochs of 5: in between nobody waits for a step."""
    fetched = []

    class Loss:
        def __init__(self, counter, step):
            self.counter, self.step = counter, step

        def __float__(self):
            fetched.append((self.step, self.counter.made))
            return 0.5

    class Lazy(Counter):
        made = 0

        def train_step(self, batch, step):
            self.made += 1
            return {"loss": Loss(self, self.made)}

    _run(tmp_path, total=20, counter=Lazy())
    due = sorted({*range(4, 21, 4), *range(3, 21, 3), *range(5, 21, 5), 20})
    assert [step for step, _ in fetched] == list(range(1, 21))
    assert sorted({made for _, made in fetched}) == due
    assert [line["step"] for line in read_history(tmp_path)] == sorted({*range(4, 21, 4), *range(3, 21, 3), 20})


def test_a_loss_that_was_not_finite_steps_ago_is_named_and_not_saved(tmp_path):
    with pytest.raises(UserError, match="step 4: the loss is not finite"):  # found when step 6 would be saved
        _run(tmp_path, saves=6, counter=Counter(fail_at=4), total=20)
    assert read_status(tmp_path)["checkpoint"] is None and read_status(tmp_path)["step"] == 0


def test_a_profile_is_written_also_where_the_training_ends_before_it(tmp_path):
    for name, total in (("whole", 16), ("cut", 12)):
        _run(tmp_path / name, total=total, profile=3)
        assert list((tmp_path / name / "tensorboard").rglob("*.xplane.pb"))
    _run(tmp_path / "none", total=16)
    assert not list((tmp_path / "none" / "tensorboard").rglob("*.xplane.pb"))
