"""Jobs are folders that outlive the page."""

import time

import pytest

from common_tf.errors import UserError
from serving_tf.jobs import DONE, FAILED, INPUT, MADE, QUEUED, RUNNING, JobFolder


def test_a_job_is_there_once_all_of_it_is(tmp_path):
    jobs = JobFolder(tmp_path / "jobs")
    place = jobs.new()
    assert jobs.all() == [] and (place / INPUT).is_dir()
    job = jobs.add(place, translator="t", direction="CT2MRI", names=["a.png"])
    assert [one.id for one in jobs.all()] == [job.id] and jobs.read(job.id).state == QUEUED
    done = jobs.write(job, state=DONE, items=[{"name": "a.png"}])
    assert jobs.read(job.id).items == [{"name": "a.png"}] and done.state == DONE
    jobs.delete(job.id)
    assert jobs.all() == [] and not place.exists()
    jobs.write(done, state=FAILED)  # a worker that is still at it brings nothing back
    assert not place.exists()


def test_only_names_of_jobs_are_places(tmp_path):
    jobs = JobFolder(tmp_path)
    for name in ("..", "../x", "runs.json", "", "1" * 13 + "-" + "g" * 12):
        with pytest.raises(KeyError):
            jobs.place(name)
    with pytest.raises(KeyError):
        jobs.read("1" * 13 + "-" + "a" * 12)


def test_what_was_running_waits_again_without_its_half_results(tmp_path):
    jobs = JobFolder(tmp_path)
    first, second = jobs.add(jobs.new()), jobs.add(jobs.new())
    jobs.write(first, state=RUNNING, progress=("translating", 1, 2))
    (jobs.path / first.id / MADE).mkdir()
    jobs.write(second, state=DONE)
    jobs.take_up()
    assert jobs.read(first.id).state == QUEUED and jobs.read(first.id).progress is None
    assert not (jobs.path / first.id / MADE).exists() and (jobs.path / first.id / INPUT).is_dir()
    assert jobs.read(second.id).state == DONE


def test_a_folder_is_for_one_page(tmp_path):
    jobs = JobFolder(tmp_path)
    with jobs.lock():
        with pytest.raises(UserError, match="another serve.py"):
            jobs.lock()
    jobs.lock().close()


def test_only_the_owner_reads_and_lists_are_small(tmp_path):
    jobs = JobFolder(tmp_path)  # that is there already, with whatever rights
    place = jobs.new()
    assert place.stat().st_mode & 0o777 == 0o700 and (place / INPUT).stat().st_mode & 0o777 == 0o700
    job = jobs.add(place)
    jobs.write(job, state=DONE, items=[{"name": "x" * 100_000}])
    assert jobs.all()[0].items == () or jobs.all()[0].items == []
    assert (place / "job.json").stat().st_size < 1000 and len(jobs.read(job.id).items) == 1


def test_jobs_whose_time_is_over_are_removed(tmp_path):
    jobs = JobFolder(tmp_path)
    job = jobs.add(jobs.new())
    half = jobs.new()
    (tmp_path / "runs.json").write_text("{}")
    jobs.sweep(60)
    assert jobs.read(job.id) and half.exists()
    time.sleep(0.02)
    running = jobs.write(jobs.add(jobs.new()), state=RUNNING)
    time.sleep(0.02)
    jobs.sweep(0.01)
    assert [one.id for one in jobs.all()] == [running.id] and not half.exists() and (tmp_path / "runs.json").exists()
