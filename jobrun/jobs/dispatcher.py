"""Moves jobs from accepted to finished. Decides in the loop's thread, between two awaits; each change is on record
before anybody is told.

A job's file is the truth about it from its dispatch on; what the engine tells of changes are hints, and the sweep finds
what they missed."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import errno
import logging
import time
from collections.abc import Iterable

from jobrun.files.workdir import WorkFolders
from jobrun.jobs.cpus import Cpus
from jobrun.jobs.flight import Flight
from jobrun.jobs.live import LiveJob, Phase
from jobrun.jobs.local_engine import LocalEngine
from jobrun.jobs.orders import StopOrder, Verdict, order_for
from jobrun.jobs.queue import Queue
from jobrun.logs.wakeups import Wakeups
from jobrun.model.errors import JobDamaged, JobrunError, StorageFull, StoreError, TooManyStops
from jobrun.model.job import End, Secrets, Usage
from jobrun.model.lifecycle import EndReason, State
from jobrun.store.jobs import JobStore, Request
from jobrun.store.kept_tasks import KeptTasks

SWEEP_S = 10.0
"""Between two looks at every dispatched job; a dispatch that nobody has claimed for so long is sent again."""
SIGTERM = 15
"""The first signal of a stop that names none."""

FOLDER_S = 1.0
"""What an end waits at most for its job's folder to go: a bigger one goes on going behind the answer."""

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""What passes, and says nothing about the job that met it."""

log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Tools:
    """What jobs are moved with. `folders` None: jobs run in their callers' folders."""

    store: JobStore
    engine: LocalEngine
    queue: Queue
    cpus: Cpus
    wakeups: Wakeups
    folders: WorkFolders | None
    unix_user: str


class Dispatcher:
    """All unfinished jobs, by id."""

    def __init__(self, tools: Tools, tasks: KeptTasks) -> None:
        self._store, self._engine, self._queue = tools.store, tools.engine, tools.queue
        self._tools, self._tasks = tools, tasks
        self._loop = asyncio.get_running_loop()
        self.live: dict[str, LiveJob] = {}
        self.queue_watched: collections.Counter[str] = collections.Counter()
        """Ids of jobs that somebody watches, for how many are ahead while they are queued."""
        self.idle_since = self._loop.time()
        """When the last job left `live`."""
        self._flight = Flight(self._loop, self._not_seen)
        self._held_up = False
        """There is no room for any job: nobody is chosen until the next sweep."""

    # accepted

    async def accept(self, live: LiveJob, secrets: Secrets, request: Request | None) -> None:
        """On record when this returns, and on its way where it has its slots. QueueFull, StorageFull."""
        starts = self._queue.admit(live.place)
        live.job = dataclasses.replace(live.job, state=State.STARTING if starts else State.QUEUED)
        live.recorded = live.job.state
        self.live[live.id] = live
        try:
            if starts:
                self._make_file(live, secrets)
            else:
                self._engine.keep_secrets(live.id, secrets)
            await self._store.add(live.job, request)
        except BaseException:
            self._disown(live)
            raise
        if starts:
            self._dispatched(live)
        elif live.phase is Phase.ACCEPTING:
            live.phase = Phase.WAITING
        elif live.phase is Phase.CHOSEN:
            self._tasks.keep(self._prepare(live))

    def _disown(self, live: LiveJob) -> None:
        """A job that could not be put on record."""
        del self.live[live.id]
        self._queue.withdraw(live.id, live.job.user)
        self._give_back(live)
        self.choose()
        self._engine.remove(live.id)
        self.remove_folder(live.id)

    def _make_file(self, live: LiveJob, secrets: Secrets | None) -> None:
        cpuset = self._tools.cpus.take(live.id, live.job.limits.get("cpus", 0))
        folder = self._tools.folders.create(live.id) if self._tools.folders else None
        self._engine.create(live.id, order_for(live.job, cpuset, folder), secrets)
        live.has_file = True

    # from the queue to the spawner

    def choose(self) -> None:
        """Give slots to those whose turn it is."""
        users = set()
        while not self._held_up and (chosen := self._queue.next()) is not None:
            live = self.live[chosen.job_id]
            users.add(chosen.user)
            if live.phase is Phase.WAITING:
                self._tasks.keep(self._prepare(live))
            live.phase = Phase.CHOSEN  # one that is ACCEPTING goes on once its row is written
        self._tell_queue(users)

    async def _prepare(self, live: LiveJob) -> None:
        if live.stopped_by:
            self._end_unstarted(live)
            return
        try:
            self._make_file(live, None)
            await self._store.dispatched(live.id)
        except Exception as error:  # noqa: BLE001 - whatever it is, the job goes back or ends
            self._not_started(live, error)
        else:
            live.recorded = State.STARTING
            self._dispatched(live)
            self._engine.drop_secrets(live.id)  # the file has them now

    def _not_started(self, live: LiveJob, error: Exception) -> None:
        """Back to its place where others would fare no better; else it alone ends."""
        live.has_file = False
        if live.stopped_by:
            self._end_unstarted(live)
        elif _is_everybodys(error):
            self._held_up = True
            log.error("job %s could not be started yet: %s", live.id, error)
            self._tools.cpus.give_back(live.id)
            live.phase = Phase.WAITING
            self._queue.put_back(live.place)
        else:
            log.error("job %s could not be started", live.id, exc_info=error)
            self._lose(live, f"it could not be started: {error}")
        self._engine.log_path(live.id).unlink(missing_ok=True)  # its environment is in there

    def _dispatched(self, live: LiveJob) -> None:
        live.phase = Phase.DISPATCHED
        self._tools.wakeups.wake(live.id)
        self._flight.send(live, self._engine.dispatch_new)

    # what became of it

    def started(self, job_id: str) -> None:
        """The engine's hint: a supervisor has claimed it."""
        if (live := self.live.get(job_id)) is not None:
            live.claimed = True
            self._flight.landed(live)
            self._tools.wakeups.wake(job_id)

    def changed(self, job_id: str) -> None:
        """The engine's hint: something about this job changed; with "" about any."""
        if not job_id:
            self.sweep()
        elif (live := self.live.get(job_id)) is not None:
            self._look(live, older_s=SWEEP_S)

    def spawner_lost(self) -> None:
        """The engine's hint: what was sent and not claimed may be lost, there is a new spawner."""
        self.sweep(older_s=0)

    def sweep(self, *, older_s: float = SWEEP_S) -> None:
        """Look at every dispatched job; send again what nobody has claimed for `older_s`; write down ends again that
        there was no room for."""
        self._held_up = False
        for live in list(self.live.values()):
            if live.phase is Phase.TOLD:
                self._tasks.keep(self.record(live))
            else:
                self._look(live, older_s=older_s)
        self.choose()

    def _look(self, live: LiveJob, *, older_s: float) -> None:
        if live.phase is not Phase.DISPATCHED:
            return
        try:
            if self._end_seen(live):
                return
            verdict = self._engine.judge(live.id)
            if verdict is Verdict.ENDED:
                self._end_seen(live)
            elif verdict is Verdict.ALIVE:
                self.started(live.id)
            elif self._loop.time() - live.sent_at >= older_s and not live.unsent:
                self._flight.send(live, self._engine.dispatch)
        except Exception as error:  # noqa: BLE001 - told there; the sweep goes on with the others
            self._not_seen(live, error)

    def _end_seen(self, live: LiveJob) -> bool:
        seen = self._engine.observe(live.id)
        if seen.end is not None:
            self._end(live, seen.end, seen.usage)
        return seen.end is not None

    def _not_seen(self, live: LiveJob, error: Exception) -> None:
        """A look at its file failed. Gone or damaged: it may have run, so it never runs again. What is no fault of the
        file is left for the next sweep."""
        unreadable = isinstance(error, (JobDamaged, OSError, ValueError, LookupError)) and not _is_everybodys(error)
        ours = None if isinstance(error, (JobDamaged, OSError)) else error
        log.error("job %s could not be looked at: %s", live.id, error, exc_info=ours)
        if unreadable:
            self._lose(live, f"its file can not be read: {error}")

    def _lose(self, live: LiveJob, detail: str) -> None:
        self._end(live, End(reason=EndReason.LOST, finished_ns=time.time_ns(), detail=detail), None)

    # stopped

    def stop(self, live: LiveJob, signal: int | None, grace_ns: int | None, by: str, request: int = 0) -> None:
        """Ask for it; `live.ended` tells when it is over. TooManyStops, JobDamaged.

        One that joins sends a signal only if it names one."""
        joins = bool(live.stopped_by)
        if live.phase in (Phase.ENDING, Phase.TOLD):
            return
        if not live.has_file:
            live.stopped_by = live.stopped_by or by
            if self._queue.withdraw(live.id, live.job.user):
                self._end_unstarted(live)
            return
        try:
            joins = joins or bool(self._engine.observe(live.id).stopping_since_ns)
            if not joins or signal or grace_ns is not None:
                first = 0 if joins else SIGTERM
                grace = live.job.spec.grace_ns if grace_ns is None else grace_ns
                order = StopOrder(signal=signal or first, grace_ns=grace, by=by, request=request)
                self._engine.stop(live.id, order)
            live.stopped_by = live.stopped_by or by
        except OSError as error:
            if _is_everybodys(error):
                raise
            self._not_seen(live, error)

    def stop_each(self, lives: Iterable[LiveJob], by: str, most_grace_ns: int | None = None) -> dict[LiveJob, OSError]:
        """Ask for it of all of them. Those that could not be asked, as the machine has no room, and why."""
        untold = {}
        for live in lives:
            grace = None if most_grace_ns is None else min(most_grace_ns, live.job.spec.grace_ns)
            try:
                self.stop(live, None, grace, by)
            except (TooManyStops, JobDamaged) as error:  # it stops already; the next sweep tells its end
                log.info("job %s: %s", live.id, error)
            except OSError as error:
                log.error("job %s could not be stopped: %s", live.id, error)
                untold[live] = error
        return untold

    def _end_unstarted(self, live: LiveJob) -> None:
        detail = f"stopped by {live.stopped_by} while it waited in the queue"
        stopped = End(reason=EndReason.STOPPED, finished_ns=time.time_ns(), detail=detail, stopped_by=live.stopped_by)
        self._end(live, stopped, None)

    # finished

    def _end(self, live: LiveJob, end: End, usage: Usage | None) -> None:
        live.phase = Phase.ENDING
        live.job = dataclasses.replace(live.job, state=State.FINISHED, end=end, usage=usage, started_ns=end.started_ns)
        self._flight.landed(live)
        self._tasks.keep(self.record(live))

    async def record(self, live: LiveJob) -> None:
        """Write the end down, then tell. Where that fails it is told all the same, as the job's file has it, and
        written down by a later sweep."""
        end = live.job.end
        assert end is not None, "only what has ended comes here"
        if live.recording:
            return
        live.recording = True
        try:
            if live.phase is Phase.ENDING:
                await self._folder_gone(live.id)
            await self._store.finished(live.id, live.recorded, end, live.job.usage)
        except Exception as error:
            ours = None if isinstance(error, JobrunError) else error
            log.error("the end of job %s is not on record yet: %s", live.id, error, exc_info=ours)
        else:
            self.live.pop(live.id, None)
            self.idle_since = self._loop.time()
        finally:
            live.recording = False
        if live.phase is Phase.ENDING:
            self._tell(live)

    def _tell(self, live: LiveJob) -> None:
        live.phase = Phase.TOLD
        live.ended.set()
        self._tools.wakeups.wake(live.id)
        self._give_back(live)
        self._tell_queue({live.job.user})
        self.choose()
        if live.recorded is State.QUEUED:
            self._engine.drop_secrets(live.id)

    def _give_back(self, live: LiveJob) -> None:
        self._queue.give_back(live.id)
        self._tools.cpus.give_back(live.id)

    def remove_folder(self, job_id: str) -> asyncio.Task[None] | None:
        """Begin to, in a thread: it may be big. What can not be removed is told in the log."""
        if self._tools.folders is None:
            return None
        return self._tasks.keep(self._remove_in_thread(self._tools.folders, job_id))

    async def _folder_gone(self, job_id: str) -> None:
        if (removal := self.remove_folder(job_id)) is not None:
            await asyncio.wait({removal}, timeout=FOLDER_S)

    async def _remove_in_thread(self, folders: WorkFolders, job_id: str) -> None:
        try:
            await asyncio.to_thread(folders.remove, job_id)
        except OSError as error:
            log.error("something of job %s's folder stays: %s", job_id, error)

    def _tell_queue(self, users: set[str]) -> None:
        for job_id in self.queue_watched:
            live = self.live.get(job_id)
            if live is not None and live.recorded is State.QUEUED and live.job.user in users:
                self._tools.wakeups.wake(job_id)


def _is_everybodys(error: Exception) -> bool:
    """Whether the trouble is the machine's: no room, a record that can not be written. It says nothing about a job."""
    return isinstance(error, (StorageFull, StoreError)) or (isinstance(error, OSError) and error.errno in NO_ROOM)
