"""The server itself: health, reflection, its end, its successor."""

from __future__ import annotations

import collections
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc  # type: ignore[import-untyped]  # no stubs
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (  # type: ignore[import-untyped]  # no stubs
    ProtoReflectionDescriptorDatabase,
)

from jobrun.wire.gen.jobrun.v1 import job_pb2
from jobrun.wire.gen.jobrun.v1.job_service_pb2 import LogsRequest, StopRequest, WatchRequest
from tests.api.source_server import SERVE, WITHIN_S, Server, serving


def test_health_says_serving(private: Server) -> None:
    """A load balancer or a unit would take a good server for a dead one."""
    check = health_pb2_grpc.HealthStub(private.channel).Check
    answer = check(health_pb2.HealthCheckRequest(), timeout=WITHIN_S)
    assert answer.status == health_pb2.HealthCheckResponse.SERVING


def test_reflection_names_the_services(private: Server) -> None:
    """grpcurl and its like could not be used."""
    names = set(ProtoReflectionDescriptorDatabase(private.channel).get_services())
    assert names >= {"jobrun.v1.JobService", "grpc.health.v1.Health"}


def test_what_a_killed_server_was_writing_is_swept(fresh: Server) -> None:
    """Half a key would lie in the data folder for ever, and one more after each kill."""
    fresh.end()
    left = fresh.data / ".new-0123456789abcdef"
    left.write_text("half of a key")
    (fresh.data / ".mine").touch()
    fresh.begin()
    assert not left.exists()
    assert (fresh.data / ".mine").exists()


def test_a_second_server_does_not_take_the_folder(two_slots: Server) -> None:
    """Two servers would write one database, and gRPC would take the first one's socket away."""
    second = subprocess.run(
        [sys.executable, SERVE, str(two_slots.data), "slots=2"], capture_output=True, text=True, timeout=WITHIN_S
    )
    assert second.returncode == 1
    assert second.stderr.startswith(f"jobrun: {two_slots.data} is in use by pid {two_slots.process.pid}: ")
    assert second.stderr.count("\n") == 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_jobs_outlive_the_server(fresh: Server, number: int) -> None:
    """A new version of the server, or a crash, would kill every job, or run it twice."""
    marks = fresh.data / "marks"
    gate = fresh.data / "gate"
    script = f"echo x >> {marks}; echo before; while ! test -e {gate}; do sleep 0.05; done; echo after; exit 7"
    job = fresh.start("/bin/sh", "-c", script)
    assert next(fresh.jobs.Logs(LogsRequest(job_id=job.id, follow=True), timeout=WITHIN_S)).batch.records
    fresh.end(number)
    fresh.begin()
    gate.touch()
    ended = fresh.finished(job.id).finished
    assert (ended.reason, ended.exit_code) == (job_pb2.END_REASON_EXITED, 7)
    assert fresh.output(job.id) == b"before\nafter\n"
    assert marks.read_text() == "x\n"


def test_an_end_that_came_without_a_server_is_told(fresh: Server) -> None:
    """What ended while the server was away would be running for ever."""
    fifo = fresh.data / "fifo"
    os.mkfifo(fifo)
    script = f"exec 9>{fifo}; while ! test -e {fresh.data}/gate; do sleep 0.05; done; exit 5"
    job = fresh.start("/bin/sh", "-c", script)
    held = os.open(fifo, os.O_RDONLY)
    fresh.end(signal.SIGKILL)
    (fresh.data / "gate").touch()
    assert os.read(held, 1) == b"", "its end of file is the job's end"
    os.close(held)
    fresh.begin()
    assert fresh.finished(job.id).finished.exit_code == 5


def test_the_queue_outlives_the_server(two_slots: Server) -> None:
    """What was accepted would never run."""
    running = [two_slots.start("sleep", "300") for _ in range(2)]
    queued = two_slots.start("/bin/sh", "-c", 'echo "$WHO"', env={"WHO": b"me"})
    two_slots.end(signal.SIGKILL)
    two_slots.begin()
    for job in running:
        two_slots.stop(job.id)
    assert two_slots.output(queued.id) == b"me\n"


def test_calls_that_wait_end_so_that_they_are_made_again(fresh: Server) -> None:
    """A client that follows would hang on a server that ends, or take its end for the job's."""
    job = fresh.start("/bin/sh", "-c", "echo here; exec sleep 300")
    watch = fresh.jobs.Watch(WatchRequest(job_id=job.id), timeout=WITHIN_S)
    logs = fresh.jobs.Logs(LogsRequest(job_id=job.id, follow=True), timeout=WITHIN_S)
    next(watch)
    next(logs)
    fresh.process.send_signal(signal.SIGTERM)
    for stream in (watch, logs):
        with pytest.raises(grpc.RpcError) as caught:
            list(stream)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert "shutting down" in (caught.value.details() or ""), "it was not cut, but ran into gRPC's own deadline"
    fresh.gone()
    assert fresh.process.returncode == 0
    fresh.begin()
    assert fresh.stop(job.id).finished.reason == job_pb2.END_REASON_STOPPED


def test_a_busy_stream_is_cut_as_well(fresh: Server) -> None:
    """A write that is under way when the server ends would keep the call, and the server, for seconds."""
    job = fresh.start("/bin/sh", "-c", "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done")
    streams = [fresh.jobs.Logs(LogsRequest(job_id=job.id, follow=True), timeout=WITHIN_S) for _ in range(4)]
    for stream in streams:
        next(stream)
    fresh.process.send_signal(signal.SIGTERM)
    for stream in streams:
        with pytest.raises(grpc.RpcError) as caught:
            collections.deque(stream, maxlen=0)
        assert "shutting down" in (caught.value.details() or ""), "it ran into gRPC's own deadline"
    fresh.gone()
    fresh.begin()
    fresh.stop(job.id)


def test_a_stop_goes_on_when_its_call_is_cut(fresh: Server) -> None:
    """Ctrl-C of `jobrun stop` would take the stop back."""
    job = fresh.start("/bin/sh", "-c", "trap 'sleep 0.3; exit 9' TERM; echo ready; while :; do sleep 0.05; done")
    logs = fresh.jobs.Logs(LogsRequest(job_id=job.id, follow=True), timeout=WITHIN_S)
    assert next(logs).batch.records
    watch = fresh.jobs.Watch(WatchRequest(job_id=job.id), timeout=WITHIN_S)
    stopping = fresh.jobs.Stop.future(StopRequest(job_id=job.id), timeout=WITHIN_S)
    for answer in watch:
        if answer.job.running.HasField("stopping_since"):
            stopping.cancel()
    assert answer.job.finished.reason == job_pb2.END_REASON_STOPPED
    assert answer.job.finished.exit_code == 9


def test_a_second_signal_ends_at_once(fresh: Server) -> None:
    """Ctrl-C twice would not get the terminal back; jobs would be taken down with it."""
    job = fresh.start("sleep", "300")
    fresh.process.send_signal(signal.SIGINT)
    fresh.process.send_signal(signal.SIGTERM)
    fresh.gone()
    assert fresh.process.returncode == 0
    fresh.begin()
    assert fresh.stop(job.id).finished.reason == job_pb2.END_REASON_STOPPED


def test_a_private_server_ends_when_idle(tmp_path: Path) -> None:
    """A process of one's own would stay for ever, or end under a job or a follower."""
    with serving("idle=0.3") as server:
        gate = tmp_path / "gate"
        os.mkfifo(gate)
        job = server.start("/bin/sh", "-c", f"read line < {gate}")
        watch = server.jobs.Watch(WatchRequest(job_id=job.id), timeout=WITHIN_S)
        next(watch)
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(1.0)
        gate.write_text("go\n")
        assert list(watch)[-1].job.finished.exit_code == 0
        assert "no job and no client" in server.gone()
        assert server.process.returncode == 0


def test_systemd_is_told(tmp_path: Path) -> None:
    """A unit of Type=notify would time out."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(str(tmp_path / "notify"))
        with serving(f"notify={tmp_path}/notify"):
            notify.settimeout(WITHIN_S)
            assert notify.recv(100) == b"READY=1"


def test_a_port_that_is_taken_is_one_clear_line(tmp_path: Path) -> None:
    """Two servers would share a port, and each would get some of the calls."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        command = [sys.executable, SERVE, str(tmp_path), "slots=1", f"listen={address}"]
        server = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S)
    assert (server.returncode, server.stdout) == (1, "")
    assert server.stderr.startswith(f"jobrun: can not listen at {address}: ")
    assert server.stderr.count("\n") == 1


def test_a_damaged_database_is_one_clear_line(tmp_path: Path) -> None:
    """A server that starts afresh on it would forget every job; a traceback tells nobody what to do."""
    (tmp_path / "jobs.db").write_bytes(b"no database at all, " * 1000)
    server = subprocess.run([sys.executable, SERVE, str(tmp_path)], capture_output=True, text=True, timeout=WITHIN_S)
    assert (server.returncode, server.stdout) == (1, "")
    assert server.stderr.startswith(f"jobrun: {tmp_path}/jobs.db can not be used")
    assert server.stderr.count("\n") == 1
    assert (tmp_path / "jobs.db").read_bytes().startswith(b"no database")


def test_data_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    """An older server would write what the newer one does not understand."""
    db = sqlite3.connect(tmp_path / "jobs.db")
    db.execute("PRAGMA user_version = 1000")
    db.close()
    server = subprocess.run([sys.executable, SERVE, str(tmp_path)], capture_output=True, text=True, timeout=WITHIN_S)
    assert server.returncode == 1
    assert "newer jobrun" in server.stderr
