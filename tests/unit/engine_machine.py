"""An engine without a server: for tests of real spawners, supervisors and jobs. Not a test."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from jobrun.files.data_folder import DataFolder
from jobrun.jobfile import lock
from jobrun.jobs.local_engine import LocalEngine
from jobrun.jobs.orders import Observation, Order, Verdict
from jobrun.logs.follow import Cursor, Following, read_log
from jobrun.logs.wakeups import Wakeups
from jobrun.model.job import JobSpec, Secrets
from jobrun.model.lifecycle import State

DEADLINE_S = 30
NOTHING = Secrets({}, {})
BOTH = frozenset({1, 2})


class Machine:
    """An engine with a data folder of its own, and news of its jobs."""

    def __init__(self, data: Path) -> None:
        self.folder = DataFolder(data)
        self.engine = LocalEngine(self.folder)
        self.news: asyncio.Queue[str] = asyncio.Queue()

    def create(self, job_id: str, *argv: str, limits: dict[str, int] | None = None, grace_ns: int = 10**10) -> None:
        """A job that was not dispatched yet."""
        spec = JobSpec(argv=argv, cwd="/tmp", limits=limits or {}, grace_ns=grace_ns)
        env = {"PATH": b"/usr/bin:/bin"}
        order = Order(spec=spec, user="me", env_base=env, work_dir="", cpuset=(), created_ns=time.time_ns())
        self.engine.create(job_id, order, NOTHING)

    def start(self, job_id: str, *argv: str, limits: dict[str, int] | None = None, grace_ns: int = 10**10) -> None:
        """A job that was dispatched."""
        self.create(job_id, *argv, limits=limits, grace_ns=grace_ns)
        self.engine.dispatch(job_id)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for news until it is so."""
        while not is_so():
            await asyncio.wait_for(self.news.get(), DEADLINE_S)

    async def running(self, job_id: str) -> Observation:
        """Once its first process was executed."""
        await self.until(lambda: self.engine.observe(job_id).state is State.RUNNING)
        return self.engine.observe(job_id)

    async def ended(self, job_id: str) -> Observation:
        """Once its end is on record."""
        await self.until(lambda: self.engine.judge(job_id) is Verdict.ENDED)
        return self.engine.observe(job_id)

    async def output(self, job_id: str, *, lines: int) -> list[bytes]:
        """So many of its first lines, as they come."""
        data, wakeups = b"", Wakeups(asyncio.get_running_loop())
        following = Following(wakeups, lambda: False)
        async for event in read_log(job_id, self.engine.log_path(job_id), Cursor(0), BOTH, following):
            data += b"".join(body for _, _, body, _ in getattr(event, "records", ()))
            if data.count(b"\n") >= lines:
                break
        wakeups.close()
        return data.splitlines()

    def supervisor(self, job_id: str) -> int:
        """The pid that holds the job's lock."""
        with open(self.engine.log_path(job_id), "rb") as opened:
            return lock.holder(opened.fileno()) or 0


@asynccontextmanager
async def machine(data: Path) -> AsyncIterator[Machine]:
    """An engine at work."""
    made = Machine(data)
    made.engine.start()
    made.engine.attach(
        asyncio.get_running_loop(), made.news.put_nowait, made.news.put_nowait, lambda: made.news.put_nowait("")
    )
    try:
        yield made
    finally:
        await made.engine.close()


def converse(data: Path, body: Callable[[Machine], Awaitable[None]]) -> None:
    """Run a conversation with an engine, in its own loop."""

    async def whole() -> None:
        async with machine(data) as one:
            await body(one)

    asyncio.run(asyncio.wait_for(whole(), 4 * DEADLINE_S))
