import os
import signal

import pytest

from common_tf.runs.schedule import Schedule, StopSignals


def test_saves_validations_and_epochs():
    schedule = Schedule(
        total_steps=25, steps_per_epoch=10, save_every_epochs=2, save_every_steps=7, validate_every_steps=0
    )
    assert [step for step in range(1, 26) if schedule.saves(step)] == [7, 14, 20, 21, 25]
    assert [step for step in range(1, 26) if schedule.validates(step)] == [10, 20, 25]
    assert [schedule.epoch(step) for step in (1, 10, 11, 25)] == [1, 1, 2, 3]
    assert [step for step in range(1, 26) if schedule.ends_epoch(step)] == [10, 20]


def test_zero_means_never_but_the_last_step_is_saved():
    schedule = Schedule(
        total_steps=9, steps_per_epoch=3, save_every_epochs=0, save_every_steps=0, validate_every_steps=4
    )
    assert [step for step in range(1, 10) if schedule.saves(step)] == [9]
    assert [step for step in range(1, 10) if schedule.validates(step)] == [4, 8, 9]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_a_request_and_the_second_one_kills(number):
    class Killed(Exception):
        pass

    def kill(*_):
        raise Killed

    before = signal.signal(number, kill)
    try:
        with StopSignals() as stop:
            assert not stop.requested
            os.kill(os.getpid(), number)
            assert stop.requested
            with pytest.raises(Killed):
                os.kill(os.getpid(), number)
        assert signal.getsignal(number) is kill
    finally:
        signal.signal(number, before)
