"""The lifecycle of a job, as a table: every state has its row, what is not in it can not happen."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final


class State(enum.IntEnum):
    """As jobrun.v1.JobState numbers them."""

    QUEUED = 1
    STARTING = 2
    RUNNING = 3
    FINISHED = 4


class Event(enum.Enum):
    """What moves a job on."""

    DISPATCHED = "dispatched"
    EXECUTED = "executed"
    ENDED = "ended"


TRANSITIONS: Final[Mapping[State, Mapping[Event, State]]] = {
    State.QUEUED: {Event.DISPATCHED: State.STARTING, Event.ENDED: State.FINISHED},
    State.STARTING: {Event.EXECUTED: State.RUNNING, Event.ENDED: State.FINISHED},
    State.RUNNING: {Event.ENDED: State.FINISHED},
    State.FINISHED: {},
}


class IllegalTransition(Exception):
    """An event that a state does not know; a fault of ours, never of a caller."""

    def __init__(self, state: State, event: Event) -> None:
        super().__init__(f"{event.value} can not happen to a job that is {state.name}")


def advance(state: State, event: Event) -> State:
    """The state after `event`; IllegalTransition where the table has none."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise IllegalTransition(state, event) from None


class EndReason(enum.IntEnum):
    """Why a job ended, as jobrun.v1.EndReason numbers it."""

    EXITED = 1
    SIGNALED = 2
    STOPPED = 3
    TIMEOUT = 4
    CPU_LIMIT = 5
    MEMORY_LIMIT = 6
    FILE_SIZE_LIMIT = 7
    PROCESS_LIMIT = 8
    START_FAILED = 9
    LOST = 10


class StartStep(enum.IntEnum):
    """The steps of a start, in their order, as jobrun.v1.StartStep numbers them."""

    ISOLATE = 1
    LIMITS = 2
    CHDIR = 3
    EXEC = 4
