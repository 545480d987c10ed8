"""What fails inside a server: told, kept to the job that it meets, and over once its cause is gone."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from jobrun.jobfile import file, layout
from jobrun.wire.gen.jobrun.v1 import job_pb2
from jobrun.wire.gen.jobrun.v1.job_service_pb2 import (
    JOB_STATE_FINISHED,
    JOB_STATE_STARTING,
    GetStatusRequest,
    ListFilter,
    ListRequest,
    WatchRequest,
)
from tests.api.refusals import refused
from tests.api.source_server import WITHIN_S, Server

FULL = "database or disk is full"
"""What SQLite says of a full disk."""


@contextlib.contextmanager
def failing(data: Path, event: str, text: str) -> Iterator[None]:
    """Writes of that kind fail, as SQLite's own would."""
    db = sqlite3.connect(data / "jobs.db", isolation_level=None, timeout=WITHIN_S)
    db.execute(f"CREATE TRIGGER trouble BEFORE {event} BEGIN SELECT RAISE(ABORT, '{text}'); END")
    yield
    db.execute("DROP TRIGGER trouble")
    db.close()


def queued_behind(server: Server) -> tuple[job_pb2.Job, job_pb2.Job]:
    """A job that has all slots, and one that waits for them."""
    running, waiting = server.start("sleep", "300", slots=2), server.start("/bin/true")
    assert waiting.HasField("queued")
    return running, waiting


def test_an_end_that_can_not_be_written_is_told(fresh: Server) -> None:
    """`run` would hang for ever at the end of its job, and the job's slots would never be free again."""
    with failing(fresh.data, "UPDATE ON jobs WHEN NEW.state = 4", "no such thing was thought of"):
        job = fresh.start("/bin/sh", "-c", "exit 3")
        assert fresh.finished(job.id).finished.exit_code == 3
    assert "IntegrityError" in (fresh.data / "server.log").read_text()


def test_an_end_that_has_no_room_on_the_record_is_listed(fresh: Server) -> None:
    """On a full disk `rm --finished`, which is to make room there, would find nothing to remove."""
    with failing(fresh.data, "UPDATE ON jobs WHEN NEW.state = 4", FULL):
        job = fresh.start("/bin/true")
        assert fresh.finished(job.id)
        wanted = ListFilter(states=[JOB_STATE_FINISHED])
        assert [one.id for one in fresh.jobs.List(ListRequest(filter=wanted), timeout=WITHIN_S).jobs] == [job.id]
        wanted = ListFilter(states=[JOB_STATE_STARTING])
        assert not fresh.jobs.List(ListRequest(filter=wanted), timeout=WITHIN_S).jobs


def test_a_record_that_makes_no_sense_ends_its_job_alone(fresh: Server) -> None:
    """One damaged file would stop the sweep, and with it the ends of all jobs that no hint told of."""
    job = fresh.start("sleep", "300")
    pid = running_pid(fresh, job.id)
    with open(fresh.data / "jobs" / job.id, "r+b") as opened:
        file.write_exit(opened.fileno(), layout.read_header(opened.fileno()).key, {b"reason": 99})
    assert fresh.finished(job.id).finished.reason == job_pb2.END_REASON_LOST
    os.kill(pid, signal.SIGKILL)


def running_pid(server: Server, job_id: str) -> int:
    """Of the job's first process, once it runs."""
    for answer in server.jobs.Watch(WatchRequest(job_id=job_id), timeout=WITHIN_S):
        if answer.job.HasField("running"):
            return answer.job.running.pid
    raise AssertionError("it did not run")


def test_a_helper_that_dies_ends_the_server(fresh: Server) -> None:
    """A server that removes nothing any more, or sees no end, would go on for months without a word."""
    fresh.end()
    db = sqlite3.connect(fresh.data / "jobs.db")
    db.execute("CREATE TRIGGER trouble BEFORE DELETE ON removed_requests BEGIN SELECT RAISE(ABORT, 'no'); END")
    db.execute("INSERT INTO removed_requests VALUES ('ann', '', 'old', 1)")
    db.commit()
    db.close()
    fresh.begin()
    said = fresh.gone()
    assert fresh.process.returncode == 1
    assert "Traceback" in said
    assert "IntegrityError" in said


def test_a_job_that_can_not_be_started_holds_up_no_other(two_slots: Server) -> None:
    """One queued job with a broken file would stop the queues of all users, for ever."""
    running, broken = queued_behind(two_slots)
    last = two_slots.start("/bin/true")
    secrets = two_slots.data / "secrets" / broken.id
    secrets.unlink()
    secrets.symlink_to(secrets)
    two_slots.stop(running.id)
    lost = two_slots.finished(broken.id).finished
    assert lost.reason == job_pb2.END_REASON_LOST
    assert "could not be started" in lost.detail
    assert two_slots.finished(last.id).finished.exit_code == 0
    assert os.listdir(two_slots.data / "secrets") == []
    assert broken.id not in os.listdir(two_slots.data / "jobs")


def test_a_full_disk_keeps_the_queue(two_slots: Server) -> None:
    """A full disk would end what waits, lose its environment, or leave a copy of it behind."""
    running, waiting = queued_behind(two_slots)
    stopped = two_slots.start("/bin/true")
    with failing(two_slots.data, "UPDATE ON jobs WHEN NEW.state = 2", FULL):
        two_slots.stop(running.id)
        two_slots.stop(stopped.id)
        assert two_slots.stop(waiting.id).finished.reason == job_pb2.END_REASON_STOPPED
    assert sorted(os.listdir(two_slots.data / "jobs")) == [running.id]
    assert os.listdir(two_slots.data / "secrets") == []


def test_what_waits_through_a_full_disk_starts_with_its_environment(two_slots: Server) -> None:
    """A job would run without its variables, because the disk was full for a moment."""
    running = two_slots.start("sleep", "300", slots=2)
    waiting = two_slots.start("/bin/sh", "-c", 'echo "$WHO"', env={"WHO": b"me"})
    with failing(two_slots.data, "UPDATE ON jobs WHEN NEW.state = 2", FULL):
        two_slots.stop(running.id)
        two_slots.end()  # what is being written is finished first
    two_slots.begin()
    assert two_slots.output(waiting.id) == b"me\n"


def test_slots_of_a_start_that_failed_go_to_the_next(two_slots: Server) -> None:
    """Who waits behind a start that was refused would wait for the next sweep, and longer."""
    with failing(two_slots.data, "INSERT ON jobs WHEN NEW.name = 'bad'", FULL):
        slow_disk = sqlite3.connect(two_slots.data / "jobs.db", isolation_level=None)
        slow_disk.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        bad = two_slots.jobs.Start.future(two_slots.request("/bin/true", slots=2, name="bad"), timeout=WITHIN_S)
        good = two_slots.jobs.Start.future(two_slots.request("/bin/true"), timeout=WITHIN_S)
        two_slots.jobs.List(ListRequest(), timeout=WITHIN_S)  # came behind them, and is answered
        slow_disk.execute("ROLLBACK")
        slow_disk.close()
        assert bad.exception() is not None
        assert two_slots.finished(good.result().job.id).finished.exit_code == 0
        assert time.monotonic() - began < 8, "only a sweep found it"


def test_jobs_that_are_not_on_record_keep_their_files(fresh: Server) -> None:
    """Whoever moves a damaged record away would lose every output, and what runs would be out of control."""
    done, runs = fresh.start("/bin/echo", "kept"), fresh.start("sleep", "300")
    fresh.finished(done.id)
    pid = running_pid(fresh, runs.id)
    fresh.end()
    for path in fresh.data.glob("jobs.db*"):
        path.unlink()
    file.create(str(fresh.data / "jobs" / "22222222"), 1, {b"argv": [b"x"]}, b"")
    fresh.begin()
    assert sorted(os.listdir(fresh.data / "jobs")) == sorted([done.id, runs.id])
    assert b"kept\n" in (fresh.data / "jobs" / done.id).read_bytes()
    assert refused(fresh.jobs.GetStatus, GetStatusRequest(job_id=runs.id)).reason == "JOB_NOT_FOUND"
    assert f"2 files in {fresh.data}/jobs are of jobs that are not on record" in (fresh.data / "server.log").read_text()
    os.kill(pid, signal.SIGKILL)
