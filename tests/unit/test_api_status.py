"""The table from errors to status, walked; and page tokens."""

from __future__ import annotations

import inspect

import pytest
from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]  # no stubs

from jobrun.api import page_token
from jobrun.api.status import RETRY_AFTER_NS, STATUS, internal, refusal_of
from jobrun.model import errors
from jobrun.model.errors import InvalidRequest, JobNotFound, JobrunError, MachineTokenNotFound, UserNotFound
from jobrun.wire.gen.jobrun.v1.job_service_pb2 import ListFilter

NOTHING_TO_SAY = (JobNotFound, UserNotFound, MachineTokenNotFound)
"""Always the same words: they must not tell what is there."""
LEAVES = [
    leaf
    for _, leaf in inspect.getmembers(errors, inspect.isclass)
    if issubclass(leaf, JobrunError) and leaf is not JobrunError
]


def made(leaf: type[JobrunError]) -> JobrunError:
    if leaf is InvalidRequest:
        return InvalidRequest("spec.argv", "wrong")
    return leaf() if leaf in NOTHING_TO_SAY else leaf("wrong")


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
def test_every_error_has_a_status_and_details(leaf: type[JobrunError]) -> None:
    """A program could not tell one refusal from another."""
    refusal = refusal_of(made(leaf))
    status = status_pb2.Status.FromString(refusal.details)
    assert status.code == refusal.code.value[0]
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.domain, info.reason) == ("jobrun", leaf.reason)
    retry = any(detail.Is(error_details_pb2.RetryInfo.DESCRIPTOR) for detail in status.details)
    assert retry == (leaf in RETRY_AFTER_NS)


def test_reasons_are_one_table() -> None:
    """Two errors of one reason could not be told apart."""
    reasons = [leaf.reason for leaf in LEAVES]
    assert len(set(reasons)) == len(reasons)
    assert all(reason.replace("_", "").isupper() for reason in reasons)
    assert set(STATUS) == set(LEAVES)


def test_a_very_long_text_is_cut() -> None:
    """The answer's metadata would be too large, and the caller would see an error of gRPC's in its place."""
    refusal = refusal_of(InvalidRequest("spec.cwd", "x" * 100_000))
    assert len(refusal.text) + len(refusal.details) < 7000


def test_an_incident_tells_its_number_alone() -> None:
    """A path or a secret in an exception would reach every caller."""
    refusal = internal("abcd")
    assert "abcd" in refusal.text
    assert status_pb2.Status.FromString(refusal.details).code == 13


def test_a_page_token_comes_back() -> None:
    """The second page would begin somewhere else."""
    wanted = ListFilter(name="x")
    assert page_token.decode("", wanted, "ann") is None
    token = page_token.encode(12345, wanted, "ann")
    assert page_token.decode(token, wanted, "ann") == 12345


@pytest.mark.parametrize("token", ["x", "====", "ü", "A" * 27, "A" * 100, "a b"])
def test_what_is_no_token_is_refused(token: str) -> None:
    """A traceback, or a list of something else."""
    with pytest.raises(InvalidRequest):
        page_token.decode(token, ListFilter(), "ann")


def test_a_token_belongs_to_its_filter_and_caller() -> None:
    """One user's place would be told to another."""
    token = page_token.encode(7, ListFilter(name="x"), "ann")
    for wanted, user in ((ListFilter(name="y"), "ann"), (ListFilter(name="x"), "bob")):
        with pytest.raises(InvalidRequest):
            page_token.decode(token, wanted, user)
