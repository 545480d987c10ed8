"""Stopping many jobs at once, where one of them has a file that can not be opened."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import resource
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from jobrun.files.data_folder import DataFolder
from jobrun.jobfile import layout
from jobrun.jobs.cpus import Cpus
from jobrun.jobs.dispatcher import Tools
from jobrun.jobs.local_engine import LocalEngine
from jobrun.jobs.queue import Queue
from jobrun.jobs.service import JobService
from jobrun.jobs.spec_checks import Ground
from jobrun.logs.wakeups import Wakeups
from jobrun.model.caller import Caller, Role
from jobrun.model.job import DEFAULT_GRACE_NS, Job, JobSpec, Secrets
from jobrun.model.lifecycle import EndReason, State
from jobrun.store.jobs import JobStore

WITHIN_S = 60
ANN = Caller(user="ann", role=Role.USER)


class Jobs:
    """A service without a server, and Ann's jobs in it."""

    def __init__(self, service: JobService, engine: LocalEngine) -> None:
        self.service, self.engine = service, engine

    async def running(self, grace_ns: int = DEFAULT_GRACE_NS) -> Job:
        """A job that sleeps, once it does."""
        spec = JobSpec(argv=("sleep", "300"), cwd="/", grace_ns=grace_ns)
        secrets = Secrets({"PATH": b"/usr/bin:/bin"}, {})
        started = await self.service.start(ANN, spec, secrets, "")
        async with contextlib.aclosing(self.service.watch(ANN, started.id)) as seen:
            async for job in seen:
                if job.state is State.RUNNING:
                    return job
        raise AssertionError("it did not run")

    def reason(self, job: Job) -> EndReason:
        """Why it ended; it must have."""
        end = self.service.status(ANN, job.id).end
        assert end is not None
        return end.reason

    def asked_grace_ns(self, job: Job) -> int:
        """From the signal to KILL, as its supervisor was told."""
        fd = os.open(self.engine.log_path(job.id), os.O_RDONLY)
        try:
            (stop,) = layout.read_stops(fd, layout.read_header(fd).key)
        finally:
            os.close(fd)
        return stop.grace_ns

    def lose_file(self, job: Job) -> None:
        """Nobody can open it any more."""
        path = self.engine.log_path(job.id)
        path.unlink()
        path.symlink_to(path)


@contextlib.asynccontextmanager
async def opened(data: Path) -> AsyncIterator[Jobs]:
    """All that a server has for its jobs."""
    loop, engine = asyncio.get_running_loop(), LocalEngine(DataFolder(data))
    engine.start()
    store, wakeups, queue, cpus = JobStore(data / "jobs.db", loop), Wakeups(loop), Queue(None), Cpus({0})
    tools = Tools(store=store, engine=engine, queue=queue, cpus=cpus, wakeups=wakeups, folders=None, unix_user="ann")
    service = JobService(tools, Ground(hard_limits={}, cpus=1, slots=None, fresh_folders=False))
    service.open()
    try:
        yield Jobs(service, engine)
    finally:
        await service.close()
        await engine.close()
        wakeups.close()
        await store.close()


def converse(data: Path, body: Callable[[Jobs], Awaitable[None]]) -> None:
    """Run a conversation with them."""

    async def whole() -> None:
        async with opened(data) as jobs:
            await body(jobs)

    asyncio.run(asyncio.wait_for(whole(), WITHIN_S))


@contextlib.contextmanager
def no_descriptors() -> Iterator[None]:
    """This process can open nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open("/dev/null", os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize("of_one_user", [True, False])
def test_a_file_that_can_not_be_opened_saves_no_other_job(tmp_path: Path, *, of_one_user: bool) -> None:
    """A user could not be removed for ever, or a container's jobs be killed without a word to clean up by."""

    async def body(jobs: Jobs) -> None:
        broken, whole = await jobs.running(), await jobs.running()
        jobs.lose_file(broken)
        stopped = list[str]()
        if of_one_user:
            await jobs.service.stop_all("ann", "boss", stopped.append)
        else:
            await jobs.service.stop_running("boss", 10**9)
        assert (jobs.reason(broken), jobs.reason(whole)) == (EndReason.LOST, EndReason.STOPPED)
        os.kill(broken.pid, signal.SIGKILL)

    converse(tmp_path, body)


def test_a_removed_users_job_has_no_grace_of_months(tmp_path: Path) -> None:
    """Whoever starts a job with `--grace 366d` could not be removed for a year."""

    async def body(jobs: Jobs) -> None:
        shy, patient = await jobs.running(grace_ns=10**9), await jobs.running(grace_ns=86_400 * 10**9)
        await jobs.service.stop_all("ann", "boss", lambda _: None)
        assert [jobs.asked_grace_ns(job) for job in (shy, patient)] == [10**9, DEFAULT_GRACE_NS]

    converse(tmp_path, body)


def test_what_could_not_be_stopped_is_told(tmp_path: Path) -> None:
    """A user would count as removed while his jobs run on."""

    async def body(jobs: Jobs) -> None:
        one, stopped = await jobs.running(), list[str]()
        with no_descriptors(), pytest.raises(OSError, match=os.strerror(errno.EMFILE)):
            await jobs.service.stop_all("ann", "boss", stopped.append)
        assert (jobs.service.unfinished("ann"), stopped) == ([one.id], [])
        await jobs.service.stop_all("ann", "boss", stopped.append)
        assert (jobs.reason(one), stopped) == (EndReason.STOPPED, [one.id])

    converse(tmp_path, body)
