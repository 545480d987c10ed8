"""Who gets slots next: decisions alone, no I/O, no clock.

Users take turns; within a user first in, first out. The job whose turn it is waits for its slots, and nothing passes
it: so a big job gets its place, however many small ones come."""

from __future__ import annotations

import collections
import dataclasses

from jobrun.model.amounts import counted
from jobrun.model.errors import QueueFull

MOST_QUEUED = 10_000
"""Jobs that one user may have waiting: with what is kept of each, some 3 KB, a bound of 30 MB..."""
MOST_BYTES = 64 << 20
"""...and for all that their command lines take besides: one may have 1 MiB."""


@dataclasses.dataclass(frozen=True)
class Waiting:
    """A job in the queue."""

    job_id: str
    user: str
    slots: int
    size: int = 0
    """Bytes of memory that its command line takes."""


class Queue:
    """Slots, who has them, and who waits for them. `slots`: how many there are, None for no bound."""

    def __init__(self, slots: int | None) -> None:
        self._slots = slots
        self._taken: dict[str, int] = {}
        self._free = slots if slots is not None else 0
        self._lines: dict[str, collections.deque[Waiting]] = {}
        self._bytes: collections.Counter[str] = collections.Counter()
        self._turns: collections.deque[str] = collections.deque()
        """Users with somebody in their line; the first has the turn."""
        self._closed = False

    def admit(self, job: Waiting) -> bool:
        """True: it has its slots and starts now. False: it waits. Raises QueueFull."""
        if not self._turns and self._fits(job.slots):
            self._take(job)
            return True
        if len(self._lines.get(job.user, ())) >= MOST_QUEUED:
            raise QueueFull(f"{MOST_QUEUED} jobs of {job.user} wait already: let some start first")
        if self._bytes[job.user] + job.size > MOST_BYTES:
            raise QueueFull(f"too long are the command lines of {job.user} that wait: let some start first")
        self._append(job)
        return False

    def restore_running(self, job: Waiting) -> None:
        """A job that an earlier server started: it has its slots, whatever the bound is now."""
        self._take(job)

    def restore_waiting(self, job: Waiting) -> None:
        """A job that waited at an earlier server; in the order of creation."""
        self._append(job)

    def put_back(self, job: Waiting) -> None:
        """A job that was chosen but could not be started: it has the next turn again."""
        self.give_back(job.job_id)
        self._bytes[job.user] += job.size
        line = self._lines.get(job.user)
        if line is None:
            self._lines[job.user] = collections.deque([job])
        else:
            line.appendleft(job)
            self._turns.remove(job.user)
        self._turns.appendleft(job.user)

    def next(self) -> Waiting | None:
        """The job whose turn it is, if there are slots for it: it has them now."""
        if not self._turns:
            return None
        user = self._turns[0]
        line = self._lines[user]
        if not self._fits(line[0].slots):
            return None
        job = line.popleft()
        self._left(job)
        self._turns.popleft()
        if line:
            self._turns.append(user)
        else:
            del self._lines[user]
        self._take(job)
        return job

    def close(self) -> None:
        """Nobody gets slots any more: who waits, and who comes, waits for the next server."""
        self._closed = True

    def give_back(self, job_id: str) -> None:
        """The slots of a job that has ended. Nothing where it has none."""
        self._free += self._taken.pop(job_id, 0)

    def withdraw(self, job_id: str, user: str) -> bool:
        """Take a job out that waits. False where it does not."""
        line = self._lines.get(user, collections.deque())
        for place, job in enumerate(line):
            if job.job_id == job_id:
                del line[place]
                self._left(job)
                if not line:
                    del self._lines[user]
                    self._turns.remove(user)
                return True
        return False

    def ahead(self, job_id: str, user: str) -> int:
        """Jobs of the same user that come before it; 0 where it does not wait."""
        for place, job in enumerate(self._lines.get(user, ())):
            if job.job_id == job_id:
                return place
        return 0

    def why(self, job_id: str, user: str) -> str:
        """One sentence: what a waiting job waits for."""
        ahead = self.ahead(job_id, user)
        if ahead:
            return f"{ahead} of {user}'s own jobs {'is' if ahead == 1 else 'are'} ahead of it"
        if not self._turns or self._turns[0] != user:
            return "it is another user's turn to get free slots"
        wanted = counted(self._lines[user][0].slots, "free slot")
        return f"it has the next turn and waits for {wanted}: {max(0, self._free)} of {self._slots} free"

    def waiting_of(self, user: str) -> list[str]:
        """Ids of a user's waiting jobs in their order."""
        return [job.job_id for job in self._lines.get(user, ())]

    @property
    def free(self) -> int | None:
        """Slots that nobody has; below 0 where an earlier server gave more; None: no bound."""
        return None if self._slots is None else self._free

    def _fits(self, slots: int) -> bool:
        return not self._closed and (self._slots is None or slots <= self._free)

    def _take(self, job: Waiting) -> None:
        if self._slots is not None:
            self._taken[job.job_id] = job.slots
            self._free -= job.slots

    def _left(self, job: Waiting) -> None:
        self._bytes[job.user] -= job.size
        if not self._bytes[job.user]:
            del self._bytes[job.user]

    def _append(self, job: Waiting) -> None:
        self._bytes[job.user] += job.size
        line = self._lines.get(job.user)
        if line is None:
            self._lines[job.user] = collections.deque([job])
            self._turns.append(job.user)
        else:
            line.append(job)
