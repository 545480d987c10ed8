"""Turns: what the queue promises, whatever comes in whatever order."""

from __future__ import annotations

import collections

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobrun.jobs.queue import MOST_BYTES, MOST_QUEUED, Queue, Waiting
from jobrun.model.errors import QueueFull

USERS = ("ann", "bob", "eve")


def names(queue: Queue) -> list[str]:
    """Whom it gives slots to now."""
    found = []
    while (job := queue.next()) is not None:
        found.append(job.job_id)
    return found


def test_users_take_turns() -> None:
    """A hundred jobs of one user would come before the first one of another."""
    queue = Queue(1)
    queue.admit(Waiting("first", "ann", 1))
    for number in range(3):
        queue.admit(Waiting(f"ann{number}", "ann", 1))
    queue.admit(Waiting("bob0", "bob", 1))
    order, last = [], "first"
    for _ in range(4):
        queue.give_back(last)
        (last,) = names(queue)
        order.append(last)
    assert order == ["ann0", "bob0", "ann1", "ann2"]


def test_nothing_passes_the_one_whose_turn_it_is() -> None:
    """A big job would never start as long as small ones come."""
    queue = Queue(4)
    assert queue.admit(Waiting("a", "ann", 3))
    assert not queue.admit(Waiting("big", "ann", 4))
    assert not queue.admit(Waiting("small", "bob", 1))
    assert names(queue) == []
    assert "4 free slots: 1 of 4 free" in queue.why("big", "ann")
    assert "another user's turn" in queue.why("small", "bob")
    queue.give_back("a")
    assert names(queue) == ["big"]
    queue.give_back("big")
    assert names(queue) == ["small"]


def test_a_closed_queue_keeps_who_waits() -> None:
    """A server that takes its jobs along would begin others in its last moment, only to stop them."""
    queue = Queue(1)
    queue.admit(Waiting("a", "ann", 1))
    queue.admit(Waiting("b", "ann", 1))
    queue.close()
    queue.give_back("a")
    assert names(queue) == []
    assert not queue.admit(Waiting("c", "bob", 1))


def test_a_job_that_could_not_be_started_keeps_its_turn() -> None:
    """A full disk would send it to the end of the queue."""
    queue = Queue(1)
    queue.admit(Waiting("a", "ann", 1))
    for job_id, user in (("b", "bob"), ("b2", "bob"), ("c", "ann")):
        queue.admit(Waiting(job_id, user, 1))
    queue.give_back("a")
    assert names(queue) == ["b"]
    queue.put_back(Waiting("b", "bob", 1))
    assert names(queue) == ["b"]
    queue.give_back("b")
    assert names(queue) == ["c"]


def test_a_queue_has_an_end_in_bytes() -> None:
    """A thousand jobs with command lines of a MB would fill the server's memory; one that starts takes none of it."""
    queue = Queue(1)
    queue.admit(Waiting("runs", "ann", 1, MOST_BYTES))
    half = MOST_BYTES // 2
    queue.admit(Waiting("a", "ann", 1, half))
    queue.admit(Waiting("b", "ann", 1, half))
    with pytest.raises(QueueFull):
        queue.admit(Waiting("c", "ann", 1, 1))
    queue.admit(Waiting("d", "bob", 1, half))
    queue.withdraw("a", "ann")
    queue.admit(Waiting("c", "ann", 1, half))
    queue.give_back("runs")
    (chosen,) = names(queue)
    queue.put_back(Waiting(chosen, "ann", 1, half))
    with pytest.raises(QueueFull):
        queue.admit(Waiting("e", "ann", 1, 1))


def test_a_queue_has_an_end() -> None:
    """One script in a loop would fill the server's memory."""
    queue = Queue(1)
    queue.admit(Waiting("runs", "ann", 1))
    for number in range(MOST_QUEUED):
        queue.admit(Waiting(str(number), "ann", 1))
    with pytest.raises(QueueFull):
        queue.admit(Waiting("more", "ann", 1))
    queue.admit(Waiting("other", "bob", 1))


def test_without_a_bound_nothing_waits() -> None:
    """The private server would hold jobs back."""
    queue = Queue(None)
    assert all(queue.admit(Waiting(str(number), "ann", 1000)) for number in range(100))


Step = tuple[str, int, int]
STEPS = st.lists(
    st.tuples(st.sampled_from(["start", "end", "stop"]), st.integers(0, 50), st.integers(1, 4)), max_size=80
)


class Model:
    """What is so outside the queue: who runs, who waits, in which order each user's jobs started."""

    def __init__(self) -> None:
        self.queue = Queue(4)
        self.running: dict[str, Waiting] = {}
        self.waiting: dict[str, Waiting] = {}
        self.started: dict[str, list[int]] = collections.defaultdict(list)
        self.count = 0

    def step(self, step: Step) -> None:
        """One thing happens, then all get their slots that can."""
        kind, which, slots = step
        if kind == "start":
            self._start(Waiting(str(self.count), USERS[which % len(USERS)], slots))
        elif kind == "end" and self.running:
            job_id = list(self.running)[which % len(self.running)]
            del self.running[job_id]
            self.queue.give_back(job_id)
        elif kind == "stop" and self.waiting:
            job = self.waiting.pop(list(self.waiting)[which % len(self.waiting)])
            assert self.queue.withdraw(job.job_id, job.user)
        while (chosen := self.queue.next()) is not None:
            self._runs(self.waiting.pop(chosen.job_id))

    def _start(self, job: Waiting) -> None:
        self.count += 1
        if self.queue.admit(job):
            assert not self.waiting, "it passed those who wait"
            self._runs(job)
        else:
            self.waiting[job.job_id] = job

    def _runs(self, job: Waiting) -> None:
        self.running[job.job_id] = job
        self.started[job.user].append(int(job.job_id))


@given(STEPS)
def test_slots_are_never_overdrawn_and_lines_stay_in_order(steps: list[Step]) -> None:
    """More would run than there is room for, or a later job of a user before an earlier one."""
    model = Model()
    for step in steps:
        model.step(step)
        taken = sum(job.slots for job in model.running.values())
        assert taken <= 4
        assert model.queue.free == 4 - taken
        for order in model.started.values():
            assert order == sorted(order)
        for user in USERS:
            own = [job.job_id for job in model.waiting.values() if job.user == user]
            assert model.queue.waiting_of(user) == own
            assert [model.queue.ahead(job_id, user) for job_id in own] == list(range(len(own)))


@given(STEPS)
def test_everything_that_waits_starts_in_the_end(steps: list[Step]) -> None:
    """A job would wait for ever in an idle server."""
    model = Model()
    for step in steps:
        model.step(step)
    for _ in range(2 * len(steps) + 1):
        model.step(("end", 0, 1))
    assert not model.waiting
    assert not model.running
