"""The other verbs: status, list, watch, logs, stop, remove."""

from __future__ import annotations

import datetime
import os
import signal
from pathlib import Path

import grpc
import pytest

from jobrun.jobfile import layout
from jobrun.wire.gen.jobrun.v1 import job_pb2, job_service_pb2
from jobrun.wire.gen.jobrun.v1.job_service_pb2 import ListFilter, ListRequest, LogsRequest, WatchRequest
from tests.api.refusals import refused
from tests.api.source_server import WITHIN_S, Server

FINISHED = job_service_pb2.JOB_STATE_FINISHED
EVERY_STATE = ("JOB_STATE_QUEUED", "JOB_STATE_STARTING", "JOB_STATE_RUNNING", "JOB_STATE_FINISHED")


@pytest.mark.parametrize("job_id", ["", "22222222", "../jobs.db", "nosuchjob", "2222222\n"])
def test_no_such_job(private: Server, job_id: str) -> None:
    """A path in the place of an id would reach other files than jobs'."""
    answer = refused(private.jobs.GetStatus, job_service_pb2.GetStatusRequest(job_id=job_id))
    assert (answer.code, answer.reason) == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")
    for call, request in (
        (private.jobs.Watch, WatchRequest(job_id=job_id)),
        (private.jobs.Logs, LogsRequest(job_id=job_id)),
        (private.jobs.Stop, job_service_pb2.StopRequest(job_id=job_id)),
        (private.jobs.Remove, job_service_pb2.RemoveRequest(job_id=job_id)),
    ):
        assert refused(call, request).code is grpc.StatusCode.NOT_FOUND


def test_list_pages_hold_each_job_once(private: Server) -> None:
    """A job between two pages would be missing, or come twice."""
    started = [private.start("/bin/true", name="paged").id for _ in range(7)]
    for job_id in started:
        private.finished(job_id)
    wanted = ListFilter(name="paged", states=[FINISHED])
    seen, token = [], ""
    while True:
        request = ListRequest(filter=wanted, page_size=3, page_token=token)
        page = private.jobs.List(request, timeout=WITHIN_S)
        assert len(page.jobs) <= 3
        seen += [job.id for job in page.jobs]
        token = page.next_page_token
        if not token:
            break
    assert seen == started[::-1]


def test_a_page_token_belongs_to_its_filter(private: Server) -> None:
    """A wrong token would answer with some other list, without a word."""
    for _ in range(2):
        private.start("/bin/true")
    asked = ListRequest(filter=ListFilter(states=EVERY_STATE), page_size=1)
    token = private.jobs.List(asked, timeout=WITHIN_S).next_page_token
    assert token
    for bad in (ListRequest(page_token=token), ListRequest(page_token="?"), ListRequest(page_token=token[:-1])):
        assert refused(private.jobs.List, bad).fields == ["page_token"]


def test_list_without_a_filter_shows_what_runs(private: Server) -> None:
    """Finished jobs would hide the running ones."""
    done, runs = private.start("/bin/true"), private.start("sleep", "300")
    private.finished(done.id)
    ids = {job.id for job in private.jobs.List(ListRequest(), timeout=WITHIN_S).jobs}
    assert runs.id in ids
    assert done.id not in ids
    by_prefix = ListRequest(filter=ListFilter(id_prefix=done.id[:6]))
    assert done.id in {job.id for job in private.jobs.List(by_prefix, timeout=WITHIN_S).jobs}
    private.stop(runs.id)


def test_watch_tells_every_state_and_ends(private: Server) -> None:
    """`wait` would hang, or miss that the job runs."""
    job = private.start("sleep", "300")
    states: list[str | None] = []
    for answer in private.jobs.Watch(WatchRequest(job_id=job.id), timeout=WITHIN_S):
        state = answer.job.WhichOneof("state")
        assert answer.job.HasField("spec") == (not states)
        states.append(state)
        if state == "running" and not answer.job.running.HasField("stopping_since"):
            stopping = private.jobs.Stop.future(job_service_pb2.StopRequest(job_id=job.id), timeout=WITHIN_S)
    assert stopping.result().job.finished.reason == job_pb2.END_REASON_STOPPED
    assert states[-1] == "finished"
    assert "running" in states


def test_logs_go_on_at_a_cursor(private: Server) -> None:
    """A reader that was cut would see lines twice, or never."""
    job = private.start("/bin/sh", "-c", "echo one; sleep 0.1; echo two >&2; sleep 0.1; echo three")
    events = list(private.jobs.Logs(LogsRequest(job_id=job.id, follow=True), timeout=WITHIN_S))
    assert events[-1].end.job.finished.exit_code == 0
    rest = list(private.jobs.Logs(LogsRequest(job_id=job.id, cursor=events[0].next_cursor), timeout=WITHIN_S))
    data = [record.data for event in rest for record in event.batch.records]
    assert b"".join(data) == b"two\nthree\n"
    assert rest[-1].HasField("end")
    assert refused(private.jobs.Logs, LogsRequest(job_id=job.id, cursor=17)).fields == ["cursor"]
    errors = LogsRequest(job_id=job.id, streams=[job_service_pb2.OUTPUT_STREAM_STDERR])
    records = [r.data for e in private.jobs.Logs(errors, timeout=WITHIN_S) for r in e.batch.records]
    assert records == [b"two\n"]


@pytest.mark.parametrize("start", ["tail_lines", "tail_lines of one", "since"])
def test_a_follower_knows_its_cursor_before_there_is_output(private: Server, start: str, tmp_path: Path) -> None:
    """One that asked for the last lines, and was cut off before they came, would lose what was written meanwhile."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    job = private.start("/bin/sh", "-c", f"read go < {gate}; echo one; echo two")
    request = LogsRequest(job_id=job.id, follow=True, tail_lines=int("one" in start))
    if start == "since":
        request.since.FromSeconds(1)
    cut = private.jobs.Logs(request, timeout=WITHIN_S)
    first = next(cut)
    assert first.WhichOneof("event") is None
    cut.cancel()
    gate.write_text("go\n")
    private.finished(job.id)
    again = LogsRequest(job_id=job.id, follow=True, cursor=first.next_cursor)
    data = [record.data for event in private.jobs.Logs(again, timeout=WITHIN_S) for record in event.batch.records]
    assert b"".join(data) == b"one\ntwo\n"


def test_the_cursor_of_last_lines_is_no_place_in_the_middle_of_them(private: Server) -> None:
    """A reader that was cut would print lines that it did not ask for."""
    job = private.start("/bin/sh", "-c", "printf '1\\n2\\n3\\n'; sleep 300")
    whole = private.jobs.Logs(LogsRequest(job_id=job.id, follow=True), timeout=WITHIN_S)
    seen = b""
    while seen != b"1\n2\n3\n":
        seen += b"".join(record.data for record in next(whole).batch.records)
    last = next(private.jobs.Logs(LogsRequest(job_id=job.id, follow=True, tail_lines=1), timeout=WITHIN_S))
    assert [record.data for record in last.batch.records] == [b"3\n"]
    private.stop(job.id)


def test_a_stop_at_once_after_the_start_is_never_lost(private: Server) -> None:
    """The job would run on, though its user was told that it is stopped."""
    for _ in range(20):
        job = private.start("sleep", "300")
        assert private.stop(job.id).finished.reason == job_pb2.END_REASON_STOPPED


def test_a_stop_that_is_asked_for_again_sends_no_second_signal(private: Server) -> None:
    """A program would get INT twice, and take the second one for "at once": its work of the day is lost."""
    trap = "trap 'n=$((n+1)); echo $n; [ $n -lt 2 ] || exit 7' INT; echo 0; while :; do sleep 0.05; done"
    job = private.start("/bin/sh", "-c", trap)
    logs = private.jobs.Logs(LogsRequest(job_id=job.id, follow=True), timeout=WITHIN_S)
    assert next(logs).batch.records[0].data == b"0\n"
    stops = []
    for request_id in ("once", "once", "once", "again"):
        request = job_service_pb2.StopRequest(job_id=job.id, signal=signal.SIGINT, request_id=request_id)
        request.grace.FromTimedelta(datetime.timedelta(days=366))
        stops.append(private.jobs.Stop.future(request, timeout=WITHIN_S))
        if not stops[1:]:
            assert next(logs).batch.records[0].data == b"1\n"
    assert {stop.result().job.finished.exit_code for stop in stops} == {7}
    with open(private.data / "jobs" / job.id, "rb") as file:
        told = layout.read_stops(file.fileno(), layout.read_header(file.fileno()).key)
    assert [one.signal for one in told] == [signal.SIGINT] * 2


def test_a_finished_job_alone_can_be_removed(private: Server) -> None:
    """A running job would be out of control; a removed one's output would stay on the disk."""
    job = private.start("sleep", "300")
    remove = job_service_pb2.RemoveRequest(job_id=job.id)
    assert refused(private.jobs.Remove, remove).reason == "JOB_NOT_FINISHED"
    private.stop(job.id)
    private.jobs.Remove(remove, timeout=WITHIN_S)
    assert refused(private.jobs.Remove, remove).code is grpc.StatusCode.NOT_FOUND
    assert not (private.data / "jobs" / job.id).exists()


def test_the_environment_is_nowhere_once_the_job_runs(private: Server) -> None:
    """A token in a variable would be readable for years in a backup."""
    job = private.start("/bin/true", env={"TOKEN": b"s3cr3t-of-the-user"}, stdin=b"s3cr3t-of-the-user")
    private.finished(job.id)
    for folder, _, names in os.walk(private.data):
        for name in names:
            path = Path(folder, name)
            assert path.is_socket() or b"s3cr3t-of-the-user" not in path.read_bytes(), path


def test_queued_jobs_take_turns(two_slots: Server) -> None:
    """One job more than there are slots would run at the same time, or wait for ever."""
    first = [two_slots.start("sleep", "300") for _ in range(2)]
    third = two_slots.start("/bin/true", slots=2)
    fourth = two_slots.start("/bin/true")
    assert third.queued.ahead == 0
    assert "2 free slots" in third.queued.detail
    assert fourth.queued.ahead == 1
    two_slots.stop(first[0].id)
    status = two_slots.jobs.GetStatus(job_service_pb2.GetStatusRequest(job_id=fourth.id), timeout=WITHIN_S)
    assert status.job.HasField("queued"), "a small job passed the one whose turn it is"
    two_slots.stop(first[1].id)
    assert two_slots.finished(third.id).finished.exit_code == 0
    assert two_slots.finished(fourth.id).finished.exit_code == 0


def test_a_queued_job_can_be_stopped_and_followed(two_slots: Server) -> None:
    """What waits would have to run before it can be stopped; its follower would hang."""
    for _ in range(2):
        two_slots.start("sleep", "300")
    queued = two_slots.start("/bin/true")
    logs = two_slots.jobs.Logs(LogsRequest(job_id=queued.id, follow=True), timeout=WITHIN_S)
    watch = two_slots.jobs.Watch(WatchRequest(job_id=queued.id), timeout=WITHIN_S)
    assert next(watch).job.HasField("queued")
    stopped = two_slots.stop(queued.id).finished
    assert (stopped.reason, stopped.stopped_by) == (job_pb2.END_REASON_STOPPED, "ann")
    assert not stopped.HasField("started_at")
    assert [event.WhichOneof("event") for event in logs] == ["end"]
    assert [answer.job.WhichOneof("state") for answer in watch] == ["finished"]
    assert os.listdir(two_slots.data / "secrets") == []


def test_jobs_of_a_shared_server_have_a_clean_ground(two_slots: Server) -> None:
    """A job would find the server's variables, or another job's files."""
    job = two_slots.start("/bin/sh", "-c", "env | sort; pwd; umask; ls -A; touch left", env={"ADDED": b"1"})
    lines = two_slots.output(job.id).decode().splitlines()
    folder = str(two_slots.data / "work" / job.id)
    variables = dict(line.split("=", 1) for line in lines if "=" in line)
    assert variables.pop("PWD", folder) == folder
    for shells_own in ("_", "SHLVL", "OLDPWD"):
        variables.pop(shells_own, None)
    assert variables == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOME": folder,
        "TMPDIR": f"{folder}/.tmp",
        "USER": "ann",
        "LOGNAME": "ann",
        "LANG": "C.UTF-8",
        "ADDED": "1",
        "JOBRUN_JOB_ID": job.id,
    }
    assert lines[-3:] == [folder, "0022", ".tmp"]
    two_slots.end()
    assert os.listdir(two_slots.data / "work") == []
    two_slots.begin()


def test_a_relative_cwd_stays_inside(two_slots: Server) -> None:
    """`..` would lead into other jobs' folders."""
    for cwd in ("..", "a/../../b", "../x"):
        spec = job_pb2.JobSpec(argv=["/bin/true"], cwd=cwd)
        assert refused(two_slots.jobs.Start, job_service_pb2.StartRequest(spec=spec)).fields == ["spec.cwd"]
