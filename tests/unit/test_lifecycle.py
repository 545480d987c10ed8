"""The lifecycle table: every pair of state and event is walked."""

from __future__ import annotations

import pytest

from jobrun.limits import LIMITS, MOST
from jobrun.model.lifecycle import TRANSITIONS, EndReason, Event, IllegalTransition, StartStep, State, advance
from jobrun.wire.gen.jobrun.v1 import job_pb2, job_service_pb2


def test_every_state_has_a_row() -> None:
    """A state without a row would let anything happen to a job, or nothing."""
    assert set(TRANSITIONS) == set(State)


@pytest.mark.parametrize("state", State)
@pytest.mark.parametrize("event", Event)
def test_what_the_table_lacks_can_not_happen(state: State, event: Event) -> None:
    """A finished job never changes again; a running one is never started."""
    if event in TRANSITIONS[state]:
        assert advance(state, event) > state
    else:
        with pytest.raises(IllegalTransition):
            advance(state, event)


def test_every_state_leads_to_the_end() -> None:
    """No job is stuck for ever."""
    assert all(Event.ENDED in TRANSITIONS[state] for state in State if state is not State.FINISHED)


@pytest.mark.parametrize(
    ("ours", "wire", "prefix"),
    [
        (State, job_service_pb2.JobState, "JOB_STATE_"),
        (EndReason, job_pb2.EndReason, "END_REASON_"),
        (StartStep, job_pb2.StartStep, "START_STEP_"),
    ],
)
def test_numbers_are_those_of_the_wire(ours: type, wire: object, prefix: str) -> None:
    """A client would be told another state than the one that is."""
    known = {name: number for name, number in wire.items() if number}  # type: ignore[attr-defined]  # generated
    assert {prefix + item.name: item.value for item in ours} == known  # type: ignore[attr-defined]  # enums all


def test_the_table_of_limits_is_that_of_the_wire() -> None:
    """An option would set another limit than the one that it names."""
    fields = [field.name for field in job_pb2.Limits.DESCRIPTOR.fields]
    assert [limit.field for limit in LIMITS] == fields
    assert [limit.kind for limit in LIMITS] == [number for number in job_pb2.LimitKind.values() if number]
    assert all(1 <= limit.least < MOST[limit.unit] for limit in LIMITS)
