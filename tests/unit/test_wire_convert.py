"""Between wire and model: nothing is lost, and nothing is invented."""

from __future__ import annotations

import dataclasses

import pytest

from jobrun.limits import LIMITS
from jobrun.model.errors import InvalidRequest, NotEnforceable
from jobrun.model.job import End, Job, JobSpec, StartFailure, Usage
from jobrun.model.lifecycle import EndReason, StartStep, State
from jobrun.wire import convert, times
from jobrun.wire.gen.jobrun.v1 import job_pb2, job_service_pb2
from jobrun.wire.understood import check_understood

FULL = job_pb2.JobSpec(
    argv=["a", "ü", ""],
    name="n",
    env={"A": b"\xff"},
    secret_env={"B": b"12345678"},
    cwd="/x",
    limits=job_pb2.Limits(
        cpu_time={"seconds": 1, "nanos": 5},
        memory_bytes=1 << 53,
        address_space_bytes=1,
        file_size_bytes=2,
        processes=3,
        open_files=16,
        cpus=4,
        timeout={"nanos": 1_000_000},
        log_bytes=1 << 20,
    ),
    slots=2,
    grace={"seconds": 0},
    network=job_pb2.NETWORK_HOST,
    stdin=b"in",
    umask=0,
)


def test_a_spec_comes_back_without_its_values() -> None:
    """`status` would show another wish than the one that was made, or a secret."""
    spec, secrets = convert.spec_from_wire(FULL)
    assert dict(secrets.env) == {"A": b"\xff"}
    assert dict(secrets.secret_env) == {"B": b"12345678"}
    assert secrets.stdin == b"in"
    expected = job_pb2.JobSpec()
    expected.CopyFrom(FULL)
    expected.env["A"] = expected.secret_env["B"] = expected.stdin = b""
    expected.ClearField("umask")
    assert convert.spec_to_wire(spec) == expected


def test_what_was_not_asked_stays_unset() -> None:
    """A default of today would look like the user's wish."""
    spec, _ = convert.spec_from_wire(job_pb2.JobSpec(argv=["a"]))
    assert spec == JobSpec(argv=("a",))
    assert convert.spec_to_wire(spec) == job_pb2.JobSpec(argv=["a"])


def test_zeros_that_were_asked_are_told_from_nothing() -> None:
    """A limit of 0 would count as no limit."""
    asked = job_pb2.JobSpec(argv=["a"], slots=0, umask=0, limits=job_pb2.Limits(processes=0))
    spec, _ = convert.spec_from_wire(asked)
    assert (spec.slots, spec.umask, spec.limits) == (0, 0, {"processes": 0})


@pytest.mark.parametrize("value", [{"seconds": -1}, {"nanos": -1}, {"nanos": 10**9}, {"seconds": 1 << 62}])
def test_what_is_no_duration_is_refused(value: dict[str, int]) -> None:
    """A job would have a limit that nobody meant."""
    for spec in (job_pb2.JobSpec(grace=value), job_pb2.JobSpec(limits=job_pb2.Limits(timeout=value))):
        with pytest.raises(InvalidRequest):
            convert.spec_from_wire(spec)


def test_a_network_of_its_own_is_refused() -> None:
    """A job would reach what its user believes it can not."""
    with pytest.raises(NotEnforceable):
        convert.spec_from_wire(job_pb2.JobSpec(network=job_pb2.NETWORK_NONE))


JOB = Job(
    id="22222222",
    user="u",
    spec=JobSpec(argv=("a",)),
    limits={"log_bytes": 1},
    created_ns=1_000_000_001,
    state=State.QUEUED,
    unix_user="r",
)
END = End(reason=EndReason.EXITED, exit_code=0, started_ns=1, finished_ns=2)


def test_states_set_their_message_alone() -> None:
    """A client would take a job for another state's."""
    usage = Usage(user_cpu_ns=1, elapsed_ns=2_000_000_003)
    stands = {
        "queued": dataclasses.replace(JOB, ahead=0),
        "starting": dataclasses.replace(JOB, state=State.STARTING),
        "running": dataclasses.replace(JOB, state=State.RUNNING, started_ns=5, pid=7, usage=usage),
        "finished": dataclasses.replace(JOB, state=State.FINISHED, end=END, usage=usage),
    }
    for state, job in stands.items():
        wire = convert.job_to_wire(job)
        assert wire.WhichOneof("state") == state
        assert wire.created_at.ToNanoseconds() == 1_000_000_001
        assert (wire.isolation, wire.unix_user) == (job_pb2.ISOLATION_NONE, "r")
        assert wire.HasField("usage") == (job.usage is not None)
    assert not convert.job_to_wire(stands["running"]).running.HasField("stopping_since")
    assert convert.job_to_wire(stands["finished"]).usage.elapsed.nanos == 3


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        (END, ("exit_code", 0)),
        (dataclasses.replace(END, exit_code=None, signal=9), ("signal", 9)),
        (dataclasses.replace(END, exit_code=None), (None, 0)),
    ],
)
def test_an_exit_code_of_0_is_told_from_none(end: End, outcome: tuple[str | None, int]) -> None:
    """LOST would look like success."""
    wire = convert.end_to_wire(end)
    assert (wire.WhichOneof("outcome"), wire.exit_code or wire.signal) == outcome


def test_a_start_that_failed_says_where() -> None:
    """`run` could not tell 127 from 126."""
    failure = StartFailure(step=StartStep.EXEC, errno=2, path="/no")
    end = End(reason=EndReason.START_FAILED, finished_ns=2, start_failure=failure, survivors=3)
    wire = convert.end_to_wire(end)
    assert (wire.start_failure.step, wire.start_failure.errno, wire.start_failure.path) == (4, 2, "/no")
    assert not wire.HasField("started_at")
    assert wire.survivors == 3


def test_each_effective_limit_says_what_enforces_it() -> None:
    """`status` would be silent about a limit that holds."""
    limits = {"cpus": 1, "cpu_time": 10**9, "log_bytes": 256 << 20}
    wire = convert.job_to_wire(dataclasses.replace(JOB, limits=limits))
    assert {limit.kind for limit in wire.enforcements} == {
        job_pb2.LIMIT_KIND_CPU_TIME,
        job_pb2.LIMIT_KIND_CPUS,
        job_pb2.LIMIT_KIND_LOG,
    }
    assert all(limit.by for limit in wire.enforcements)
    assert wire.effective_limits.log_bytes == 256 << 20
    assert not wire.spec.limits.HasField("log_bytes")


def test_the_tables_of_limits_are_one() -> None:
    """A new limit would be known on one side alone."""
    fields = {field.name for field in job_pb2.Limits.DESCRIPTOR.fields}
    assert {limit.field for limit in LIMITS} == fields
    kinds = {value.number for value in job_pb2.LimitKind.DESCRIPTOR.values} - {0}
    assert [limit.kind for limit in LIMITS] == sorted(kinds)


@pytest.mark.parametrize(
    ("ours", "wire"),
    [(EndReason, job_pb2.EndReason), (StartStep, job_pb2.StartStep), (State, job_service_pb2.JobState)],
)
def test_enums_have_the_same_numbers(ours: type[EndReason], wire: type[job_pb2.EndReason]) -> None:
    """A TIMEOUT would arrive as something else."""
    named = {value.name: value.number for value in wire.DESCRIPTOR.values if value.number}
    assert {name.split("_", 2)[2]: number for name, number in named.items()} == {one.name: int(one) for one in ours}


def test_what_is_known_passes_the_check() -> None:
    """Every good request would be refused."""
    check_understood(job_service_pb2.StartRequest(spec=FULL, request_id="r"))


def test_unknown_values_in_a_list_are_refused() -> None:
    """`list --filter` of a newer client would show the wrong jobs."""
    wanted = job_service_pb2.ListFilter.FromString(b"\x1a\x01\x63")
    with pytest.raises(InvalidRequest, match=r"filter\.states"):
        check_understood(job_service_pb2.ListRequest(filter=wanted))


def test_a_filter_means_what_the_contract_says() -> None:
    """`list` would show finished jobs, or a search by reason nothing."""
    wire = job_service_pb2.ListFilter
    unfinished = frozenset(State) - {State.FINISHED}
    assert convert.filter_from_wire(wire(), "ann").states == unfinished
    assert convert.filter_from_wire(wire(), "ann").user == "ann"
    assert convert.filter_from_wire(wire(user="*"), "ann").user is None
    assert convert.filter_from_wire(wire(reasons=[job_pb2.END_REASON_LOST]), "ann").states == frozenset(State)
    assert convert.filter_from_wire(wire(id_prefix="a"), "ann").states == frozenset(State)
    at = convert.filter_from_wire(wire(created_before=times.timestamp(5)), "ann")
    assert (at.created_from_ns, at.created_before_ns) == (0, 5)
