"""What a spec must be like, at the edges."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jobrun.jobs import spec_checks
from jobrun.jobs.ids import is_id, new_id
from jobrun.jobs.request_hash import check_request_id, request_hash
from jobrun.limits import LIMITS, MOST
from jobrun.model.errors import InvalidRequest, NotEnforceable
from jobrun.model.job import JobSpec, Secrets

GROUND = spec_checks.Ground(hard_limits={}, cpus=4, slots=8)
SPEC = JobSpec(argv=("true",), cwd="/")
NOTHING = Secrets({}, {})
ROOT = Path(__file__).parents[2]
DAYS_366 = 366 * 86_400 * 10**9


def wrong(spec: JobSpec, secrets: Secrets = NOTHING, ground: spec_checks.Ground = GROUND) -> str:
    """The field that is named."""
    with pytest.raises(InvalidRequest) as caught:
        spec_checks.check(spec, secrets, ground)
    return caught.value.field


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"argv": ()}, "spec.argv"),
        ({"argv": ("",)}, "spec.argv"),
        ({"argv": ("a", "b\0")}, "spec.argv"),
        ({"argv": ("a", "x" * 131_072)}, "spec.argv"),
        ({"argv": ("a", *["x" * 100_000] * 11)}, "spec"),
        ({"name": "x" * 129}, "spec.name"),
        ({"name": "\0"}, "spec.name"),
        ({"cwd": "/\0"}, "spec.cwd"),
        ({"cwd": "/" * 4096}, "spec.cwd"),
        ({"slots": 0}, "spec.slots"),
        ({"slots": 9}, "spec.slots"),
        ({"grace_ns": DAYS_366 + 1}, "spec.grace"),
        ({"umask": 0o1000}, "spec.umask"),
        ({"limits": {"cpus": 5}}, "spec.limits.cpus"),
        ({"limits": {"log_bytes": (1 << 20) - 1}}, "spec.limits.log_bytes"),
    ],
)
def test_beyond_an_edge_is_refused(change: dict[str, object], field: str) -> None:
    """A job would fail later, in a way that nobody can read, or take more than there is."""
    assert wrong(dataclasses.replace(SPEC, **change)) == field  # type: ignore[arg-type]  # by the field's name


@pytest.mark.parametrize(
    "change",
    [
        {"argv": ("a", "", "x" * 131_071)},
        {"name": "ü" * 128},
        {"cwd": "/" * 4095},
        {"slots": 8, "grace_ns": 0, "umask": 0o777},
        {"grace_ns": DAYS_366, "umask": 0},
        {"limits": {"cpus": 4, "log_bytes": 1 << 20}},
    ],
)
def test_up_to_an_edge_is_taken(change: dict[str, object]) -> None:
    """What the contract allows would be refused."""
    spec_checks.check(dataclasses.replace(SPEC, **change), NOTHING, GROUND)  # type: ignore[arg-type]  # by its name


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.field)
def test_each_limit_has_its_bounds(limit: object) -> None:
    """A limit of 0 or of 2^64 would reach setrlimit(2) as something else."""
    field, least, unit = limit.field, limit.least, limit.unit  # type: ignore[attr-defined]  # a row of LIMITS
    for value in (0, least - 1, MOST[unit] + 1):
        assert wrong(dataclasses.replace(SPEC, limits={field: value})) == f"spec.limits.{field}"
    spec_checks.check(dataclasses.replace(SPEC, limits={field: least}), NOTHING, GROUND)


def test_what_the_kernel_would_refuse_is_refused_before() -> None:
    """A limit that this machine can not hold would be on record as one that holds, until the start fails."""
    ground = dataclasses.replace(GROUND, hard_limits={"open_files": 512})
    spec_checks.check(dataclasses.replace(SPEC, limits={"open_files": 512}), NOTHING, ground)
    with pytest.raises(NotEnforceable, match=r"spec.limits.open_files: 513 .* 512"):
        spec_checks.check(dataclasses.replace(SPEC, limits={"open_files": 513}), NOTHING, ground)


def test_what_was_not_asked_for_is_within_every_limit() -> None:
    """No job at all would run on a server that may use little itself."""
    spec_checks.check(SPEC, NOTHING, dataclasses.replace(GROUND, hard_limits={limit.field: -1 for limit in LIMITS}))


def test_no_hard_limit_is_negative() -> None:
    """`ulimit -t 1` leaves less than what lies between the soft and the hard one: the refusal would name -1s."""
    free = ["setpriv", "--bounding-set=-sys_resource"] if os.geteuid() == 0 else []  # root may raise them
    shell = f'ulimit -t 1; exec "$@" {sys.executable} -c "$CODE"'
    code = "from jobrun.jobs.hard_limits import hard_limits; print(hard_limits()['cpu_time'])"
    words = ["sh", "-c", shell, "sh", *free]
    assert subprocess.check_output(words, env={**os.environ, "CODE": code}, cwd=ROOT) == b"0\n"


@pytest.mark.parametrize("name", ["", "A=B", "=", "A\0"])
def test_names_that_no_environment_can_hold(name: str) -> None:
    """The variable would be lost, or be another one."""
    assert wrong(SPEC, Secrets({name: b"v"}, {})) == "spec.env"


def test_values_and_stdin_have_bounds() -> None:
    """execve(2) would fail with E2BIG; memory would be filled."""
    assert wrong(SPEC, Secrets({"A": b"\0"}, {})) == "spec.env"
    assert wrong(SPEC, Secrets({"A": b"x" * 131_070}, {})) == "spec.env"
    spec_checks.check(SPEC, Secrets({"A": b"\xff" * 131_069}, {}), GROUND)
    assert wrong(SPEC, Secrets({}, {}, b"x" * ((1 << 20) + 1))) == "spec.stdin"
    spec_checks.check(SPEC, Secrets({}, {}, b"\0" * (1 << 20)), GROUND)


def test_secrets_are_refused_until_they_can_be_masked() -> None:
    """They would show in the output that their user believes to be masked."""
    with pytest.raises(NotEnforceable):
        spec_checks.check(SPEC, Secrets({}, {"TOKEN": b"12345678"}), GROUND)


@pytest.mark.parametrize("cwd", ["..", "../x", "a/../..", "./../a", "a/b/../../../c"])
def test_a_relative_folder_stays_inside(cwd: str) -> None:
    """A job would begin in another one's folder."""
    assert wrong(dataclasses.replace(SPEC, cwd=cwd)) == "spec.cwd"


@pytest.mark.parametrize("cwd", ["", ".", "a/..", "a/../b", "..a/b", "/etc/.."])
def test_other_folders_are_taken(cwd: str) -> None:
    """A name that only looks like `..` would be refused."""
    spec_checks.check(dataclasses.replace(SPEC, cwd=cwd), NOTHING, GROUND)


@pytest.mark.parametrize(("signal", "grace"), [(0, None), (65, None), (-1, None), (None, -1), (None, DAYS_366 + 1)])
def test_a_stop_has_bounds(signal: int | None, grace: int | None) -> None:
    """A signal that is none would stop nothing, and nobody would know."""
    with pytest.raises(InvalidRequest):
        spec_checks.check_stop(signal, grace)


def test_ids_are_what_they_promise() -> None:
    """An id would be misread over the telephone, or leave the folder as a path."""
    for _ in range(100):
        assert is_id(new_id())
    for text in ("", "../../xx", "2222222", "222222222", "2222222\n", "AAAAAAAA", "2222222o", "2222222l"):
        assert not is_id(text)


@pytest.mark.parametrize("request_id", ["a" * 65, "a b", "ü", "a\n", "a/b"])
def test_request_ids_have_an_alphabet(request_id: str) -> None:
    """What the contract does not allow could not be relied upon later."""
    with pytest.raises(InvalidRequest):
        check_request_id(request_id)


def test_requests_differ_in_all_that_was_asked() -> None:
    """Another command, or another value, would be answered with the job of the first one."""
    wishes = [
        (SPEC, NOTHING),
        (dataclasses.replace(SPEC, argv=("true", "")), NOTHING),
        (dataclasses.replace(SPEC, argv=("tr", "ue")), NOTHING),
        (dataclasses.replace(SPEC, name="x"), NOTHING),
        (dataclasses.replace(SPEC, cwd="/x"), NOTHING),
        (dataclasses.replace(SPEC, limits={"cpus": 1}), NOTHING),
        (dataclasses.replace(SPEC, asked=frozenset({"slots"})), NOTHING),
        (dataclasses.replace(SPEC, umask=0), NOTHING),
        (SPEC, Secrets({"A": b"1"}, {})),
        (SPEC, Secrets({"A": b"2"}, {})),
        (SPEC, Secrets({}, {"A": b"1"})),
        (SPEC, Secrets({}, {}, b"in")),
    ]
    key = b"k" * 32
    assert len({request_hash(key, *wish) for wish in wishes}) == len(wishes)
    two = Secrets({"A": b"1", "B": b"2"}, {})
    turned = Secrets({"B": b"2", "A": b"1"}, {})
    assert request_hash(key, SPEC, two) == request_hash(key, SPEC, turned)
    assert request_hash(key, SPEC, two) != request_hash(b"other", SPEC, two)
