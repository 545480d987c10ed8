"""What callers may ask of jobs: the verbs, who may do them, and what they answer."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncGenerator, Callable, Coroutine
from typing import Any, TypeVar

from jobrun.jobs import request_hash, spec_checks
from jobrun.jobs.dispatcher import SWEEP_S, Dispatcher, Tools
from jobrun.jobs.ids import is_id
from jobrun.jobs.intake import Intake
from jobrun.jobs.live import LiveJob, Phase
from jobrun.jobs.recovery import recover
from jobrun.jobs.views import Views
from jobrun.logs.follow import Batch, Beginning, Cursor, Following, Gap, Start, TailLines, read_log
from jobrun.model.caller import Caller
from jobrun.model.errors import (
    InvalidRequest,
    JobDamaged,
    JobNotFinished,
    JobNotFound,
    NotAllowed,
    ShuttingDown,
)
from jobrun.model.job import DEFAULT_GRACE_NS, Job, JobSpec, Secrets
from jobrun.model.job_filter import JobFilter
from jobrun.model.lifecycle import State
from jobrun.store.kept_tasks import KeptTasks

T = TypeVar("T")

RECORDED_BEHIND = {
    State.QUEUED: frozenset[State](),
    State.STARTING: frozenset[State](),
    State.RUNNING: frozenset({State.STARTING}),
    State.FINISHED: frozenset({State.QUEUED, State.STARTING}),
}
"""What may still be on record of a job that is in a state: that it runs never is, its end not on a full disk."""


@dataclasses.dataclass(frozen=True)
class FoundJobs:
    """A page of a list with each job's place in the order of creation; `more_before`: where the next one begins."""

    jobs: list[tuple[int, Job]]
    more_before: int | None


class JobService:
    """For the loop's thread. What is asked for goes on when the call that asked is cut."""

    def __init__(self, tools: Tools, ground: spec_checks.Ground) -> None:
        self._store, self._engine, self._wakeups = tools.store, tools.engine, tools.wakeups
        self._tools, self._ground = tools, ground
        self._tasks = KeptTasks()
        self._jobs = Dispatcher(tools, self._tasks)
        self._intake = Intake(tools, ground, self._jobs, self._tasks)
        self._views = Views(tools.engine, tools.queue)
        self._closing = asyncio.Event()

    def open(self) -> None:
        """Take over what an earlier server left, then hear of changes, then look at all."""
        recover(self._jobs, self._tools)
        hints = self._jobs.changed, self._jobs.started, self._jobs.spawner_lost
        self._engine.attach(asyncio.get_running_loop(), *hints)
        self._jobs.sweep(older_s=0)

    async def close(self) -> None:
        """Nothing new is taken; what is being written is finished. Jobs go on."""
        self._closing.set()
        await self._tasks.finish()

    async def outlast(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` of a call answers or raises; it goes on when the call is cut, and `close` waits for it."""
        return await self._tasks.run(work)

    @property
    def has_unfinished(self) -> bool:
        """Whether any job is not over."""
        return bool(self._jobs.live)

    @property
    def idle_since(self) -> float:
        """When the last unfinished job ended, by the loop's clock."""
        return self._jobs.idle_since

    async def sweep_for_ever(self) -> None:
        """From `open` on: find what no hint told of. Whoever runs this ends the server where it fails."""
        while True:
            await asyncio.sleep(SWEEP_S)
            self._jobs.sweep()

    # the verbs

    async def start(self, caller: Caller, spec: JobSpec, secrets: Secrets, request_id: str) -> Job:
        """On record when it answers; once, however often the same request_id comes."""
        if self._closing.is_set():
            raise ShuttingDown("the server is shutting down")
        if not caller.starts:
            raise NotAllowed(f"{caller.user} may only look at jobs")
        spec_checks.check(spec, secrets, self._ground)
        taken = self._intake.take(caller, spec, secrets, request_id)
        if isinstance(taken, str):
            return self.status(caller, taken)
        return self._views.just_accepted(await asyncio.shield(taken))

    def status(self, caller: Caller, job_id: str) -> Job:
        """The job as it stands. JobNotFound."""
        live = self._visible(caller, job_id)
        return live if isinstance(live, Job) else self._views.of(live, usage=True)

    async def stop(
        self, caller: Caller, job_id: str, signal: int | None, grace_ns: int | None, request_id: str
    ) -> tuple[Job, bool]:
        """Its end, and whether there was anything to stop. Goes on when the call is cut; a second one joins, and the
        same one asks for nothing."""
        spec_checks.check_stop(signal, grace_ns)
        request = request_hash.stop_request(caller.user, request_id)
        live = self._visible(caller, job_id)
        _check_touches(caller, live.job if isinstance(live, LiveJob) else live)
        if isinstance(live, Job):
            return live, False
        self._jobs.stop(live, signal, grace_ns, caller.user, request)
        await live.ended.wait()
        return live.job, True

    async def watch(self, caller: Caller, job_id: str) -> AsyncGenerator[Job, None]:
        """At once, then at every change of its state, of ahead, of stopping_since; the last one is FINISHED."""
        live = self._visible(caller, job_id)
        if isinstance(live, Job):
            yield live
            return
        seen: tuple[object, ...] = ()
        self._jobs.queue_watched[job_id] += 1
        try:
            with self._wakeups.of(job_id) as news:
                while seen[:1] != (State.FINISHED,):
                    news.clear()
                    is_new = _watched_of(self._views.of(live)) != seen
                    if is_new and not (seen and live.phase is Phase.ENDING):  # then its end comes at once
                        job = self._views.of(live, usage=True)
                        seen = _watched_of(job)
                        yield job
                    else:
                        await news.wait()
        finally:
            self._jobs.queue_watched[job_id] -= 1
            self._jobs.queue_watched += {}  # drops what is 0

    async def logs(
        self, caller: Caller, job_id: str, start: Start, streams: frozenset[int], *, follow: bool
    ) -> AsyncGenerator[Beginning | Batch | Gap | Job, None]:
        """Its output; at the end of a finished job's the job."""
        live = self._visible(caller, job_id)
        if isinstance(live, LiveJob) and follow and live.waits:
            if isinstance(start, TailLines):  # there are none yet, so it wants all that comes
                start = Cursor(0)
                yield Beginning(0)
            await self._file_of(live)
        over = live if isinstance(live, Job) else live.job if live.phase is Phase.TOLD else None
        following = None
        if follow and isinstance(live, LiveJob) and over is None:
            following = Following(self._wakeups, live.ended.is_set)
        try:
            async for event in read_log(job_id, self._engine.log_path(job_id), start, streams, following):
                yield event
        except FileNotFoundError:
            _check_has_no_output(live if isinstance(live, Job) else live.job, start)
        if over is None and follow and isinstance(live, LiveJob):
            await live.ended.wait()
            over = live.job
        if over is not None:
            yield over

    def find(self, caller: Caller, wanted: JobFilter, page: int, before: int | None) -> FoundJobs:
        """Newest first. NotAllowed for jobs of others without a role that sees them."""
        if wanted.user != caller.user and not caller.sees_all:
            raise NotAllowed(f"{caller.user} may see no jobs of others")
        states = wanted.states
        on_record = states.union(*(RECORDED_BEHIND[state] for state in states))
        token = None if caller.all_jobs else caller.machine_token
        found = self._store.find(dataclasses.replace(wanted, states=on_record, machine_token=token), page, before)
        jobs = [(stored.seq, self._now(stored.job)) for stored in found.jobs]
        return FoundJobs([(seq, job) for seq, job in jobs if job.state in states], found.more_before)

    async def remove(self, caller: Caller, job_id: str) -> None:
        """JobNotFinished; JobNotFound, for the second of two calls too."""
        job = self._visible(caller, job_id)
        if isinstance(job, LiveJob):
            _check_touches(caller, job.job)
            if job.phase is not Phase.TOLD:
                raise JobNotFinished(f"job {job_id} has not finished: stop it first")
            self._engine.remove(job_id)  # its end is not on record for want of room: here is some
            await self._tasks.run(self._jobs.record(job))
        else:
            _check_touches(caller, job)
        if not await self._tasks.run(self.forget(job_id)):
            raise JobNotFound

    async def forget(self, job_id: str) -> bool:
        """Remove a finished job, whoever's it is. False: there is none. First its file: one that is not on record would
        stay for ever, and a full disk has room for the record then."""
        self._engine.remove(job_id)
        return await self._store.remove(job_id, time.time_ns())

    # of one user, whoever asks: for when he is removed

    def unfinished(self, user: str) -> list[str]:
        """Ids of his jobs that are not over, those too that are just being put on record."""
        return [live.id for live in self._unfinished(user)]

    def _unfinished(self, user: str) -> list[LiveJob]:
        return [live for live in self._jobs.live.values() if live.job.user == user and not live.ended.is_set()]

    async def stop_all(self, user: str, by: str, stopping: Callable[[str], None]) -> None:
        """Stop them, `stopping` is called with each one's id, and wait for their ends. For a user who can start no
        more; none of his jobs has more grace than one that asks for none. Raises ShuttingDown: they are stopping, ask
        again; OSError: the machine has no room to stop one of them, the others were."""
        await self._intake.settled(user)
        untold = self._jobs.stop_each(his := self._unfinished(user), by, DEFAULT_GRACE_NS)
        for live in his:
            if live not in untold:
                stopping(live.id)
        ends = asyncio.gather(*(live.ended.wait() for live in his if live not in untold))
        closing = asyncio.ensure_future(self._closing.wait())
        try:
            await asyncio.wait((ends, closing), return_when=asyncio.FIRST_COMPLETED)
            if not ends.done():
                raise ShuttingDown("the server is shutting down: ask again")
        finally:
            ends.cancel()
            closing.cancel()
        if untold:
            raise next(iter(untold.values()))

    # of all, for a server that takes its jobs along

    async def stop_running(self, by: str, most_grace_ns: int) -> None:
        """Take and begin nothing any more, stop what was begun, and wait for the ends. What waits in the queue stays
        there for the next server."""
        self._closing.set()
        self._tools.queue.close()
        await self._intake.settled()
        begun = [one for one in self._jobs.live.values() if one.phase is not Phase.WAITING and not one.ended.is_set()]
        untold = self._jobs.stop_each(begun, by, most_grace_ns)
        await asyncio.gather(*(live.ended.wait() for live in begun if live not in untold))

    # what they share

    def _visible(self, caller: Caller, job_id: str) -> LiveJob | Job:
        """A LiveJob until it is finished on record, then what is there. JobNotFound."""
        if not is_id(job_id):
            raise JobNotFound
        live = self._jobs.live.get(job_id)
        if live is not None and live.phase is not Phase.ACCEPTING:
            if not caller.sees(live.job):
                raise JobNotFound
            return live
        stored = self._store.job(job_id)
        if stored is None or not caller.sees(stored.job):
            raise JobNotFound
        return live if live is not None else stored.job

    def _now(self, job: Job) -> Job:
        live = self._jobs.live.get(job.id)
        return job if live is None else self._views.of(live)

    async def _file_of(self, live: LiveJob) -> None:
        """Until its file exists, or never will."""
        with self._wakeups.of(live.id) as news:
            while live.waits:
                news.clear()
                await news.wait()


def _watched_of(job: Job) -> tuple[object, ...]:
    return job.state, job.ahead, job.stopping_since_ns


def _check_has_no_output(job: Job, start: Start) -> None:
    """Of a job without a file: one that never started has none, and no cursor but the beginning."""
    if job.started_ns:
        raise JobDamaged(f"the file of job {job.id} is gone, and its output with it")
    if isinstance(start, Cursor) and start.offset:
        raise InvalidRequest("cursor", f"{start.offset} is no cursor of this job's output")


def _check_touches(caller: Caller, job: Job) -> None:
    if not caller.touches(job):
        raise NotAllowed(f"{caller.user} may only look at this job")
