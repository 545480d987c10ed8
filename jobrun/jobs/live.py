"""A job that has not finished, as the server keeps it in memory."""

from __future__ import annotations

import asyncio
import dataclasses
import enum
import sys

from jobrun.jobs.queue import Waiting
from jobrun.model.job import Job
from jobrun.model.lifecycle import State


class Phase(enum.Enum):
    """Where a job is between two of its states on record."""

    ACCEPTING = "its row is being written"
    WAITING = "in the queue"
    CHOSEN = "it has its slots, its file is being made"
    DISPATCHED = "on record as dispatched: its file says what it does"
    ENDING = "its end is known and being written"
    TOLD = "its end was told"


@dataclasses.dataclass(eq=False)
class LiveJob:
    """Changed by the dispatcher alone."""

    job: Job
    """As it was started; once it has ended, with its end."""
    recorded: State
    """Its state on record: QUEUED, STARTING, FINISHED."""
    phase: Phase
    has_file: bool = False
    sent_at: float = 0.0
    """When it was last dispatched, by the loop's clock."""
    claimed: bool = False
    """A supervisor has it: its file says more than the record."""
    unsent: bool = False
    """It waits for fewer to be in flight."""
    recording: bool = False
    """Its end is being written."""
    stopped_by: str = ""
    """Who asked first for its stop."""
    ended: asyncio.Event = dataclasses.field(default_factory=asyncio.Event)

    @property
    def id(self) -> str:
        """Of the job."""
        return self.job.id

    @property
    def waits(self) -> bool:
        """It was not dispatched yet, nor stopped before."""
        return self.recorded is State.QUEUED and self.phase is not Phase.TOLD

    @property
    def place(self) -> Waiting:
        """What the queue knows of it."""
        spec = self.job.spec
        size = sum(sys.getsizeof(word) for words in (spec.argv, spec.env_names) for word in words)
        return Waiting(self.job.id, self.job.user, spec.slots, size)
