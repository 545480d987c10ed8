"""A real server process from source, and a channel to it."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import grpc

from jobrun.wire.gen.jobrun.v1 import job_pb2, job_service_pb2, job_service_pb2_grpc

WITHIN_S = 30
"""Ends a broken test; a good one waits for events and needs none of it."""
SERVE = str(Path(__file__).with_name("serve.py"))


class Server:
    """One server process at a time on one data folder."""

    def __init__(self, data: Path, *options: str) -> None:
        self.data = data
        self._options = options
        self._process: subprocess.Popen[str] | None = None
        self._channel: grpc.Channel | None = None

    @property
    def process(self) -> subprocess.Popen[str]:
        """The running one."""
        assert self._process is not None
        return self._process

    @property
    def channel(self) -> grpc.Channel:
        """To the running one."""
        assert self._channel is not None
        return self._channel

    @property
    def jobs(self) -> job_service_pb2_grpc.JobServiceStub:
        """JobService of the running one."""
        return job_service_pb2_grpc.JobServiceStub(self.channel)

    def begin(self) -> str:
        """Start it, and wait until it says that it is ready. Answers its line."""
        command = [sys.executable, SERVE, str(self.data), *self._options]
        with open(self.data / "server.log", "w") as events:  # no pipe: supervisors of running jobs hold it too
            self._process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=events, text=True)
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line.startswith("ready "), (line, self.end())
        self._channel = self._dial(line)
        return line.strip()

    def _dial(self, line: str) -> grpc.Channel:
        """To the server that said it is ready by `line`."""
        return grpc.insecure_channel(f"unix:{self.data}/socket", [("grpc.use_local_subchannel_pool", 1)])

    def end(self, number: int = signal.SIGTERM) -> str:
        """End it and wait for that. Answers what it said on stderr."""
        if self._channel is not None:
            self._channel.close()
        self.process.send_signal(number)
        return self.gone()

    def gone(self) -> str:
        """Wait for its end. Answers what it said on stderr."""
        self.process.communicate(timeout=WITHIN_S)
        return (self.data / "server.log").read_text()

    def start(self, *argv: str, request_id: str = "", **spec: object) -> job_pb2.Job:
        """Start a job that finds its program in the usual places."""
        return self.jobs.Start(self.request(*argv, request_id=request_id, **spec), timeout=WITHIN_S).job

    def request(self, *argv: str, request_id: str = "", **spec: object) -> job_service_pb2.StartRequest:
        """What starts it."""
        spec.setdefault("env", {"PATH": b"/usr/bin:/bin"})
        if not any(option.startswith("slots=") for option in self._options):
            spec.setdefault("cwd", "/")
        asked = job_pb2.JobSpec(argv=argv, **spec)  # type: ignore[arg-type]  # by the field's name
        return job_service_pb2.StartRequest(spec=asked, request_id=request_id)

    def finished(self, job_id: str) -> job_pb2.Job:
        """The job, once it has finished."""
        seen = list(self.jobs.Watch(job_service_pb2.WatchRequest(job_id=job_id), timeout=WITHIN_S))
        assert seen[-1].job.HasField("finished")
        return seen[-1].job

    def stop(self, job_id: str) -> job_pb2.Job:
        """Stop a job and wait for its end."""
        return self.jobs.Stop(job_service_pb2.StopRequest(job_id=job_id), timeout=WITHIN_S).job

    def output(self, job_id: str) -> bytes:
        """All of it, once the job has finished."""
        request = job_service_pb2.LogsRequest(job_id=job_id, follow=True)
        events = list(self.jobs.Logs(request, timeout=WITHIN_S))
        assert events[-1].HasField("end")
        return b"".join(record.data for event in events for record in event.batch.records)


@contextlib.contextmanager
def serving(*options: str) -> Iterator[Server]:
    """A server with a data folder of its own; no job of it is left."""
    with tempfile.TemporaryDirectory(prefix="jobrun-") as folder:
        server = Server(Path(folder), *options)
        server.begin()
        try:
            yield server
            if server.process.poll() is not None:
                return
            unfinished = server.jobs.List(job_service_pb2.ListRequest(page_size=1000), timeout=WITHIN_S).jobs
            for job in reversed(unfinished):
                stop = job_service_pb2.StopRequest(job_id=job.id, signal=signal.SIGKILL)
                server.jobs.Stop(stop, timeout=WITHIN_S)
        finally:
            if server.process.poll() is None:
                server.end()
