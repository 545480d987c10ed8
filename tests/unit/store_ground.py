"""A store of jobs on real files, and jobs to put into it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from jobrun.model.job import End, Job, JobSpec, StartFailure, Usage
from jobrun.model.lifecycle import EndReason, StartStep, State
from jobrun.store.jobs import JobStore

SPEC = JobSpec(argv=("echo", "ü"), name="n", env_names=("A",), limits={"cpus": 2}, slots=3, asked=frozenset({"slots"}))
END = End(
    reason=EndReason.START_FAILED,
    started_ns=5,
    finished_ns=9,
    detail="no such program",
    start_failure=StartFailure(step=StartStep.EXEC, errno=2, path="/x"),
)
USAGE = Usage(user_cpu_ns=1, system_cpu_ns=2, peak_memory_bytes=3, output_bytes=4, output_dropped_bytes=1, elapsed_ns=6)
EVERY = frozenset(State)


def job(job_id: str, *, user: str = "ann", token: str = "", state: State = State.QUEUED, spec: JobSpec = SPEC) -> Job:
    """One as the service puts it on record."""
    return Job(
        id=job_id,
        user=user,
        machine_token=token,
        spec=spec,
        limits={"cpus": 2, "log_bytes": 9},
        created_ns=7,
        state=state,
        unix_user="u",
    )


def with_store(path: Path, use: Callable[[JobStore], Coroutine[Any, Any, None]]) -> None:
    """Runs `use` with the store in that folder."""

    async def main() -> None:
        async with opened(path) as store:
            await use(store)

    asyncio.run(main())


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[JobStore]:
    """The store in that folder, closed at the end."""
    store = JobStore(path / "jobs.db", asyncio.get_running_loop())
    try:
        yield store
    finally:
        await store.close()
