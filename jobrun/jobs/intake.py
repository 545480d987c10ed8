"""Starts that are being put on record: each once, however often its request_id comes."""

from __future__ import annotations

import asyncio
import dataclasses
import time

from jobrun.jobs import request_hash, spec_checks
from jobrun.jobs.ceilings import limits_that_hold
from jobrun.jobs.dispatcher import Dispatcher, Tools
from jobrun.jobs.ids import new_id
from jobrun.jobs.live import LiveJob, Phase
from jobrun.model.caller import Caller
from jobrun.model.errors import RequestIdRemoved
from jobrun.model.job import Job, JobSpec, Secrets
from jobrun.model.lifecycle import State
from jobrun.store.jobs import Request
from jobrun.store.kept_tasks import KeptTasks


@dataclasses.dataclass(frozen=True)
class _UnderWay:
    """A Start that has a request_id."""

    hash: bytes
    accepted: asyncio.Task[LiveJob]


class Intake:
    """For the loop's thread. A Start goes on when the call that asked is cut."""

    def __init__(self, tools: Tools, ground: spec_checks.Ground, jobs: Dispatcher, tasks: KeptTasks) -> None:
        self._store, self._engine, self._unix_user = tools.store, tools.engine, tools.unix_user
        self._ground, self._jobs, self._tasks = ground, jobs, tasks
        self._under_way: dict[tuple[str, str, str], _UnderWay] = {}
        """By user, machine token and request_id."""
        self._accepting: dict[str, set[asyncio.Task[LiveJob]]] = {}
        """By user, of whom there are so many as may exist."""

    def take(self, caller: Caller, spec: JobSpec, secrets: Secrets, request_id: str) -> asyncio.Task[LiveJob] | str:
        """Begin to put it on record; whoever awaits the task should shield it. An id: of the job that this request has
        already. RequestIdReused, RequestIdRemoved; the task raises what `Dispatcher.accept` does."""
        if not request_id:
            return self._begin(caller, spec, secrets, None)
        request_hash.check_request_id(request_id)
        wish = request_hash.request_hash(self._store.request_key, spec, secrets)
        key = (caller.user, caller.machine_token, request_id)
        if (known := self._store.job_of_request(*key)) is not None:
            request_hash.check_same(known[1], wish)
            return known[0]
        if self._store.was_removed(*key, time.time_ns()):
            raise RequestIdRemoved(f"the job of request {request_id} was removed: use another request_id")
        if (under_way := self._under_way.get(key)) is None:
            accepted = self._begin(caller, spec, secrets, Request(request_id, wish))
            under_way = self._under_way[key] = _UnderWay(wish, accepted)
            accepted.add_done_callback(lambda _: self._under_way.pop(key))
        request_hash.check_same(under_way.hash, wish)
        return under_way.accepted

    async def settled(self, user: str | None = None) -> None:
        """Until what was taken is on record or refused: this user's, or everybody's."""
        accepting = set().union(*self._accepting.values()) if user is None else self._accepting.get(user)
        if accepting:
            await asyncio.wait(accepting)

    def _begin(self, caller: Caller, spec: JobSpec, secrets: Secrets, request: Request | None) -> asyncio.Task[LiveJob]:
        accepted = self._tasks.keep(self._accept(caller, spec, secrets, request))
        of_user = self._accepting.setdefault(caller.user, set())
        of_user.add(accepted)
        accepted.add_done_callback(of_user.discard)
        return accepted

    async def _accept(self, caller: Caller, spec: JobSpec, secrets: Secrets, request: Request | None) -> LiveJob:
        limits = limits_that_hold(spec.limits, caller.ceilings, self._ground.cpus)
        job = Job(
            id=self._free_id(),
            user=caller.user,
            machine_token=caller.machine_token,
            token_name=caller.machine_token_name,
            spec=spec,
            limits=limits,
            created_ns=time.time_ns(),
            state=State.QUEUED,
            unix_user=self._unix_user,
        )
        live = LiveJob(job, State.QUEUED, Phase.ACCEPTING)
        await self._jobs.accept(live, secrets, request)
        return live

    def _free_id(self) -> str:
        """Not that of a file, on record or not: see recovery. A record without a file refuses its id itself."""
        while (job_id := new_id()) in self._jobs.live or self._engine.log_path(job_id).exists():
            continue
        return job_id
