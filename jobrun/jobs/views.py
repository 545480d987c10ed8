"""A job as it stands: what is on record, and what its file and the queue say of it now."""

from __future__ import annotations

import dataclasses

from jobrun.jobs.live import LiveJob, Phase
from jobrun.jobs.local_engine import LocalEngine
from jobrun.jobs.queue import Queue
from jobrun.model.errors import JobDamaged
from jobrun.model.job import Job
from jobrun.model.lifecycle import State


class Views:
    """Looks, and changes nothing."""

    def __init__(self, engine: LocalEngine, queue: Queue) -> None:
        self._engine, self._queue = engine, queue

    def of(self, live: LiveJob, *, usage: bool = False) -> Job:
        """`usage`: of a running job too, which costs a walk of its tree."""
        if live.phase is Phase.TOLD:
            return live.job
        if live.recorded is State.QUEUED:
            return self._queued(live)
        if live.phase is Phase.ENDING:  # it is over, but nobody is told before that is on record
            running = live.job.started_ns != 0
            state = State.RUNNING if running else State.STARTING
            return dataclasses.replace(live.job, state=state, end=None)
        return self._dispatched(live, usage=usage)

    def just_accepted(self, live: LiveJob) -> Job:
        """For the answer to its Start: STARTING without a look at its file, which was sent off a moment ago."""
        return live.job if live.phase is Phase.DISPATCHED else self.of(live)

    def _queued(self, live: LiveJob) -> Job:
        ahead = self._queue.ahead(live.id, live.job.user)
        waits = live.phase is Phase.WAITING
        why = self._queue.why(live.id, live.job.user) if waits else "its turn has come"
        return dataclasses.replace(live.job, state=State.QUEUED, end=None, ahead=ahead, waits_for=why)

    def _dispatched(self, live: LiveJob, *, usage: bool) -> Job:
        if not live.claimed:
            return live.job
        try:
            seen = self._engine.observe(live.id, usage=usage)
        except (JobDamaged, FileNotFoundError):  # told as LOST by whoever judges it
            return live.job
        state = seen.state
        if state is State.FINISHED:
            state = State.RUNNING if seen.started_ns else State.STARTING
        if state is State.STARTING:
            return live.job
        return dataclasses.replace(
            live.job,
            state=state,
            started_ns=seen.started_ns,
            pid=seen.pid,
            stopping_since_ns=seen.stopping_since_ns,
            usage=seen.usage,
        )
